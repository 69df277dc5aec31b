#pragma once

// The collector: when cycles happen, and who waits for them. One cycle itself is in cycle.h.
//
// Cycles run on a thread of the collector's own, started on demand. They are counted by four
// numbers, each a word that threads can sleep on:
//
//     wanted >= begun >= marked >= swept        (as differences, they may wrap)
//
//     wanted   the number of the last cycle that somebody has asked for
//     begun    cycles that have begun: set before anything else is done
//     marked   cycles whose marking has ended: what is dead is known
//     swept    cycles whose dead objects are all swept
//
// Asking is therefore: wanted := max(wanted, begun + 1). Who asks for a collection of what is
// garbage now, waits until `swept` has reached that number: the cycle begins after the question.
// Allocation asks when the heap reaches the trigger, and does not wait, unless the heap is over its
// hard limit (pacer.h), or, above a memory limit that cannot be kept, the CPU limiter intervenes
// (cpu_limiter.h, limits.cpp).
//
// If the system refuses the thread, whoever asks runs the cycle itself; the code is the same, as
// the cycle treats the thread it runs on like any other. So does a thread that reaches the trigger
// of a heap with few objects (small_cycle.cpp).
//
// Locks: the collection lock (rank collection) is held through a cycle. Settings are atomics; what
// follows from them is computed under a lock of its own (update_goal).

#include <array>
#include <cstddef>
#include <cstdint>

#include <pthread.h>

#include <gort/base/atomic.h>
#include <gort/base/config.h>
#include <gort/base/lock.h>
#include <gort/gc/cpu_limiter.h>
#include <gort/gc/cycle.h>
#include <gort/gc/pacer.h>
#include <gort/gc/world.h>

namespace gort::gc {

struct CollectorOptions {
  std::int64_t gc_percent = 100;
  std::size_t memory_limit = kNoLimit;
  bool conservative_stacks = true;
  /// Signal that stops threads anywhere; 0: at polls alone. Ignored without conservative stacks.
  int stop_signal = 0;
  /// Collect at every Nth allocation; 0 = off. Takes the fast path away, so that every one counts.
  std::uint64_t collect_every = 0;
  bool verify = false;  ///< check the marks of every cycle (verifier.h)
  bool poison = false;  ///< fill dead slots when they are swept
  /// Sweep in the background after each cycle; otherwise only what allocation or the next cycle
  /// needs is swept. For watching what awaits the sweep.
  bool background_sweep = true;
  /// Collect a heap of few objects in one stop, on the thread that reaches the trigger.
  bool small_cycles = true;
  /// Threads that mark at the same time, the collector's own among them; 0: mark_workers.h decides.
  std::size_t markers = 0;
  /// Destructors and cleanups run on a thread of their own; otherwise only in run_cleanups().
  bool cleanup_thread = true;
  /// Called when a cycle has marked and before it sweeps, world running, on the thread that ran it:
  /// must not allocate and not throw.
  void (*on_cycle)(const CycleRecord&) = nullptr;
  /// Called on the same thread when a cycle reaches a phase, world running; it may take its time.
  void (*on_phase)(Phase) = nullptr;
  /// See runtime/options.h.
  bool (*out_of_memory)(std::size_t bytes, void* context) = nullptr;
  void* out_of_memory_context = nullptr;
  void (*on_event)(const CycleEvent&, void* context) = nullptr;
  void* on_event_context = nullptr;
  /// Capacity of the CPU limiter's bucket in nanoseconds; negative: one second of each processor.
  std::int64_t limiter_capacity = -1;
  /// The CPU limiter's clock, for tests; null: the system's. Any thread, in the runtime.
  CpuTimes (*cpu_times)() = nullptr;
};

/// What the finished cycles have left behind.
struct CycleHistory {
  static constexpr std::size_t kPauses = 256;  // as in Go's MemStats
  CycleRecord last;                            ///< number 0: there was none
  std::uint64_t cycles = 0;
  std::uint64_t forced_cycles = 0;
  std::uint64_t stop_ns = 0;  ///< of all cycles, and of those that were given up
  /// How long the last cycles stopped the world, and when they ended, in ns since 1970. Cycle n is
  /// at (n + 255) % 256.
  std::array<std::uint64_t, kPauses> pause_ns{};
  std::array<std::uint64_t, kPauses> pause_end{};
};

class Collector {
 public:
  /// Wires the collector to the allocator. The calling thread is attached. If it throws
  /// (std::bad_alloc, std::system_error), nothing has started.
  void start(const CollectorOptions& options);
  /// Frees every object. All other threads must be detached.
  void shutdown();
  bool started() const { return started_.load_acquire(); }

