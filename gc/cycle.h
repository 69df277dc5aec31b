#pragma once

// One mark-sweep cycle, from beginning to end:
//
//     finish the sweep of the last cycle          world running
//     first stop   the runs of all caches turn black, barrier on, stacks are scanned
//     mark         roots, then whatever is grey   world running; allocating threads help
//     last stop    what barriers recorded, stacks of interrupted threads once more; if little is
//                  left it is marked, else the world goes on and so does marking, a few times;
//                  so it does if destructors are due (ends_of_life.cpp);
//                  then caches are flushed, barrier off, sweepgen += 2: all is unswept
//     sweep        in the background, on demand, and in proportion to what is allocated
//
// Termination. With the world stopped, every thread but this one is parked outside the runtime. A
// grey object is in the pool, in this thread's marker, in that of an assisting thread or a worker
// (mark_workers.h), or is yet to be found in a barrier buffer or on the stack of an interrupted
// thread. Those threads do not park before they have published; buffers and stacks are emptied into
// this thread's marker. So when that and the pool are empty and nothing was dropped
// (MarkPool::overflowed), nothing is grey; and as every object reachable at the first stop was
// marked or is reached from a grey one (barrier.h), all of them are black.
//
// Nothing is swept, and no span is freed, between the first and the last stop: all spans have been
// swept before, and they become unswept at the last.
//
// A heap with few objects is marked in the first stop, which is then the last (small_cycle.cpp).

#include <cstddef>
#include <cstdint>

#include <gort/alloc/heap.h>
#include <gort/gc/cycle_event.h>
#include <gort/gc/marker.h>
#include <gort/gc/world.h>

namespace gort::gc {

class Collector;
struct CleanupRecord;

/// Moments of a cycle, in this order; the world runs at each.
enum class Phase : std::uint8_t {
  sweep_finished,    ///< of the cycle before
  marking_started,   ///< barrier on, nothing marked yet but from stacks
  drained,           ///< nothing is grey that this thread knows of; may be reached several times
  marking_finished,  ///< barrier off, everything is unswept
  swept,
};

class Cycle {
 public:
  /// `self`: the calling thread, in the runtime, its stack recorded.
  Cycle(Collector& owner, Thread& self, CycleReason reason);
  void finish_sweep();
  void mark();
  /// The whole marking in one stop, if there is little to mark. Otherwise false,
  /// and nothing has happened but the stop. In small_cycle.cpp, with who wants this.
  bool mark_in_one_stop();
  void sweep();
  /// Large objects alone: few, and their memory is worth having back at once.
  void sweep_large();
  const CycleRecord& record() const { return record_; }

 private:
  void phase(Phase reached);
  void event(CycleEvent::Kind kind, std::int64_t at_ns);
  void begin_marking();
  void reset_numbers();
  /// World stopped, as for all that looks at stacks.
  void mark_tiny_blocks();
  /// Caches give back what they hold. World stopped.
  void flush_caches();
  /// Takes all marks back, and the world goes on. World stopped.
  void give_up();
  void mark_roots();
  void drain();
  /// Stops the world; true, with the world stopped, if nothing is grey.
  bool try_to_finish(bool insist);
  void end_marking();
  // Ends of life (ends_of_life.cpp). The first and the last with the world running, begin_dying()
  // with the world stopped and nothing grey: true if there is now more to mark.
  void look_for_dead();
  bool begin_dying();
  void mark_dying();
  /// Bytes scanned.
  static std::size_t scan_stack(const Thread& thread, Marker& marker);
  static std::size_t scan_left_stack(const Thread& thread, Marker& marker);
  static bool on_own_stack(const Thread& thread);
  /// Each stack and what is reached from it, by its thread if that is awake. In small_cycle.cpp.
  void mark_from_stacks();
  static bool mark_from_stack(Thread& thread, Marker& marker);
  void scan_ranges(bool stacks);  // ranges.cpp
  void update_assist_ratio();
  /// world.poll(), unless this thread is the one that has stopped the world. At most some hundred
  /// microseconds of work go by without: whoever wants to stop the world waits for this thread too.
  void poll();
  /// f(), which takes long, touches nothing but what belongs to this cycle, and may throw: the
  /// world may stop meanwhile.
  template <class F>
  void parked(F&& f) {
    if (world_stopped_) return f();
    struct Blocking {
      Thread& self;
      explicit Blocking(Thread& thread) : self(thread) { world.enter_blocking(self); }
      ~Blocking() { world.leave_blocking(self); }
    } const blocking(self_);
    f();
  }
  // The world lock is held from one to the other, over several functions.
  void stop() GORT_NO_THREAD_SAFETY_ANALYSIS;
  /// The same, and nobody keeps a processor busy in the system meanwhile (long_calls.h).
  void stop_when_convenient() GORT_NO_THREAD_SAFETY_ANALYSIS;
  void resume() GORT_NO_THREAD_SAFETY_ANALYSIS;

  Collector& collector_;
  Thread& self_;
  Marker marker_;
  CycleRecord record_;
  bool world_stopped_ = false;
  std::int64_t stop_start_ns_ = 0;
  std::int64_t mark_start_ns_ = 0;
  std::int64_t mark_start_cpu_ns_ = 0;
  CleanupRecord* dying_ = nullptr;  // destructors that are due, to be marked from
  std::size_t watched_white_ = 0;   // destructors and cleanups that are due
  std::size_t black_bytes_ = 0;     // unused slots of runs that turned black
  std::size_t allocating_threads_ = 0;
  alloc::Emptied emptied_ = alloc::Emptied::freed;  // what the sweep does with empty spans
};

}  // namespace gort::gc
