#pragma once

// The background evacuator: a thread that finishes growths which stall because nobody writes any
// more, so that their old arrays can be collected. Off until a map asks for it.
//
// A Map is not thread safe, and who may write to it only its owner knows. So this is for maps that
// carry their own lock (LockedMap::evacuate_in_background); the owner of any other map calls
// evacuate() where it suits him (policies.h).
//
//                    announce()                 a write since the last look, or the lock is taken
//     client:  idle ------------> due ----+---------------------------------> due
//                ^                        |
//                +---- growth is over ----+--- else one step, of at most the budget ---> due
//
// The thread looks at each due client once a millisecond and does a step where the map has not been
// written to since the look before. For a map's lock it waits as a writer does, but only for a
// moment: a writer waits for one step at most, and readers for that moment and a step. Only a
// reader that holds the lock for longer (range()) holds the thread off. With no client due it
// sleeps on a futex word.
//
// The thread is made when a client is first due. It is attached and stops at polls, a few chains
// apart. It keeps no map alive: a client belongs to its map and takes itself off before it goes.
//
// Locks. `lock_` guards the list and is held over a step, so remove() returns when no step is under
// way, and so does the handler before a fork: the child has whole maps and no lock that nobody will
// release. The thread takes a map's lock inside lock_ with a limit to its waiting, so others may
// take lock_ while they hold a map's.
//
// A child of fork has no such thread, and no client of it is due: the next write to a growing map
// starts anew. gort::shutdown() ends the thread.

#include <cstddef>
#include <cstdint>

#include <pthread.h>

#include <gort/base/atomic.h>
#include <gort/base/config.h>
#include <gort/hashmap/waiting_lock.h>

namespace gort {

/// What the background evacuator does at once while it holds a map's lock: whichever comes first,
/// but always a few chains (or `chains`, if that is less).
struct EvacuationBudget {
  std::size_t chains = 256;
  std::int64_t ns = 50'000;
};

namespace hashmap {

class Evacuator {
 public:
  class Client {
   public:
    Client() = default;
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    /// Whether the evacuator has been told. Guard: the map's lock, for those who write to the map.
    bool due() const { return due_.load_relaxed(); }

   protected:
    ~Client() = default;
    /// One step, on the evacuator's thread; true if it has moved something. Must not throw, nor
    /// wait for a lock without a limit.
    virtual bool step() = 0;
    /// For step(), with the map's lock held: the growth is over, or cannot go on now.
    void not_due() { due_.store_relaxed(false); }

   private:
    friend class Evacuator;
    Client* next_ = nullptr;
    Client* previous_ = nullptr;
    bool added_ = false;
    Atomic<bool> due_{false};
  };

  GORT_API void add(Client& client);
  /// Returns when no step of the client is under way, and none will be.
  GORT_API void remove(Client& client) noexcept;
  /// The client's map is growing. With the map's lock held; the client is not due.
  GORT_API void announce(Client& client);
  /// Ends the thread; nothing is due any more. For shutdown().
  GORT_API void stop();

  struct Figures {
    std::uint64_t steps = 0;    ///< that moved something
    std::uint64_t looks = 0;    ///< at due clients
    std::uint64_t threads = 0;  ///< made so far
  };
  GORT_API Figures figures() const;

 private:
  static constexpr std::int64_t kPauseNs = 1'000'000;
  enum ThreadState : std::uint32_t { none, serving };

  static void* thread_main(void* self);
  void serve();
  bool look_at_all();
  void forget_due();
  void wake();

  static void install_fork_handlers();
  static void before_fork();
  static void after_fork_in_parent();
  static void after_fork_in_child();

  WaitingLock lock_;
  Client* clients_ = nullptr;                 // guard: lock_
  pthread_t thread_{};                        // guard: lock_
  Atomic<std::uint32_t> thread_state_{none};  // written under lock_
  Atomic<std::uint32_t> word_{0};             // futex; changes when there is something to look at
  Atomic<bool> stopping_{false};
  Atomic<std::uint64_t> steps_{0};
  Atomic<std::uint64_t> looks_{0};
  Atomic<std::uint64_t> threads_{0};
};

GORT_API extern Evacuator evacuator;

}  // namespace hashmap
}  // namespace gort
