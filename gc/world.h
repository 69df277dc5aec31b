#pragma once

// The world: the threads that may touch the heap, and how they are brought to a stop.
//
// A thread is in one of two states:
//     running   it may read and write heap references
//     parked    it does not, until it has made itself running again; its registers and the part of
//               its stack that may hold references are recorded
// A thread parks at a poll (every allocation slow path, safepoint()) if a stop is requested, for
// the length of a Blocking region, and while it waits for the collection or world lock.
//
// Stopping. The stopper holds the world lock, so threads neither come nor go:
//     stopper:  stopping := 1;            for every thread: wait until state == parked
//     thread:   state := running;         if stopping == 1: state := parked, wait
// All four accesses are sequentially consistent, so of a thread that leaves its parking place and a
// stopper that arrives, at least one sees the other (Dekker): either the stopper sees `running` and
// waits, or the thread sees `stopping` and parks again. While stopping is 1, a parked thread stays
// so.
//
// Today threads stop cooperatively: a thread in a long loop without allocation must call
// safepoint(), and one that waits for something (a lock, a read) should do so inside a Blocking
// region, else a collection waits for it.
//
// Locks: world lock (rank world) guards the list; held from stop() to resume().

#include <csetjmp>
#include <cstddef>
#include <cstdint>

#include <gort/alloc/thread_cache.h>
#include <gort/base/atomic.h>
#include <gort/base/config.h>
#include <gort/base/lock.h>
#include <gort/base/os.h>

namespace gort::gc {

/// One attached thread.
struct Thread {
  enum State : std::uint32_t { running, parked };

  alloc::ThreadCache cache;
  os::StackBounds stack;  ///< const-after-init
  Atomic<std::uint32_t> state{running};
  const char* stack_pointer = nullptr;  ///< lowest stack address to scan; valid while parked
  std::jmp_buf registers;               ///< callee-saved registers; valid while parked
  Thread* next = nullptr;               ///< guard: world lock
  Thread* previous = nullptr;           ///< guard: world lock
};

class World {
 public:
  /// Attaches the calling thread, if it is not. Throws std::bad_alloc.
  Thread& attach();
  /// Detaches the calling thread: its cache goes back, its stack is no longer scanned.
  void detach();
  /// The calling thread, or null if it is not attached.
  static Thread* current();

  /// Stops every attached thread but the caller, which must be attached and hold no lock of rank
  /// world or higher. Returns with the world lock held.
  void stop() GORT_ACQUIRE(lock_);
  void resume() GORT_RELEASE(lock_);

  /// Parks the calling thread while a stop is requested. Any attached thread, holding no lock.
  GORT_ALWAYS_INLINE void poll() {
    if (GORT_UNLIKELY(stopping_.load_relaxed() != 0)) park_at_poll();
  }

  /// The calling thread touches no heap reference between these two. They do not nest.
  void enter_blocking(Thread& self);
  void leave_blocking(Thread& self);

  /// Calls `f(thread)` for each attached thread. World stopped.
  template <class F>
  void for_each_thread(F&& f) const {
    for (Thread* t = threads_; t != nullptr; t = t->next) f(*t);
  }
  std::size_t thread_count() const { return thread_count_.load_relaxed(); }

  /// The child of a fork has one thread, the caller; forgets all others.
  void keep_only_current_after_fork();

 private:
  GORT_NOINLINE void park_at_poll();
  void wait_while_stopping(Thread& self);
  void unlink(Thread& self) GORT_REQUIRES(lock_);

  Lock lock_{LockRank::world};
  Atomic<std::uint32_t> stopping_{0};
  Atomic<std::size_t> thread_count_{0};
  Thread* threads_ = nullptr;  // guard: lock_; read with the world stopped
};

extern World world;

/// Records the registers and the stack pointer of the calling thread in `thread`, then calls
/// `f(context)`. Every reference the caller's frames hold is then in memory between
/// thread.stack_pointer and the stack's high end, or in thread.registers.
GORT_NOINLINE void with_stack_recorded(Thread& thread, void (*f)(void*), void* context);

}  // namespace gort::gc
