#pragma once

// Locks that user code holds while it allocates, for the concurrent maps.
//
// A thread that waits for such a lock must not hold up a collection: the holder may be stopped in
// an allocation, waiting for that very collection. So the wait is a blocking region.

#include <mutex>
#include <shared_mutex>

#include <gort/base/config.h>
#include <gort/gc/world.h>

namespace gort::hashmap {

template <class Acquire>
GORT_NOINLINE void acquire_blocking(Acquire acquire) {
  gc::Thread* const self = gc::World::current();
  if (self != nullptr) gc::world.enter_blocking(*self);
  acquire();
  if (self != nullptr) gc::world.leave_blocking(*self);
}

/// A std::mutex for threads that use the heap. For std::lock_guard.
class WaitingLock {
 public:
  void lock() {
    if (GORT_UNLIKELY(!mutex_.try_lock())) {
      acquire_blocking([this] { mutex_.lock(); });
    }
  }
  /// For a thread that is in a blocking region already.
  void lock_now() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

/// A std::shared_mutex for threads that use the heap. For std::lock_guard and std::shared_lock.
class WaitingSharedLock {
 public:
  void lock() {
    if (GORT_UNLIKELY(!mutex_.try_lock())) {
      acquire_blocking([this] { mutex_.lock(); });
    }
  }
  bool try_lock() { return mutex_.try_lock(); }
  void unlock() { mutex_.unlock(); }
  void lock_shared() {
    if (GORT_UNLIKELY(!mutex_.try_lock_shared())) {
      acquire_blocking([this] { mutex_.lock_shared(); });
    }
  }
  void unlock_shared() { mutex_.unlock_shared(); }

 private:
  std::shared_mutex mutex_;
};

}  // namespace gort::hashmap
