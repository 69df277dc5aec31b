#include <gort/gc/verifier.h>

#include <gort/alloc/heap.h>
#include <gort/base/fatal.h>
#include <gort/gc/cleanups.h>
#include <gort/gc/roots.h>
#include <gort/gc/scan.h>

namespace gort::gc {
namespace {

const char* name_of(const alloc::Span& span, std::uint32_t slot) {
  const LayoutId id = span.tag_of(slot);
  return id == kNoReferences ? "?" : layout(id).name;
}

}  // namespace

void verify_marks() {
  const auto check_root = [](void* target) {
    if (is_white(reinterpret_cast<std::uintptr_t>(target))) {
      fatal("verify: a root points at {}, which is not marked", target);
    }
  };
  const auto check_kept = [](void* target) {
    if (is_white(reinterpret_cast<std::uintptr_t>(target))) {
      fatal("verify: the destructor of {} is due, and it is not marked", target);
    }
  };
  roots.for_each(check_root, [] {});
  cleanups.for_each_kept(check_kept, [] {});
  alloc::heap.for_each_span([](const alloc::Span& span) {
    if (span.noscan) return;
    for (std::uint32_t slot = 0; slot < span.slot_count; ++slot) {
      if (!span.is_marked(slot)) continue;
      const std::uintptr_t start = span.slot_start(slot);
      for_each_reference(span, start, [&](const std::uintptr_t& word) {
        if (!is_white(word)) return;
        fatal("verify: object {:#x} ({}) + {} -> {:#x}, which is not marked", start,
              name_of(span, slot), reinterpret_cast<std::uintptr_t>(&word) - start, word);
      });
    }
  });
}

}  // namespace gort::gc
