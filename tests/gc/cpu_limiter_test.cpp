#include <catch2/catch.hpp>

#include <atomic>
#include <thread>
#include <vector>

#include <gort/base/counters.h>
#include <gort/base/metadata.h>
#include <gort/gc/cpu_limiter.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/support/scale.h>

using namespace gort;
using gc::CpuLimiter;
using gc::CpuTimes;
using gort_test::ExactHeap;
using gort_test::Node;

// --- the policy, on a clock of its own -----------------------------------------------------------

TEST_CASE("collecting without a pause is limited when the bucket is full", "[gc][limiter]") {
  CpuLimiter limiter(1000, {});
  limiter.begin_cycle({}, true);
  limiter.update({999, 0});
  CHECK_FALSE(limiter.limiting());
  limiter.update({1000, 0});
  CHECK(limiter.limiting());
}

TEST_CASE("up to half of the processor time is never limited", "[gc][limiter]") {
  for (const std::int64_t collecting : {1, 30, 50}) {
    CAPTURE(collecting);
    CpuLimiter limiter(100, {});
    CpuTimes now;
    for (int i = 0; i < 100'000; ++i) {
      limiter.begin_cycle(now, true);
      now.collecting += collecting;
      limiter.end_cycle(now);
      now.running += 100 - collecting;
      limiter.update(now);
      REQUIRE_FALSE(limiter.limiting());
    }
  }
}

TEST_CASE("what a cycle takes beyond the capacity is paid back before the next", "[gc][limiter]") {
  CpuLimiter limiter(1000, {});
  limiter.begin_cycle({}, true);
  limiter.end_cycle({5000, 0});
  CHECK(limiter.time_to_run() == 4001);
  limiter.update({5000, 4000});
  CHECK(limiter.limiting());
  limiter.update({5000, 4001});
  CHECK_FALSE(limiter.limiting());
  CHECK(limiter.time_to_run() == 0);
}

