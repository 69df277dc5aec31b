#pragma once

// Threads that mark beside the collector's own, where there are processors for them:
//
//     dedicated   a quarter of the processors, the collector's thread among them (Go's share)
//     idle        each processor that no thread of the program runs on: threads that wait in
//                 Blocking, or for a collection, leave theirs to marking
//
// How many may work is counted about every millisecond of a marking, so short ones have none. A
// worker is made when it is first needed, and sleeps in between.
//
//     allowed   worker i works while i < allowed; 0 when nothing is being marked
//     asleep    workers that have found nothing to do
//
// To the world a worker is like the collector's thread: in the runtime, stopped at its polls alone.
// To the cycle it is like a thread that helps: it holds grey objects only while it is counted in
// MarkPool::busy, and does not park meanwhile. So the cycle's argument for termination (cycle.h)
// has no case more.
//
// Guard: threads_ and handles_ by the collection lock, or shutdown; the rest is atomic.

#include <cstddef>
#include <cstdint>

#include <pthread.h>

#include <gort/base/atomic.h>
#include <gort/base/config.h>

namespace gort::gc {

struct Thread;

class MarkWorkers {
 public:
  /// How many threads mark at the same time, with the cycle's own; 0: as many as processors allow.
  void configure(std::size_t markers) { markers_ = markers; }

  /// Lets as many work as there are processors for. The cycle's thread, world running.
  void adapt();
  /// There is something in the pool.
  void wake_one();
  /// Nobody works any more, but perhaps to the end of a piece.
  void dismiss();
  /// Waits for the threads' end. `self`: the calling thread, in the runtime.
  void end_threads(Thread& self);
  /// The threads are gone.
  void after_fork_in_child();

  /// Processor time of workers in the current marking.
  std::int64_t dedicated_ns() const { return dedicated_ns_.load_relaxed(); }
  std::int64_t idle_ns() const { return idle_ns_.load_relaxed(); }
  void reset_numbers();

 private:
  static constexpr std::size_t kMost = 31;

  void make_threads(std::size_t count);
  static void* thread_main(void* index);
  void serve(Thread& self, std::size_t index);
  /// False if there was nothing to mark.
  bool work(std::size_t index);
  void wake_all();

  std::size_t markers_ = 0;  // constant while started
  std::size_t threads_ = 0;
  pthread_t handles_[kMost] = {};
  Atomic<std::size_t> allowed_{0};
  Atomic<std::uint32_t> word_{0};  ///< futex; changes when there may be something to do
  Atomic<std::uint32_t> asleep_{0};
  Atomic<bool> ending_{false};
  Atomic<std::int64_t> dedicated_ns_{0};
  Atomic<std::int64_t> idle_ns_{0};
};

extern GORT_API MarkWorkers mark_workers;

}  // namespace gort::gc
