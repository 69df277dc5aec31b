#include <gort/gc/barrier.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include <gort/base/counters.h>
#include <gort/base/units.h>
#include <gort/base/zero.h>
#include <gort/gc/mark_pool.h>
#include <gort/gc/marker.h>
#include <gort/gc/world.h>

namespace gort::gc {

constinit Atomic<bool> detail::marking{false};

namespace {

// Of large arrays, so that a stop need not wait for a whole one.
constexpr std::size_t kPiece = std::size_t{64} << 10;

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
    // A thread that is not attached has no business with the heap, but may set or drop a Root. It
    // does so between two stops (set_root), so markers run until this is published.
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
  Thread* const self = World::current();
  for (std::size_t done = 0; done < bytes;) {
    auto* const at = static_cast<char*>(memory) + done;
    const std::size_t here = std::min(bytes - done, kPiece);
    if (self != nullptr) World::enter_runtime(*self);
    if (detail::marking.load_relaxed()) {
      detail::clear_and_record(reinterpret_cast<void**>(at), here / kWordSize);
    } else {
      zero_piece(at, here, bytes);
    }
    if (self != nullptr) world.leave_runtime(*self);
    done += here;
  }
}

namespace {

// One piece, in a runtime region. Backwards if the words that are written may still have to be
// read.
void copy_piece(char* to, const char* from, std::size_t bytes, bool backwards) {
  if (!detail::marking.load_relaxed()) {
    std::memmove(to, from, bytes);
    return;
  }
  auto* const words = reinterpret_cast<void**>(to);
  auto* const source = reinterpret_cast<void**>(const_cast<char*>(from));
  const std::size_t count = bytes / kWordSize;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = backwards ? count - 1 - i : i;
    const AtomicRef<void*> word(words[at]);
    void* const old = word.load_relaxed();
    word.store_relaxed(AtomicRef<void*>(source[at]).load_relaxed());
    detail::record_overwritten(old);
  }
}

}  // namespace

// A stop between two pieces sees the copy half done. That hides nothing: what has been overwritten
// while markers run is recorded, and what stands in `from` stays there until it stands in `to`.
void copy_references(void* to, const void* from, std::size_t bytes) {
  auto* const target = static_cast<char*>(to);
  const auto* const source = static_cast<const char*>(from);
  const bool backwards = std::less<>()(source, static_cast<const char*>(target));
  for (std::size_t done = 0; done < bytes;) {
    const std::size_t here = std::min(bytes - done, kPiece);
    const std::size_t at = backwards ? bytes - done - here : done;
    const MaybeRuntimeScope runtime;
    copy_piece(target + at, source + at, here, backwards);
    done += here;
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