TEST_CASE("the program keeps half of the processor time, whatever cycles cost", "[gc][limiter]") {
  for (const std::int64_t cost : {1, 7, 1000, 100'000}) {
    for (const std::int64_t beside : {std::int64_t{0}, cost / 3, cost}) {
      CAPTURE(cost, beside);  // `beside`: what the program runs while a cycle does
      constexpr std::int64_t kCapacity = 2000;
      CpuLimiter limiter(kCapacity, {});
      CpuTimes now;
      for (int step = 0; step < 100'000; ++step) {
        if (limiter.limiting()) {
          now.running += 3;
        } else {
          limiter.begin_cycle(now, true);
          now.running += beside;
          now.collecting += cost;
          limiter.end_cycle(now);
        }
        limiter.update(now);
        REQUIRE(now.collecting <= now.running + kCapacity + cost);
      }
      if (beside < cost) CHECK(now.collecting >= now.running);  // nor does it get more
    }
  }
}

TEST_CASE("idle time earns nothing beyond an empty bucket", "[gc][limiter]") {
  CpuLimiter limiter(1000, {});
  limiter.update({0, 1'000'000});
  CHECK(limiter.level() == 0);
  limiter.begin_cycle({0, 1'000'000}, true);
  limiter.update({1000, 1'000'000});
  CHECK(limiter.limiting());
}

TEST_CASE("cycles that the program asked for do not count", "[gc][limiter]") {
  CpuLimiter limiter(1000, {});
  limiter.begin_cycle({}, false);
  limiter.end_cycle({50'000, 10});
  CHECK(limiter.level() == 0);
  limiter.begin_cycle({50'000, 10}, true);
  limiter.end_cycle({50'500, 10});
  CHECK(limiter.level() == 500);
}

TEST_CASE("cycles that go on while the limiter is limiting leave one cycle's debt",
          "[gc][limiter]") {
  CpuLimiter limiter(1000, {});
  CpuTimes now;
  for (int i = 0; i < 100; ++i) {
    limiter.begin_cycle(now, true);
    now.collecting += 700;
    limiter.end_cycle(now);
  }
  CHECK(limiter.level() == 1700);
}

// --- the collector on a simulated clock ----------------------------------------------------------

namespace {

// A cycle costs 10 ms, a mebibyte of allocation 1 ms.
std::atomic<std::uint64_t> cycles_before{0};
std::atomic<std::int64_t> allocated{0};
CpuTimes simulated_times() {
  const auto cycles =
      static_cast<std::int64_t>(counters.cycles.load_relaxed() - cycles_before.load());
  return {cycles * 10'000'000, (allocated.load() >> 20) * 1'000'000};
}

constexpr std::int64_t kPiece = 4096;
constexpr std::int64_t kToAllocate = std::int64_t{64} << 20;
constexpr std::int64_t kMs = 1'000'000;

// Cycles that it takes to allocate so much beside 16 MiB that live, with a limit of 8 MiB.
std::uint64_t cycles_under_pressure(std::int64_t capacity, int threads, bool own_thread = true,
                                    std::int64_t to_allocate = kToAllocate) {
  cycles_before = counters.cycles.load_relaxed();
  allocated = 0;
  gc::CollectorOptions options;
  options.gc_percent = -1;
  options.limiter_capacity = capacity;
  options.cpu_times = simulated_times;
  ExactHeap heap(options);
  if (!own_thread) {
    metadata::fail_allocation_for_test(1);  // the record of the collector's thread
    heap.collect();
    metadata::fail_allocation_for_test(0);
  }
  std::vector<Root<char>> live;
  for (std::int64_t bytes = 0; bytes < (std::int64_t{16} << 20); bytes += kPiece) {
    live.emplace_back(make_array<char>(kPiece));
  }
  cycles_before = counters.cycles.load_relaxed();
  gc::collector.set_memory_limit(8_MiB);
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t) {
    workers.emplace_back([threads, to_allocate] {
      for (std::int64_t bytes = 0; bytes < to_allocate / threads; bytes += kPiece) {
        make_array<char>(kPiece);
        allocated += kPiece;
      }
    });
  }
  gort_test::join(workers);
  return counters.cycles.load_relaxed() - cycles_before;
}

// 64 ms of running and the capacity pay for so many cycles; the last one begins on credit.
constexpr std::uint64_t most_cycles(std::int64_t capacity) {
  return static_cast<std::uint64_t>((64 * kMs + capacity) / (10 * kMs) + 1);
}

}  // namespace

TEST_CASE("with the limit below the live heap cycles are as many as their cost allows",
          "[gc][limiter]") {
  for (const int threads : {1, 3}) {
    CAPTURE(threads);
    const std::uint64_t limited_before = counters.cpu_limited.load_relaxed();
    const std::uint64_t cycles = cycles_under_pressure(20 * kMs, threads);
    CHECK(cycles <= most_cycles(20 * kMs));
    CHECK(cycles >= 2);  // until the bucket is full
    CHECK(counters.cpu_limited.load_relaxed() > limited_before);
  }
}

TEST_CASE("where the limiter's bucket is never full, cycles follow each other", "[gc][limiter]") {
  const std::uint64_t limited_before = counters.cpu_limited.load_relaxed();
  // The heap may pass its goal, which is what lives, by a tenth and 1 MiB before a thread waits. If
  // it does not, there is a cycle at every refill.
  constexpr std::int64_t kAmount = gort_test::scaled(kToAllocate);
  CHECK(cycles_under_pressure(1'000'000 * kMs, 1, true, kAmount) >=
        static_cast<std::uint64_t>(kAmount / 4_MiB));
  CHECK(counters.cpu_limited.load_relaxed() == limited_before);
}

TEST_CASE("cycles on the callers' threads are as many as their cost allows, too", "[gc][limiter]") {
  const std::uint64_t cycles = cycles_under_pressure(20 * kMs, 1, false);
  CHECK(cycles <= most_cycles(20 * kMs));
  CHECK(cycles >= 2);
}

TEST_CASE("a limiting limiter holds back no cycle that gc_percent asks for", "[gc][limiter]") {
  gc::CollectorOptions options;
  options.limiter_capacity = 0;  // always limiting
  options.memory_limit = 1_MiB;
  ExactHeap heap(options);
  const std::uint64_t before = counters.cycles.load_relaxed();
  for (int i = 0; i < 100 && counters.cycles.load_relaxed() < before + 3; ++i) {
    for (int k = 0; k < 100'000; ++k) make<Node>();
  }
  CHECK(counters.cycles.load_relaxed() >= before + 3);
}

namespace {

std::atomic<bool> passed{false};  // the program has allocated far past the hard limit
std::atomic<std::int64_t> collecting{0};

void allocate_far() {
  for (int i = 0; i < 1'500'000; ++i) make<Node>();  // 36 MB
  passed = true;
}

}  // namespace

TEST_CASE("while the limiter is limiting nobody waits for a cycle", "[gc][limiter]") {
  passed = false;
  gc::CollectorOptions options;
  options.limiter_capacity = 0;
  options.on_phase = [](gc::Phase phase) {
    if (phase != gc::Phase::marking_started) return;
    while (!passed) gc::world.poll(*gc::World::current());
  };
  ExactHeap heap(options);
  allocate_far();
  CHECK(passed);
}

TEST_CASE("while the limiter is limiting nobody helps marking", "[gc][limiter]") {
  gc::CollectorOptions options;
  options.limiter_capacity = 0;
  ExactHeap heap(options);
  constexpr std::size_t kCount = 100'000;
  Root<Ref<Node>> wide(make_array<Ref<Node>>(kCount));
  for (std::size_t i = 0; i < kCount; ++i) wide.get()[i] = make<Node>();
  const std::uint64_t cycles = counters.cycles.load_relaxed();
  const std::uint64_t helped = counters.assist_bytes.load_relaxed();
  while (counters.cycles.load_relaxed() < cycles + 3) allocate_far();
  CHECK(counters.assist_bytes.load_relaxed() == helped);
}

TEST_CASE("who waits for a cycle goes on when the limiter begins to limit", "[gc][limiter]") {
  passed = false;
  collecting = 0;
  gc::CollectorOptions options;
  options.limiter_capacity = 10 * kMs;
  options.cpu_times = [] { return CpuTimes{collecting, 0}; };
  options.on_phase = [](gc::Phase phase) {
    if (phase == gc::Phase::marking_started) collecting = 10 * kMs;
    while (phase == gc::Phase::drained && !passed) gc::world.poll(*gc::World::current());
  };
  ExactHeap heap(options);
  gc::collector.set_gc_percent(-1);
  Root<Node> list;
  for (int i = 0; i < 200'000; ++i) {  // more than what is marked between two looks at the clock
    Node* node = make<Node>();
    node->left = list.get();
    list = node;
  }
  gc::collector.set_gc_percent(100);
  allocate_far();
  CHECK(passed);
}
