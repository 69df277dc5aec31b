#pragma once

// The runtime's only lock: a ranked mutex on one futex word.
//
// Ranks. A thread may take a lock only if its rank is higher than that of every lock it holds, so
// no cycle of waiting threads can form. The order is the list below and nothing else; debug builds
// check it at every acquisition (two locks of one rank cannot be held together either).
//
// States of the word: 0 free, 1 held, 2 held and somebody may be waiting (Drepper, "Futexes Are
// Tricky", mutex 2). Unlocking a 2 wakes one waiter; a woken waiter takes the lock as 2, because it
// cannot know whether it was the last.
//
// Not recursive. Not async-signal-safe: a signal handler must not lock.

#include <cstdint>

#include <gort/base/atomic.h>
#include <gort/base/config.h>
#include <gort/base/thread_annotations.h>

namespace gort {

/// Lowest first: hold a lock, and you may take only those further down.
enum class LockRank : std::uint8_t {
  collection,  ///< one collection cycle at a time
  world,       ///< list of attached threads, stop requests
  outsiders,   ///< what threads that are not attached do to roots, and stops of the world
  roots,       ///< root slots
  weak,        ///< weak slots
  ranges,      ///< registered ranges and stacks
  cleanups,    ///< queue of cleanups
  layouts,     ///< tables of type layouts and of uniform classes
  span_class,  ///< registration of span classes
  mark_pool,   ///< grey objects shared by markers
  central,     ///< one central list (one a span class and shard)
  scavenger,   ///< one piece at a time on its way to the operating system
  heap,        ///< arenas and page allocator
  leaf,        ///< nothing is ever taken while holding one of these
  count,
};

class GORT_CAPABILITY("lock") Lock {
 public:
  constexpr explicit Lock(LockRank rank) : rank_(rank) {}
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  void acquire() GORT_ACQUIRE() {
    check_rank();
    std::uint32_t expected = 0;
    if (GORT_UNLIKELY(!word_.cas_acquire(expected, 1))) acquire_slow();
    note_held();
  }
  bool try_acquire() GORT_TRY_ACQUIRE(true) {
    std::uint32_t expected = 0;
    if (!word_.cas_acquire(expected, 1)) return false;
    note_held();
    return true;
  }
  void release() GORT_RELEASE() {
    note_released();
    if (GORT_UNLIKELY(word_.fetch_sub_acq_rel(1) != 1)) release_slow();
  }

  /// Makes the word free again in the child of a fork, where the holder does not exist any more.
  void reset_in_child() GORT_NO_THREAD_SAFETY_ANALYSIS { word_.store_relaxed(0); }

  LockRank rank() const { return rank_; }

 private:
  void acquire_slow();
  void release_slow();
#ifdef NDEBUG
  void check_rank() const {}
  void note_held() const {}
  void note_released() const {}
#else
  void check_rank() const;
  void note_held() const;
  void note_released() const;
#endif

  Atomic<std::uint32_t> word_{0};
  const LockRank rank_;
};

/// Holds a Lock for a scope.
class GORT_SCOPED_CAPABILITY LockGuard {
 public:
  explicit LockGuard(Lock& lock) GORT_ACQUIRE(lock) : lock_(lock) { lock_.acquire(); }
  ~LockGuard() GORT_RELEASE() { lock_.release(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  Lock& lock_;
};

/// Sleeps while the word equals `value`; may return early. The building block of Lock and of the
/// world's waiting places.
void futex_wait(Atomic<std::uint32_t>& word, std::uint32_t value);
/// The same with a bound in nanoseconds.
void futex_wait_for(Atomic<std::uint32_t>& word, std::uint32_t value, std::int64_t ns);
void futex_wake(Atomic<std::uint32_t>& word, int waiters);

}  // namespace gort
