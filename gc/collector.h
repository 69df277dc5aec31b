#pragma once

// The collector: one mark-sweep cycle from beginning to end, and when it happens.
//
//     finish sweeping the last cycle's spans
//     stop the world: flush all caches, mark from roots and stacks, sweepgen += 2   (all is
//     unswept) resume: spans are swept when an allocation wants them, and all of them before the
//     next cycle
//
// A cycle is started by the allocation that takes the heap to its goal (pacer.h), by collect(), or
// by an allocation that the operating system has refused (emergency).
//
// Locks: collection lock (rank collection) is held through a cycle: there is one at a time. The
// settings are atomics, read at the end of a cycle and on slow paths.

#include <cstddef>
#include <cstdint>

#include <gort/base/atomic.h>
#include <gort/base/lock.h>
#include <gort/gc/pacer.h>
#include <gort/gc/world.h>

namespace gort::gc {

enum class CycleReason : std::uint8_t { heap_goal, forced, emergency, every_nth };

/// What one cycle did. Times in nanoseconds, sizes in bytes.
struct CycleRecord {
  std::uint64_t number = 0;  ///< 1 for the first
  CycleReason reason = CycleReason::heap_goal;
  std::int64_t start_ns = 0;     ///< monotonic
  std::int64_t end_wall_ns = 0;  ///< calendar time when the world went on
  std::int64_t sweep_ns = 0;     ///< finishing the sweep before
  std::int64_t stop_ns = 0;      ///< bringing the threads to a stop, flushing
  std::int64_t mark_ns = 0;
  std::int64_t pause_ns = 0;    ///< the world stood still
  std::size_t heap_before = 0;  ///< heap_live at the start
  std::size_t marked = 0;       ///< live bytes
  std::size_t goal = 0;         ///< goal that this cycle kept to
  std::size_t next_goal = 0;
  std::size_t stack_bytes = 0;  ///< stack scanned
  std::size_t root_bytes = 0;   ///< root slots scanned
};

struct CollectorOptions {
  std::int64_t gc_percent = 100;
  std::size_t memory_limit = kNoLimit;
  bool conservative_stacks = true;
  /// Collect at every Nth allocation; 0 = off. Takes the fast path away, so that every one counts.
  std::uint64_t collect_every = 0;
  bool verify = false;  ///< check the marks of every cycle (verifier.h)
  bool poison = false;  ///< fill dead slots when they are swept
  /// Called at the end of each cycle, world running, collection lock held: must not allocate.
  void (*on_cycle)(const CycleRecord&) = nullptr;
};

class Collector {
 public:
  /// Wires the collector to the allocator. The calling thread is attached.
  void start(const CollectorOptions& options);
  /// Frees every object. All other threads must be detached.
  void shutdown();
  bool started() const { return started_.load_acquire(); }

  /// A full cycle; with `sweep_all` everything is swept on return. The calling thread is attached
  /// if it is not.
  void collect(CycleReason reason, bool sweep_all);

  /// Returns the previous value; negative = off.
  std::int64_t set_gc_percent(std::int64_t percent);
  std::size_t set_memory_limit(std::size_t bytes);
  std::int64_t gc_percent() const { return gc_percent_.load_relaxed(); }
  std::size_t memory_limit() const { return memory_limit_.load_relaxed(); }

  std::size_t goal() const { return goal_.load_relaxed(); }
  /// The last finished cycle (number 0: none yet).
  CycleRecord last_cycle();
  /// Lengths of the last pauses and when they ended, a ring of 256 as in Go's MemStats; cycle n is
  /// at (n + 255) % 256.
  static constexpr std::size_t kPauseRing = 256;
  void copy_pauses(std::uint64_t (&pause_ns)[kPauseRing], std::uint64_t (&pause_end)[kPauseRing]);

  /// Runs `f(context)` with the world stopped and every cache's numbers readable. The calling
  /// thread must be attached; `f` must not allocate from the heap.
  void with_world_stopped(void (*f)(void*), void* context);

 private:
  static alloc::ThreadCache& before_slow_path(std::size_t bytes);
  static bool out_of_memory(std::size_t bytes);
  void mark_world(CycleRecord& record) GORT_REQUIRES(lock_);
  void update_goal();
  void acquire_parked() GORT_ACQUIRE(lock_);

  Lock lock_{LockRank::collection};
  Atomic<bool> started_{false};
  Atomic<std::int64_t> gc_percent_{100};
  Atomic<std::size_t> memory_limit_{kNoLimit};
  Atomic<std::size_t> goal_{kMinimumHeap};
  Atomic<std::size_t> last_marked_{0};
  Atomic<std::size_t> last_roots_{0};
  Atomic<std::uint64_t> slow_paths_{0};
  CollectorOptions options_;  // constant while started, but for the two atomics above
  CycleRecord last_ GORT_GUARDED_BY(lock_);
  std::uint64_t pause_ns_[kPauseRing] GORT_GUARDED_BY(lock_) = {};
  std::uint64_t pause_end_[kPauseRing] GORT_GUARDED_BY(lock_) = {};
};

extern Collector collector;

/// collector.with_world_stopped for a lambda.
template <class F>
void with_world_stopped(F&& f) {
  collector.with_world_stopped([](void* context) { (*static_cast<F*>(context))(); }, &f);
}

}  // namespace gort::gc
