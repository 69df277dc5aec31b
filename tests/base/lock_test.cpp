#include <catch2/catch.hpp>

#include <csignal>
#include <thread>
#include <vector>

#include <gort/base/lock.h>
#include <gort/tests/support/child.h>

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
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50'000; ++i) {
        LockGuard guard(lock);
        counter = counter + 1;
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

TEST_CASE("a waiter sleeps and is woken", "[base][lock]") {
  Lock lock(LockRank::leaf);
  lock.acquire();
  bool entered = false;  // guarded by lock
  std::thread waiter([&] {
    LockGuard guard(lock);
    entered = true;
  });
  // Long enough that the waiter has given up spinning and sleeps in the kernel.
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK_FALSE(entered);
  lock.release();
  waiter.join();
  CHECK(entered);
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
