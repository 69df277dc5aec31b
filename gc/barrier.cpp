#include <gort/gc/barrier.h>

#include <cstring>

#include <gort/base/counters.h>
#include <gort/base/units.h>
#include <gort/gc/mark_pool.h>
#include <gort/gc/marker.h>
#include <gort/gc/world.h>

namespace gort::gc {

constinit Atomic<bool> detail::marking{false};

namespace {

// With the calling thread in a runtime region. A thread that marking has ended for between the
// barrier's test and this needs no record any more: the last stop has scanned its stack for it. A
// buffer would keep it until long after the object is free.
void record(Thread& self, void* old) {
  if (old == nullptr || !detail::marking.load_relaxed()) return;
  BarrierBuffer& buffer = self.overwritten;
  if (buffer.count == BarrierBuffer::kCapacity) flush_overwritten(buffer);
  buffer.values[buffer.count++] = old;
}

}  // namespace

void detail::record_overwritten(void* old) noexcept {
  if (old == nullptr) return;
  Thread* const self = World::current();
  if (self == nullptr) {
    // A thread that is not attached has no business with the heap, but may drop a Root.
    BarrierBuffer single;
    single.values[single.count++] = old;
    flush_overwritten(single);
    return;
  }
  const RuntimeScope runtime(*self);
  record(*self, old);
}

void detail::clear_and_record(void** words, std::size_t count) noexcept {
  Thread* const self = World::current();
  for (std::size_t i = 0; i < count; ++i) {
    const AtomicRef<void*> word(words[i]);
    void* const old = word.load_relaxed();
    word.store_relaxed(nullptr);
    if (old == nullptr) continue;
    if (self != nullptr) {
      record(*self, old);
    } else {
      record_overwritten(old);
    }
  }
}

void clear_references(void* memory, std::size_t bytes) {
  // Pieces, so that a stop need not wait for a large array.
  constexpr std::size_t kPiece = std::size_t{64} << 10;
  Thread* const self = World::current();
  for (auto* at = static_cast<char*>(memory); bytes > 0;) {
    const std::size_t here = bytes < kPiece ? bytes : kPiece;
    if (self != nullptr) World::enter_runtime(*self);
    if (detail::marking.load_relaxed()) {
      detail::clear_and_record(reinterpret_cast<void**>(at), here / kWordSize);
    } else {
      std::memset(at, 0, here);
    }
    if (self != nullptr) world.leave_runtime(*self);
    at += here;
    bytes -= here;
  }
}

void flush_overwritten(BarrierBuffer& buffer) noexcept {
  if (buffer.count == 0) return;
  counters.overwritten_recorded.fetch_add_relaxed(buffer.count);
  Marker marker(mark_pool);
  for (std::size_t i = 0; i < buffer.count; ++i) {
    marker.mark_address(reinterpret_cast<std::uintptr_t>(buffer.values[i]));
  }
  marker.publish();
  buffer.count = 0;
}

}  // namespace gort::gc
