#pragma once

// The background scavenger: gives idle pages back to the operating system, slowly, without anybody
// asking and without any allocation going on. What and when is decided in scavenge_policy.h.
//
//                     first cycle that sets a goal,           at goal, or nothing idle
//                     or a memory limit
//   off --- start ---> no thread -----------------> running <------------------------> resting
//    ^                     ^                          |  ^
//    |                     +------- fork (child) -----+  | 1 ms of work / a pause
//    +------ stop ------------------------------------+--+
//
// The thread is made when there is first something to do, by who ends a cycle or sets a limit; not
// within a stop, nor so that one waits for it, as making it takes locks of the C library, which a
// stopped thread may hold. It has no allocation cache, touches no heap object and is not known to
// the collector, so it need not stop for a collection. All signals are blocked in it. A child of
// fork has no such thread; its next cycle makes one. The fork waits until no piece is on its way to
// the system, so that the child's page allocator is whole.
//
// Resting. The thread sleeps on a futex word. It is woken when
//     a cycle ends or a limit is set, and with the new goal it could not rest on    may_rest_on
//     it rests for want of idle pages and some page becomes idle          note_free
//     it rests at its goal and the heap grows past it                     note_growth
// A new goal that changes nothing is only put where the old one was (`wake_above_`). The last two
// are one relaxed load and a compare on the way of a span, not of an object.
//
// Lost wake-ups. The thread reads the futex word, publishes what it waits for (`wake_on_free_`,
// `wake_above_`), then looks at the heap once more with the page allocator's lock held, and sleeps
// on the value read first. The others change the heap with that lock held, then look at what is
// published, then change the word. Whoever has the lock second sees what the other has done.
//
// Locks: lock_ (rank scavenger) is held while one piece is given back, for start and stop, and to
// take settings over, but not while the thread is made.

#include <csignal>
#include <cstddef>
#include <cstdint>

#include <pthread.h>

#include <gort/alloc/scavenge_policy.h>
#include <gort/base/atomic.h>
#include <gort/base/config.h>
#include <gort/base/lock.h>

namespace gort::alloc {

class Scavenger {
 public:
  constexpr Scavenger() = default;
  Scavenger(const Scavenger&) = delete;
  Scavenger& operator=(const Scavenger&) = delete;

  /// From now on there may be a thread.
  void start() GORT_EXCLUDES(lock_);
  /// Ends the thread, waits for it, and forgets all goals.
  void stop() GORT_EXCLUDES(lock_);

  // --- goals -------------------------------------------------------------------------------------
  /// A collection has ended: the heap goal that it kept to, and that of the next one (kNoGoal:
  /// none). Call it with no lock of rank scavenger or higher, the world running.
  void cycle_ended(std::size_t last_heap_goal, std::size_t heap_goal) GORT_EXCLUDES(lock_);
  /// A setting has changed the next cycle's heap goal, or the memory limit (kNoGoal: none), between
  /// two cycles. Both are asked for under the lock: of two threads that change settings at the same
  /// time, the one that comes here last sees what both have done.
  void settings_changed(std::size_t (*heap_goal)(), std::size_t (*memory_limit)())
      GORT_EXCLUDES(lock_);

  /// Resident heap bytes (used + idle pages) above which idle ones go back; kNoGoal: there is none.
  std::size_t goal() const;
  /// Idle bytes above the goal, or above what it would be if this scavenger were started: what is
  /// going to be given back, or would be. The highest addresses go first.
  std::size_t excess() const;
  bool started() const { return enabled_.load_relaxed(); }

  // --- hooks of the heap -------------------------------------------------------------------------
  /// Pages have become idle. After the page allocator's lock has been released.
  void note_free() {
    if (GORT_UNLIKELY(wake_on_free_.load_relaxed())) wake();
  }
  /// The heap's resident bytes are `retained`. Likewise.
  void note_growth(std::size_t retained) {
    if (GORT_UNLIKELY(retained > wake_above_.load_relaxed())) wake();
  }

  /// Once a process. Fork handlers that take locks of lower ranks are to be installed after these.
  static void install_fork_handlers();

  // --- for everybody -----------------------------------------------------------------------------
  /// Gives back everything that is idle, now. Returns the bytes. Others may allocate meanwhile: a
  /// lock of theirs is held for no longer than one chunk's pages take, to be marked or, where huge
  /// pages brought in what nobody asked for, to be dropped.
  std::size_t release_all() GORT_EXCLUDES(lock_);

  struct Figures {
    std::uint64_t released_bytes = 0;  ///< by the thread
    std::uint64_t worked_ns = 0;       ///< processor time of that
    std::uint64_t pieces = 0;
    std::uint64_t wakes = 0;    ///< out of a rest
    std::uint64_t threads = 0;  ///< made so far
    bool running = false;       ///< there is a thread
    bool resting = false;       ///< and it has nothing to do
  };
  Figures figures() const;

 private:
  enum ThreadState : std::uint32_t { none, starting, serving };

  static void* thread_main(void* self);
  void run();
  void rest(std::uint32_t seen, bool at_goal, std::uint64_t frees_seen);
  void wake();
  void goals_changed() GORT_EXCLUDES(lock_);
  bool may_rest_on();
  void make_thread() GORT_EXCLUDES(lock_);

  static void before_fork();
  static void after_fork_in_parent();
  static void after_fork_in_child();

  ScavengeInput input() const;

  mutable Lock lock_{LockRank::scavenger};
  Atomic<bool> enabled_{false};  ///< written under the lock
  /// Written under the lock. A futex: stop() waits for the end of `starting`.
  Atomic<std::uint32_t> thread_state_{none};
  pthread_t thread_ GORT_GUARDED_BY(lock_) = {};
  sigset_t mask_before_fork_ GORT_GUARDED_BY(lock_) = {};

  Atomic<std::uint32_t> word_{0};  ///< futex; changes when there is something to look at
  Atomic<bool> stopping_{false};
  Atomic<bool> wake_on_free_{false};
  Atomic<std::size_t> wake_above_{kNoGoal};

  // What the goals are made of, read by all. One writer: the end of a cycle; of the last two also
  // settings, under the lock. Where a setting and the end of a cycle meet, either's heap goal may
  // stay; the end of the next cycle puts that right.
  Atomic<std::uint64_t> cycles_{0};
  Atomic<std::size_t> in_use_{0};
  Atomic<std::size_t> last_heap_goal_{0};
  Atomic<std::size_t> heap_goal_{kNoGoal};
  Atomic<std::size_t> memory_limit_{kNoGoal};

  // Figures; written by the thread alone, but for `threads`.
  Atomic<std::uint64_t> released_bytes_{0};
  Atomic<std::uint64_t> worked_ns_{0};
  Atomic<std::uint64_t> pieces_{0};
  Atomic<std::uint64_t> wakes_{0};
  Atomic<std::uint64_t> threads_{0};
  Atomic<bool> resting_{false};
};

extern GORT_API Scavenger scavenger;

}  // namespace gort::alloc
