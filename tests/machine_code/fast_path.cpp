// Allocations to look at the machine code of: check.pl does, and docs/allocation.md shows it.

#include <gort/gc/allocate.h>
#include <gort/gc/ref.h>

namespace {

// 64 bytes without references: the noscan class of its size.
struct Plain {
  long words[8];
  GORT_POINTER_FREE();
};

// 64 bytes with references: a uniform class, known at run time.
struct Linked {
  gort::Ref<Linked> next, previous;
  long words[6];
  GORT_FIELDS(Linked, next, previous);
};

// A slot size that is not the object's, for its alignment.
struct alignas(32) Aligned {
  long words[8];
  GORT_POINTER_FREE();
};

}  // namespace

extern "C" {
void* make_plain();
void* make_linked();
void* make_aligned();
void* always_calls();
void* locks();

void* make_plain() { return gort::make<Plain>(); }
void* make_linked() { return gort::make<Linked>(); }
void* make_aligned() { return gort::make<Aligned>(); }

// What the check must not let pass.
void* always_calls() { return gort::gc::allocate(sizeof(Plain), gort::gc::kNoReferences); }
gort::Atomic<long> count{0};
void* locks() {
  count.fetch_add_relaxed(1);
  return gort::make<Plain>();
}
}
