#pragma once

// Locks that user code holds while it allocates, for the concurrent maps.
//
// A thread that waits for such a lock must not hold up a collection: the holder may be stopped in
// an allocation, waiting for that very collection. So the wait is a blocking region. `operands` are
// what the thread wants to use under the lock: keys and values, outside the heap. What they refer
// to is held meanwhile, as nothing else may hold it without conservative stacks.

#include <cstdint>
#include <ctime>
#include <mutex>
#include <tuple>

#include <pthread.h>

#include <gort/base/config.h>
#include <gort/gc/world.h>
#include <gort/hashmap/pin.h>

namespace gort::hashmap {

template <class Acquire, class... T>
GORT_NOINLINE void acquire_blocking(Acquire acquire, const T&... operands) {
  [[maybe_unused]] const std::tuple<PinnedReferences<T>...> pins(&operands...);
  gc::Thread* const self = gc::World::current();
  if (self != nullptr) gc::world.enter_blocking(*self);
  acquire();
  if (self != nullptr) gc::world.leave_blocking(*self);
}

/// A std::mutex for threads that use the heap. For std::lock_guard.
class WaitingLock {
 public:
  template <class... T>
  void lock(const T&... operands) {
    if (GORT_UNLIKELY(!mutex_.try_lock())) {
      acquire_blocking([this] { mutex_.lock(); }, operands...);
    }
  }
  /// For a thread that is in a blocking region already.
  void lock_now() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

/// A readers-writer lock for threads that use the heap, which prefers writers as Go's RWMutex does:
/// while one waits, new readers wait too, so readers that come without a gap do not keep it out for
/// ever. A thread that holds the lock must therefore not take it again: HeldLock and SharedGuard
/// see to that. For std::lock_guard.
class WaitingSharedLock {
 public:
  WaitingSharedLock() {
    pthread_rwlockattr_t kind;
    ::pthread_rwlockattr_init(&kind);
    ::pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    ::pthread_rwlock_init(&lock_, &kind);
    ::pthread_rwlockattr_destroy(&kind);
  }
  ~WaitingSharedLock() { ::pthread_rwlock_destroy(&lock_); }
  WaitingSharedLock(const WaitingSharedLock&) = delete;
  WaitingSharedLock& operator=(const WaitingSharedLock&) = delete;

  template <class... T>
  void lock(const T&... operands) {
    if (GORT_UNLIKELY(!try_lock())) {
      acquire_blocking([this] { ::pthread_rwlock_wrlock(&lock_); }, operands...);
    }
  }
  bool try_lock() { return ::pthread_rwlock_trywrlock(&lock_) == 0; }
  /// Waits for `ns` at most, as a writer does: no reader comes in meanwhile.
  bool try_lock_for(std::int64_t ns) {
    if (try_lock()) return true;
    bool locked = false;
    acquire_blocking([this, ns, &locked] { locked = wait_to_lock(ns); });
    return locked;
  }
  void unlock() { ::pthread_rwlock_unlock(&lock_); }
  template <class... T>
  void lock_shared(const T&... operands) {
    if (GORT_UNLIKELY(::pthread_rwlock_tryrdlock(&lock_) != 0)) {
      acquire_blocking([this] { ::pthread_rwlock_rdlock(&lock_); }, operands...);
    }
  }
  void unlock_shared() { ::pthread_rwlock_unlock(&lock_); }

 private:
  bool wait_to_lock(std::int64_t ns) {
#ifdef __SANITIZE_THREAD__
    constexpr clockid_t kClock = CLOCK_REALTIME;  // the sanitizer does not know the other function
#else
    constexpr clockid_t kClock = CLOCK_MONOTONIC;
#endif
    constexpr std::int64_t kSecond = 1'000'000'000;
    timespec end{};
    ::clock_gettime(kClock, &end);
    const std::int64_t at = end.tv_nsec + ns;
    end.tv_sec += at / kSecond;
    end.tv_nsec = at % kSecond;
#ifdef __SANITIZE_THREAD__
    return ::pthread_rwlock_timedwrlock(&lock_, &end) == 0;
#else
    return ::pthread_rwlock_clockwrlock(&lock_, kClock, &end) == 0;
#endif
  }

  pthread_rwlock_t lock_;
};

/// Says that the calling thread holds a WaitingSharedLock, for a scope in which it calls somebody
/// back who may want it again.
class HeldLock {
 public:
  explicit HeldLock(const WaitingSharedLock& lock) : lock_(lock), outer_(innermost) {
    innermost = this;
  }
  ~HeldLock() { innermost = outer_; }
  HeldLock(const HeldLock&) = delete;
  HeldLock& operator=(const HeldLock&) = delete;

  /// Whether the calling thread is in such a scope.
  static bool is_held(const WaitingSharedLock& lock) {
    for (const HeldLock* held = innermost; held != nullptr; held = held->outer_) {
      if (&held->lock_ == &lock) return true;
    }
    return false;
  }

 private:
  static inline constinit GORT_TLS const HeldLock* innermost = nullptr;

  const WaitingSharedLock& lock_;
  const HeldLock* const outer_;
};

/// Holds a WaitingSharedLock shared, for a scope. While the thread holds it already, shared or not,
/// it does nothing: whoever is called back under the lock may read.
class SharedGuard {
 public:
  template <class... T>
  explicit SharedGuard(WaitingSharedLock& lock, const T&... operands)
      : lock_(lock), nested_(HeldLock::is_held(lock)), held_(lock) {
    if (!nested_) lock.lock_shared(operands...);
  }
  ~SharedGuard() {
    if (!nested_) lock_.unlock_shared();
  }
  SharedGuard(const SharedGuard&) = delete;
  SharedGuard& operator=(const SharedGuard&) = delete;

 private:
  WaitingSharedLock& lock_;
  const bool nested_;
  const HeldLock held_;
};

}  // namespace gort::hashmap