  /// A full cycle that begins after the call; with `sweep_all` everything is swept on return. The
  /// calling thread is attached if it is not.
  void collect(CycleReason reason, bool sweep_all);

  /// Returns the previous value; negative = off.
  std::int64_t set_gc_percent(std::int64_t percent);
  std::size_t set_memory_limit(std::size_t bytes);
  std::int64_t gc_percent() const { return gc_percent_.load_relaxed(); }
  std::size_t memory_limit() const { return memory_limit_.load_relaxed(); }

  std::size_t goal() const { return goal_.load_relaxed(); }
  std::size_t trigger() const { return trigger_.load_relaxed(); }
  /// Processor time spent in collections since the start, and its share of what there was.
  std::int64_t collecting_ns() const { return collecting_ns_.load_relaxed(); }
  double cpu_share() const;
  /// The last finished cycle (number 0: none yet).
  CycleRecord last_cycle();
  CycleHistory history();

  /// Runs `f(context)` with the world stopped and every cache's numbers readable, at any phase of a
  /// cycle. The calling thread must be attached; `f` must not allocate from the heap.
  void with_world_stopped(void (*f)(void*), void* context);

  /// No cycle is under way between these two: waits for the end of the one that is. World running.
  void hold_cycles(Thread& self) GORT_ACQUIRE(lock_);
  void release_cycles() GORT_RELEASE(lock_) { lock_.release(); }
  /// In the child of a fork, between the two: the thread is gone, and what it was asked for.
  void after_fork_in_child();

 private:
  friend class Cycle;
  using Number = Atomic<std::uint32_t>;

  // Hooks of the allocator.
  static alloc::ThreadCache& enter_slow_path(std::size_t bytes);
  static void leave_slow_path() noexcept;
  static bool out_of_memory(std::size_t bytes, unsigned attempt);
  static void while_parked(void (*f)(void*), void* context);
  static bool start_thread(pthread_t& thread, const char* name, void* (*f)(void*), void* context);

  std::uint32_t request(CycleReason reason, bool sweep_all = false);
  void wait(Thread& self, Number& number, std::uint32_t value);
  void wait_for_room(Thread& self, std::uint32_t number);
  void wake_helper();
  void begin_if_idle(Thread& self, std::size_t bytes);
  void assist(Thread& self, std::size_t bytes);
  /// Marks up to `budget` bytes of what the pool has; returns bytes scanned.
  std::size_t help_mark(std::size_t budget);
  void update_goal();
  void note_allocating_threads(std::size_t count);

  // limits.cpp
  void start_limiter();
  CpuTimes cpu_times() const;
  void charge_cycle();
  void charge_workers();
  void limiter_begins_cycle(CycleReason reason);
  void limiter_watches_cycle();
  void limiter_ends_cycle();
  void try_update_limiter();
  void update_limiter() GORT_REQUIRES(limiter_lock_);
  void publish_limiter() GORT_REQUIRES(limiter_lock_);
  bool put_off(std::size_t bytes);
  void finish_cycle(const CycleRecord& record);

  /// Whether number a is at or past b.
  static bool reached(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::int32_t>(a - b) >= 0;
  }
  /// Whether somebody waits for the sweep of the cycle that has begun last.
  bool must_sweep() const { return reached(sweep_wanted_.load_seq_cst(), begun_.load_relaxed()); }

