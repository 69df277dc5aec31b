#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <unistd.h>

#include <gort/alloc/collector_hooks.h>
#include <gort/base/clock.h>
#include <gort/gc/long_calls.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/support/child.h>

using namespace gort;
using gc::CycleEvent;
using gort_test::ExactHeap;

namespace {

// Nobody gives up waiting: what is tested comes about, or the test hangs.
struct PatienceScope {
  std::int64_t before = gc::long_calls.set_most_for_test(std::int64_t{1} << 60);
  ~PatienceScope() { gc::long_calls.set_most_for_test(before); }
};

void give_others_time() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

}  // namespace

TEST_CASE("who holds long calls off waits for those under way", "[gc][longcalls]") {
  const PatienceScope patience;
  gc::LongCalls& calls = gc::long_calls;
  for (int round = 0; round < 20; ++round) {
    std::atomic<bool> in_call{true};
    bool seen_in_call = true;
    calls.begin();
    std::thread stopper([&] {
      calls.hold();
      seen_in_call = in_call;
      calls.release();
    });
    give_others_time();
    in_call = false;
    calls.end();
    stopper.join();
    REQUIRE_FALSE(seen_in_call);
  }
}

TEST_CASE("a long call begins when it is no longer held off", "[gc][longcalls]") {
  gc::LongCalls& calls = gc::long_calls;
  for (int round = 0; round < 20; ++round) {
    std::atomic<bool> held{true};
    bool began_while_held = true;
    calls.hold();
    std::thread caller([&] {
      calls.begin();
      began_while_held = held;
      calls.end();
    });
    give_others_time();
    held = false;
    calls.release();
    caller.join();
    REQUIRE_FALSE(began_while_held);
  }
}

TEST_CASE("who holds long calls off gives up waiting for one that does not end",
          "[gc][longcalls]") {
  constexpr std::int64_t kMost = 5'000'000;
  const std::int64_t before = gc::long_calls.set_most_for_test(kMost);
  gc::long_calls.begin();
  const std::int64_t start = now_ns();
  gc::long_calls.hold();
  CHECK(now_ns() - start >= kMost);
  gc::long_calls.release();
  gc::long_calls.end();
  gc::long_calls.set_most_for_test(before);
}

TEST_CASE("many threads make long calls while others are held off", "[gc][longcalls]") {
  const PatienceScope patience;
  gc::LongCalls& calls = gc::long_calls;
  std::atomic<int> in_call{0};
  std::atomic<long> met{0};
  std::atomic<bool> done{false};
  std::vector<std::thread> callers;
  for (int t = 0; t < 3; ++t) {
    callers.emplace_back([&] {
      while (!done) {
        calls.begin();
        ++in_call;
        --in_call;
        calls.end();
      }
    });
  }
  for (int i = 0; i < 300; ++i) {
    calls.hold();
    met += in_call;
    calls.release();
  }
  done = true;
  for (std::thread& caller : callers) caller.join();
  CHECK(met == 0);
}

TEST_CASE("a cycle stops the world when no thread keeps the system busy", "[gc][longcalls]") {
  const PatienceScope patience;
  static std::atomic<bool> in_call;
  static std::atomic<int> stops;
  static std::atomic<int> stops_in_call;
  in_call = false;
  stops = 0;
  stops_in_call = 0;
  gc::CollectorOptions options;
  options.small_cycles = false;
  options.on_event = [](const CycleEvent& event, void*) {
    if (event.kind != CycleEvent::stop_begun) return;
    ++stops;
    if (in_call) ++stops_in_call;
  };
  ExactHeap heap(options);
  std::atomic<bool> done{false};
  std::thread caller([&done] {
    gc::world.attach();
    while (!done) {  // one call after the other
      const alloc::SlowPath slow_path(0, *alloc::thread_cache);
      alloc::collector_hooks.while_parked(
          [](void*) {
            in_call = true;
            give_others_time();
            in_call = false;
          },
          nullptr);
    }
  });
  for (int i = 0; i < 20; ++i) {
    while (!in_call) std::this_thread::yield();
    heap.collect();
  }
  done = true;
  gort_test::join(caller);
  CHECK(stops >= 40);
  CHECK(stops_in_call == 0);
}

#if !GORT_TSAN  // it ends the child of a process that has threads

TEST_CASE("a child of fork does not wait for long calls of its parent", "[gc][longcalls][fork]") {
  const PatienceScope patience;
  ExactHeap heap;
  heap.collect();  // the collector's thread has begun
  gc::long_calls.begin();
  const gort_test::ChildResult child = gort_test::in_child([&heap] {
    ::alarm(60);
    heap.collect();
  });
  gc::long_calls.end();
  CHECK(child.signal == 0);
  CHECK(child.exit_code == 0);
}

#endif
