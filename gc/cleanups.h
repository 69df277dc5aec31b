#pragma once

// The table behind destructors of collected objects and add_cleanup(): who is to be told when which
// object is dead, and the queue of those who are.
//
// A record is in one of these states:
//
//             watch              found dead, with the world stopped
//     free ----------> watching ------------------------------------> dying (destructors only)
//      ^                  |  \                                          | what it reaches is marked
//      |  stop()          |   \ found dead (cleanups)                   v
//      +------------------+    +-------------------------------------> due
//      ^                                                                | taken by the runner
//      +------------------------- has run --------------------------- running
//
// Destructors. The object is kept, with everything it reaches, until its destructor has run: in the
// states dying, due and running a destructor's record is a root. Markers read it as such; that it
// stops being one goes through the write barrier. The object's memory is free after the next cycle.
// All objects found dead by one cycle die in one go, those that reach others before the others, as
// far as there is such an order (ends_of_life.cpp).
//
// Cleanups hold nothing. They are due when the object's memory is about to be freed, that is, after
// its destructor, if it has one, has run and the object has been found dead once more.
//
// The runner. One thread at a time runs what is due, in the order of the queue: the thread
// `gort-cleanup`, made when something is due for the first time, or who calls run_cleanups(). It is
// attached, is stopped like any thread, and holds no lock of the runtime while it runs a piece.
//
// The time in the stop. As for weak slots (weak.h): blocks in which a record watches an unmarked
// object are found before the stop, and the stop looks at these alone.
//
// Guard: the lock (rank cleanups) for lists, queue and the records' plain fields; state and target
// are read by markers beside it.

#include <cstddef>
#include <cstdint>

#include <pthread.h>

#include <gort/base/atomic.h>
#include <gort/base/config.h>
#include <gort/base/lock.h>

namespace gort::gc {

struct Thread;

struct CleanupRecord {
  enum State : std::uint32_t { free, watching, dying, due, running };
  void* target = nullptr;              ///< atomic; null when the object is gone
  void (*run)(void* what) = nullptr;   ///< `what`: the object, or the callable
  void (*drop)(void* what) = nullptr;  ///< destroys the callable; null: this is a destructor
  void* callable = nullptr;
  const char* name = nullptr;  ///< of the object's type, or of the callable's
  std::uint64_t id = 0;        ///< tells one use of the record from the next
  CleanupRecord* next = nullptr;
  Atomic<std::uint32_t> state{free};

  bool is_destructor() const { return drop == nullptr; }
  void* target_now() { return AtomicRef<void*>(target).load_relaxed(); }
};

class Cleanups {
 public:
  // --- watching ----------------------------------------------------------------------------------
  /// Null if there is no memory. The calling thread in a runtime region or not attached.
  CleanupRecord* watch(void* target, void (*call)(void*), void (*drop)(void*), void* callable,
                       const char* name, std::uint64_t& id);
  /// The callable, if the record is still that of `id` and has not begun to run: the caller drops
  /// it, and it will not run. Else null.
  void* stop(CleanupRecord& record, std::uint64_t id);

  // --- for the cycle -----------------------------------------------------------------------------
  /// Calls `f(target)` for each object whose destructor is due, and `poll()` now and then, also
  /// where there is none. Any thread.
  template <class F, class Poll>
  void for_each_kept(F&& f, Poll&& poll) {
    for (Block* block = first_block(); block != nullptr; block = block->next) {
      for (CleanupRecord& record : block->records) {
        if (record.state.load_acquire() < CleanupRecord::dying) continue;
        if (void* target = record.target_now()) f(target);  // of a cleanup it is null by now
      }
      poll();
    }
  }
  /// Finds the suspect blocks, and how many records in them watch unmarked objects. World running,
  /// markers too; calls `poll()` now and then.
  template <class F>
  std::size_t find_suspects(F&& poll) {
    std::size_t count = 0;
    for (Block* block = first_block(); block != nullptr; block = block->next) {
      block->suspect = false;
      for (CleanupRecord& record : block->records) {
        if (!watches_white(record)) continue;
        block->suspect = true;
        ++count;
      }
      poll();
    }
    return count;
  }
  /// Destructors of unmarked objects: watching -> dying. The list, through `next`. World stopped,
  /// nothing grey.
  CleanupRecord* take_dying();
  /// Cleanups of unmarked objects: watching -> due. World stopped, nothing grey, nothing dying.
  void take_dead();
  /// dying -> due, in this order, some of them. Returns the rest.
  CleanupRecord* enqueue(CleanupRecord* list);
  /// Has what is due run by the thread, if there is to be one. World running.
  void wake();

  // --- running -----------------------------------------------------------------------------------
  /// Before the first watch(). `signal`: the one that stops threads, or 0.
  void configure(bool own_thread, int signal);
  /// Runs what is due, and what becomes so meanwhile; waits for another runner. Inside a cleanup it
  /// does nothing. Returns how many. Attached threads.
  std::size_t run();
  /// Ends the thread, after the piece that it runs.
  void end_thread();
  /// Runs everything, due or not: the end of the heap. The newest object first. Nobody else uses
  /// the heap.
  void run_all();

  std::size_t watched();
  std::size_t due_count();

  Lock& lock() GORT_RETURN_CAPABILITY(lock_) { return lock_; }
  /// In the child of a fork, with the lock held: the thread is gone, unless it is the caller; what
  /// another thread was running is not run again.
  void after_fork_in_child(Thread* self) GORT_REQUIRES(lock_);

 private:
  static constexpr std::size_t kRecords = 63;
  struct Block {
    Block* next = nullptr;
    bool suspect = false;  // the collecting thread's
    CleanupRecord records[kRecords];
  };

  static bool watches_white(CleanupRecord& record);
  Block* first_block();
  void add_block() GORT_REQUIRES(lock_);
  void free_record(CleanupRecord& record) GORT_REQUIRES(lock_);
  void append(CleanupRecord& record) GORT_REQUIRES(lock_);
  CleanupRecord* take_all_watching();

  bool become_runner(Thread& self);
  void stop_running();
  CleanupRecord* pop_due();
  void execute(CleanupRecord& record);
  static void* thread_main(void* context);
  void serve(Thread& self);

  Lock lock_{LockRank::cleanups};
  Block* blocks_ GORT_GUARDED_BY(lock_) = nullptr;
  CleanupRecord* free_ GORT_GUARDED_BY(lock_) = nullptr;
  CleanupRecord* first_due_ GORT_GUARDED_BY(lock_) = nullptr;
  CleanupRecord* last_due_ GORT_GUARDED_BY(lock_) = nullptr;
  std::size_t watched_ GORT_GUARDED_BY(lock_) = 0;
  std::uint64_t last_id_ GORT_GUARDED_BY(lock_) = 0;
  Atomic<std::size_t> due_{0};  ///< length of the queue

  Thread* runner_ GORT_GUARDED_BY(lock_) = nullptr;
  Atomic<std::uint32_t> turn_{0};  ///< futex; changes when the runner stops

  enum ThreadState : std::uint32_t { none, starting, serving };
  bool own_thread_ = true;  ///< constant while started
  int signal_ = 0;          ///< likewise
  Atomic<std::uint32_t> thread_state_{none};
  Atomic<std::uint32_t> work_{0};  ///< futex; changes when there is something to look at
  Atomic<bool> ending_{false};
  Atomic<Thread*> thread_of_runtime_{nullptr};
  pthread_t thread_{};  ///< guard: whoever moved thread_state_ from none
};

extern GORT_API Cleanups cleanups;

}  // namespace gort::gc
