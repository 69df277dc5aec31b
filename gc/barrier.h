#pragma once

// The write barrier. Every store of a reference into a heap object or a root goes through one of
// these functions, whoever makes it (Ref, Root, the map, array helpers).
//
// Marking is by snapshot at the beginning: an object that is reachable when marking starts gets
// marked, whatever the program does meanwhile (Yuasa, "Real-time garbage collection on
// general-purpose machines", 1990). The program can hide an object from the marker only by
// overwriting the last reference that the marker has not seen yet; so while markers run, each store
// records the value it overwrites. What is allocated meanwhile is born marked (thread_cache.h).
//
//     load old; store new; if marking: record old
//
// In this order, as a thread may be stopped between any two of these instructions (world.h):
//
//   stopped by the stop that begins marking
//     before the store   the store and the test come later and are complete
//     after the store    old was overwritten before the snapshot was taken: nobody needs it, unless
//                        it is still held by a register or a stack, which that stop scans
//     after the test     as before
//   stopped by the stop that ends marking
//     between load of old and its record   the old value is in a register or on the stack of an
//                        interrupted thread, and that stop scans those once more
//
// With the test before the store, a thread stopped in between by the first stop would later store
// without recording: a lost object. tests/gc/window_test.cpp and barrier_test.cpp hold threads in
// these windows.
//
// `marking` is written with the world stopped only, so it is constant in a runtime region.

#include <cstddef>
#include <cstdint>

#include <gort/base/atomic.h>
#include <gort/base/config.h>

namespace gort::gc {

/// Overwritten values that one thread has recorded and no marker has seen; none outside of marking.
/// Guard: the thread in a runtime region, or whoever stopped the world.
struct BarrierBuffer {
  static constexpr std::size_t kCapacity = 256;
  std::size_t count = 0;
  void* values[kCapacity];
};

namespace detail {

/// Markers run.
extern GORT_API Atomic<bool> marking;

/// Remembers `old` for the markers. A thread that is not attached holds off stops (set_root).
GORT_API GORT_COLD void record_overwritten(void* old) noexcept;
GORT_API void clear_and_record(void** words, std::size_t count) noexcept;

}  // namespace detail

/// The end of every write to a reference word, right behind the store: `old` was there.
GORT_ALWAYS_INLINE void overwritten(void* old) {
  compiler_barrier();
  if (GORT_UNLIKELY(detail::marking.load_relaxed())) detail::record_overwritten(old);
}

/// *slot := value, where slot is a reference word of a heap object, of a root, or of anything else.
GORT_ALWAYS_INLINE void write_reference(void** slot, void* value) {
  const AtomicRef<void*> word(*slot);
  void* const old = word.load_relaxed();
  word.store_relaxed(value);
  overwritten(old);
}

/// The first value of a reference word that was null (freshly allocated memory).
GORT_ALWAYS_INLINE void init_reference(void** slot, void* value) {
  AtomicRef<void*>(*slot).store_relaxed(value);
}

/// Zeroes `bytes` of memory (whole words, word aligned) that may hold references, recording them.
/// Words that are no references do no harm.
GORT_API void clear_references(void* memory, std::size_t bytes);

/// Copies `bytes` of memory (whole words, word aligned) that may hold references, recording what is
/// overwritten. As memmove: the two may overlap.
GORT_API void copy_references(void* to, const void* from, std::size_t bytes);

}  // namespace gort::gc