  /// False if the system gives no thread. The calling thread is in the runtime.
  bool ensure_thread(Thread& self);
  void end_thread();
  static void* thread_main(void* context);
  void serve(Thread& self);
  void run_cycle_inline(Thread& self);
  void run_cycle(Thread& self);
  /// The marking of a cycle has ended: whoever waits for that goes on.
  void announce(const Cycle& cycle);
  /// The heap is at its trigger with `bytes` more. Runs a cycle if it can be done in one stop, or
  /// leaves that to another thread that does: see small_cycle.cpp. False if one must be asked for.
  bool try_small_cycle(Thread& self, std::size_t bytes);
  bool run_small_cycle(Thread& self);

  Lock lock_{LockRank::collection};
  Atomic<bool> started_{false};
  CollectorOptions options_;  // constant while started, but for the two atomics that follow
  Atomic<std::int64_t> gc_percent_{100};
  Atomic<std::size_t> memory_limit_{kNoLimit};

  Number wanted_{0}, begun_{0}, marked_{0}, swept_{0};
  Atomic<std::uint32_t> wanted_reason_{0};
  Number small_cycle_{0};   ///< 1: a thread runs a small cycle, or tries to; 0 over a fork
  Number holds_wanted_{0};  ///< threads that wait for the collection lock in hold_cycles()
  Number sweep_wanted_{0};  ///< the last number of `swept` that somebody waits for

  enum ThreadState : std::uint32_t { none, starting, serving, refused };
  Atomic<std::uint32_t> thread_state_{none};
  Atomic<bool> ending_{false};
  pthread_t thread_{};  // guard: whoever moved thread_state_ to starting, or shutdown

  // Pacing. The first three are written at the end of a cycle and when a setting changes, under the
  // lock; the rest at the end of a cycle.
  Lock goal_lock_{LockRank::leaf};
  Atomic<std::size_t> goal_{kMinimumHeap};
  Atomic<std::size_t> trigger_{kMinimumHeap};
  Atomic<std::size_t> percent_trigger_{kMinimumHeap};  ///< the trigger if there were no limit
  Atomic<std::size_t> last_marked_{0};
  Atomic<std::size_t> last_roots_{0};
  Atomic<std::size_t> last_objects_{0};        ///< how many were marked
  Atomic<std::size_t> last_ends_{0};           ///< destructors and cleanups that became due
  Atomic<std::size_t> allocating_threads_{1};  ///< most in one of the last cycles
  unsigned fewer_threads_ = 0;  ///< cycles since there were as many; guard: lock_, world stopped
  Atomic<std::size_t> runway_{0};
  // Of the marking that goes on.
  Atomic<std::uint64_t> assist_ratio_{0};
  Atomic<std::int64_t> background_credit_{0};
  Atomic<std::uint32_t> helpers_waiting_{0};  ///< asleep in wait_for_room()
  Atomic<std::size_t> assisted_bytes_{0};
  Atomic<std::int64_t> assist_ns_{0};
  Atomic<std::uint64_t> slow_paths_{0};

  std::int64_t started_ns_ = 0;            // constant while started
  Atomic<std::int64_t> collecting_ns_{0};  ///< charged so far
  Atomic<std::int64_t> idle_ns_{0};        ///< spent by workers on processors that nobody used
  std::int64_t charged_cpu_ns_ = 0;        ///< guard: lock_; the cycle's thread's clock, then
  Lock limiter_lock_{LockRank::leaf};
  CpuLimiter limiter_ GORT_GUARDED_BY(limiter_lock_);
  Atomic<bool> limiting_{false};                ///< what limiter_ said last
  Atomic<std::size_t> limiter_asked_again_{0};  ///< value of heap_live at which to ask it again

  Lock record_lock_{LockRank::leaf};
  // But for the three sums: those are counters, raised under the lock, and history() adds them.
  CycleHistory history_ GORT_GUARDED_BY(record_lock_);
};

extern GORT_API Collector collector;

/// Throws std::logic_error, which names the function, if the runtime has not been started.
void require_started(const char* function);

/// collector.with_world_stopped for a lambda.
template <class F>
void with_world_stopped(F&& f) {
  collector.with_world_stopped([](void* context) { (*static_cast<F*>(context))(); }, &f);
}

}  // namespace gort::gc
