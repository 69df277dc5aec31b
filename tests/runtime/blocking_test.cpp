// What may be called in a Blocking region: afterwards the region goes on, and no collection waits
// for the thread.

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

#include <unistd.h>

#include <gort/gort.h>
#include <gort/tests/support/child.h>

using namespace gort;

namespace {

// A thread calls `f` in a region, while this one collects, and stays there when it has done so. A
// hang ends by SIGALRM.
int signal_that_ends(void (*f)()) {
  return gort_test::in_child([f] {
           ::alarm(60);
           start();
           constexpr int kTimes = 20;
           std::atomic<int> calls{0};
           std::atomic<int> collections{0};
           std::atomic<int> stage{0};
           std::thread other([&] {
             const AttachThread attached;
             const Blocking blocking;
             stage = 1;
             while (calls < kTimes || collections < kTimes) {
               f();
               ++calls;
             }
             stage = 2;
             while (stage != 3) std::this_thread::yield();
           });
           while (stage == 0) std::this_thread::yield();
           while (stage == 1) {
             collect();
             ++collections;
           }
           for (int i = 0; i < 3; ++i) collect();
           stage = 3;
           {
             const Blocking blocking;
             other.join();
           }
           shutdown();
         })
      .signal;
}

}  // namespace

TEST_CASE("what asks for statistics may do so in a Blocking region", "[runtime][stop]") {
  CHECK(signal_that_ends([] { mem_stats(); }) == 0);
  CHECK(signal_that_ends([] { ledger(); }) == 0);
  CHECK(signal_that_ends([] { where_is(nullptr); }) == 0);
}

TEST_CASE("what collects may do so in a Blocking region", "[runtime][stop]") {
  CHECK(signal_that_ends([] { collect(); }) == 0);
  CHECK(signal_that_ends([] { release_os_memory(); }) == 0);
  CHECK(signal_that_ends([] { run_cleanups(); }) == 0);
}

TEST_CASE("a safepoint in a Blocking region changes nothing", "[runtime][stop]") {
  CHECK(signal_that_ends([] { safepoint(); }) == 0);
}
