#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>
#include <vector>

#include <unistd.h>

#include <gort/base/lock.h>
#include <gort/tests/support/asleep.h>
#include <gort/tests/support/child.h>
#include <gort/tests/support/eventually.h>

using namespace gort;

namespace {

bool can_take(Lock& lock) GORT_NO_THREAD_SAFETY_ANALYSIS {
  if (!lock.try_acquire()) return false;
  lock.release();
  return true;
}

}  // namespace

TEST_CASE("a Lock lets one thread in at a time", "[base][lock]") {
  Lock lock(LockRank::leaf);
  long counter = 0;  // guarded by lock: a lost update would show in the sum
  std::vector<std::thread> threads;
  for (const bool tries : {false, true, false, true}) {
    threads.emplace_back([&, tries]() GORT_NO_THREAD_SAFETY_ANALYSIS {
      for (int i = 0; i < 50'000; ++i) {
        if (!tries || !lock.try_acquire()) lock.acquire();
        counter = counter + 1;
        lock.release();
      }
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(counter == 4 * 50'000);
}

TEST_CASE("try_acquire fails while another thread holds the lock", "[base][lock]") {
  Lock lock(LockRank::leaf);
  lock.acquire();
  bool taken = true;
  std::thread([&] { taken = can_take(lock); }).join();
  CHECK_FALSE(taken);
  lock.release();
  CHECK(can_take(lock));
}

// The release wakes one of them, and that one's release the other.
TEST_CASE("waiters sleep and are woken", "[base][lock]") {
  Lock lock(LockRank::leaf);
  lock.acquire();
  int entered = 0;  // guarded by lock
  std::atomic<pid_t> ids[2]{};
  std::vector<std::thread> waiters;
  for (std::atomic<pid_t>& id : ids) {
    waiters.emplace_back([&] {
      id = ::gettid();
      LockGuard guard(lock);
      ++entered;
    });
  }
  for (const std::atomic<pid_t>& id : ids) {
    CHECK(gort_test::eventually(std::chrono::seconds(30), [&id] { return gort_test::asleep(id); }));
  }
  CHECK(entered == 0);
  lock.release();
  for (std::thread& waiter : waiters) waiter.join();
  CHECK(entered == 2);
}

#ifndef NDEBUG
TEST_CASE("taking a lock of a rank already passed is fatal in debug builds", "[base][lock]") {
  const auto result = gort_test::in_child([]() GORT_NO_THREAD_SAFETY_ANALYSIS {
    Lock high(LockRank::heap);
    Lock low(LockRank::world);
    high.acquire();
    low.acquire();
  });
  CHECK(result.signal == SIGABRT);
  CHECK(result.errors.find("lock of rank") != std::string::npos);
}
#endif
