// Sweeping between two cycles, by the threads that allocate.

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

#include <gort/base/counters.h>
#include <gort/base/units.h>
#include <gort/tests/gc/heap_fixture.h>

using namespace gort;
using gort_test::ExactHeap;
using gort_test::Node;

TEST_CASE("allocation finishes the sweep before the next cycle begins", "[gc][sweep]") {
  const bool small = GENERATE(true, false);
  gc::CollectorOptions options;
  options.background_sweep = false;
  options.small_cycles = small;
  const ExactHeap heap(options);
  const std::uint64_t cycles = counters.cycles.load_relaxed();
  while (counters.cycles.load_relaxed() == cycles) make<Node>();
  // No more of that class: nobody comes across its spans in search of free slots.
  while (alloc::heap.heap_live.load_relaxed() + 256_KiB < gc::collector.trigger()) {
    make_array<char>(2048);
  }
  CHECK(counters.cycles.load_relaxed() == cycles + 1);
  std::size_t left = 0;
  while (const std::size_t bytes = alloc::heap.sweep_one()) left += bytes;
  CHECK(left < 1_MiB);  // of some four; half a MiB is what the debts of the last 256 KiB come to
}

TEST_CASE("where no cycle will begin allocation sweeps nothing", "[gc][sweep]") {
  gc::CollectorOptions options;
  options.background_sweep = false;
  options.gc_percent = -1;
  const ExactHeap heap(options);
  for (int i = 0; i < 100'000; ++i) make<Node>();
  gc::collector.collect(gc::CycleReason::forced, false);
  const std::uint64_t before = counters.spans_swept.load_relaxed();
  for (int i = 0; i < 2048; ++i) make_array<char>(2048);
  CHECK(counters.spans_swept.load_relaxed() == before);
  CHECK(alloc::heap.sweep_one() > 0);
}

TEST_CASE("a collection asked for during another takes no sweep from that", "[gc][sweep]") {
  static std::atomic<int> swept{0};
  static std::thread second;
  swept = 0;
  gc::CollectorOptions options;
  options.background_sweep = false;
  options.on_phase = [](gc::Phase phase) {
    if (phase == gc::Phase::swept) ++swept;
    if (phase != gc::Phase::marking_started || second.joinable()) return;
    std::atomic<gc::Thread*> asking{nullptr};
    second = std::thread([&asking] {
      asking = &gc::world.attach();
      ExactHeap::collect();
      gc::world.detach();
    });
    while (asking == nullptr || !asking.load()->blocking.load_relaxed()) std::this_thread::yield();
  };
  const ExactHeap heap(options);
  make<Node>();
  ExactHeap::collect();
  gort_test::join(second);
  CHECK(swept == 2);
}
