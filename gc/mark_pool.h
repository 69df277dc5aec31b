#pragma once

// Grey objects that markers share, in blocks. A marker works on a block of its own and comes here
// when that is full or empty (Go's gcWork and its work queues; Ossia et al., "A parallel,
// incremental and concurrent GC for servers", PLDI 2002, call it work packets).
//
//     full     blocks with grey objects, nobody's
//     empty    blocks kept for reuse
// A block is in one of the two lists or belongs to one marker.
//
// If there is no memory for another block, grey objects are dropped and `overflowed` remembers it:
// the cycle then ends with walks over all marked objects that look for white children
// (Marker::rescan_heap). Slow, but it needs no memory and always ends. For that one block is always
// there: the walk's own marker, the only one with the world stopped, has it, or can take it. Into a
// block that it has the rest of a large object goes before what its first piece refers to, so it is
// not dropped: what was marked when the walk began is looked at to its end, and if anything is
// dropped, more is marked than before.
//
// Guard: the lock (rank mark_pool). The numbers are atomics, so that one can look without it.

#include <cstddef>
#include <cstdint>

#include <gort/alloc/span.h>
#include <gort/base/atomic.h>
#include <gort/base/config.h>
#include <gort/base/lock.h>
#include <gort/gc/barrier.h>

namespace gort::gc {

/// A marked object whose references have not been looked at, or the rest of a large one.
struct Grey {
  std::uintptr_t start = 0;  ///< an object's first byte; in a large object also a later element's
  const alloc::Span* span = nullptr;
};

struct GreyBlock {
  static constexpr std::size_t kCapacity = 254;
  GreyBlock* next = nullptr;
  std::size_t count = 0;
  Grey entries[kCapacity];
};

class MarkPool {
 public:
  /// An empty block, or null if there is no memory.
  GreyBlock* take_empty();
  void put_empty(GreyBlock* block);
  /// A block with grey objects, or null if there is none.
  GreyBlock* take_full();
  void put_full(GreyBlock* block);
  bool has_full() const { return full_count_.load_relaxed() != 0; }

  /// Frees the blocks kept for reuse, all but a few and the one that is always there.
  void trim();

  /// Markers other than the cycle's own that may hold grey objects: of threads that allocate, and
  /// of workers.
  Atomic<std::uint32_t> busy{0};
  /// Grey objects were dropped.
  Atomic<bool> overflowed{false};
  // What markers have done in this cycle; they add to it now and then.
  Atomic<std::size_t> objects_marked{0};
  Atomic<std::size_t> bytes_marked{0};
  Atomic<std::size_t> bytes_scanned{0};

 private:
  static GreyBlock first_;
  Lock lock_{LockRank::mark_pool};
  GreyBlock* full_ GORT_GUARDED_BY(lock_) = nullptr;
  GreyBlock* empty_ GORT_GUARDED_BY(lock_) = &first_;
  Atomic<std::size_t> full_count_{0};
};

extern GORT_API MarkPool mark_pool;

/// Marks everything that the buffer holds and empties it. The buffer's thread in a runtime region
/// or between stops, or world stopped.
void flush_overwritten(BarrierBuffer& buffer) noexcept;

}  // namespace gort::gc
