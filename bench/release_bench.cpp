// What it costs to give memory back: a heap of the size is touched, dropped and released.
//
//   Release        release_os_memory() after a heap of so many MiB of 1 KiB objects has died: a
//                  collection, and then every idle page to the system. Counters: ns for each MiB of
//                  the release alone, resident MiB before and after
//   Scattered      the same when every other page is still in use: the worst case for the system's
//                  call, one call a page
//   StallOfOthers  the longest that another thread waited for a page meanwhile
//
// The workload `drop` (bench/workloads/drop.h) does the first as a whole program, in Go as well.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include <gort/alloc/heap.h>
#include <gort/base/clock.h>
#include <gort/base/metadata.h>
#include <gort/base/os.h>
#include <gort/gort.h>

namespace {

using namespace gort;

struct Block {
  Ref<Block> next;
  char payload[1016];
  GORT_FIELDS(Block, next);
};

void BM_Release(benchmark::State& state) {
  Options options;
  options.background_scavenger = false;
  options.conservative_stacks = false;
  start(options);
  const std::size_t bytes = static_cast<std::size_t>(state.range(0)) << 20;
  std::int64_t release_ns = 0;
  double resident_before = 0;
  double resident_after = 0;
  const auto resident_at_start = static_cast<double>(os::resident_bytes() >> 20);
  for (auto _ : state) {
    state.PauseTiming();
    {
      Root<Block> list;
      for (std::size_t done = 0; done < bytes; done += sizeof(Block)) {
        auto* block = make<Block>();
        block->payload[0] = 1;
        block->next = list.get();
        list = block;
      }
    }
    resident_before = static_cast<double>(os::resident_bytes() >> 20);
    state.ResumeTiming();
    collect();
    const std::int64_t begin = now_ns();
    alloc::heap.release_idle();
    metadata::give_back_unused();
    release_ns += now_ns() - begin;
    state.PauseTiming();
    resident_after = static_cast<double>(os::resident_bytes() >> 20);
    state.ResumeTiming();
  }
  state.counters["release_ns/MiB"] = static_cast<double>(release_ns) /
                                     static_cast<double>(state.iterations()) /
                                     static_cast<double>(state.range(0));
  state.counters["resident_before"] = resident_before;
  state.counters["resident_after"] = resident_after;
  state.counters["resident_start"] = resident_at_start;
  shutdown();
}

void BM_Scattered(benchmark::State& state) {
  const std::size_t pages = (static_cast<std::size_t>(state.range(0)) << 20) / kPageSize;
  alloc::PageAllocator& allocator = alloc::heap.pages;
  alloc::PageRun run;
  {
    LockGuard guard(allocator.lock);
    run = allocator.allocate(Pages(pages));
  }
  for (auto _ : state) {
    state.PauseTiming();
    std::memset(reinterpret_cast<void*>(run.start), 1, run.pages.bytes());
    {
      LockGuard guard(allocator.lock);
      for (std::size_t i = 0; i < pages; i += 2) {
        allocator.free(run.start + i * kPageSize, Pages(1));
      }
    }
    state.ResumeTiming();
    alloc::heap.release_idle();
    state.PauseTiming();
    {
      LockGuard guard(allocator.lock);
      for (std::size_t i = 0; i < pages; i += 2) allocator.allocate(Pages(1));
    }
    state.ResumeTiming();
  }
  LockGuard guard(allocator.lock);
  allocator.release_everything();
}

void BM_StallOfOthers(benchmark::State& state) {
  const std::size_t bytes = static_cast<std::size_t>(state.range(0)) << 20;
  alloc::PageAllocator& allocator = alloc::heap.pages;
  std::vector<std::int64_t> waits;
  for (auto _ : state) {
    state.PauseTiming();
    alloc::PageRun run;
    {
      LockGuard guard(allocator.lock);
      run = allocator.allocate(Pages::holding(bytes));
    }
    std::memset(reinterpret_cast<void*>(run.start), 1, bytes);
    {
      LockGuard guard(allocator.lock);
      allocator.free(run.start, run.pages);
    }
    std::atomic<bool> stop{false};
    std::thread other([&] {
      while (!stop) {
        const std::int64_t begin = now_ns();
        alloc::PageRun page;
        {
          LockGuard guard(allocator.lock);
          page = allocator.allocate(Pages(1));
        }
        waits.push_back(now_ns() - begin);
        LockGuard guard(allocator.lock);
        allocator.free(page.start, page.pages);
      }
    });
    state.ResumeTiming();
    alloc::heap.release_idle();
    state.PauseTiming();
    stop = true;
    other.join();
    {
      LockGuard guard(allocator.lock);
      allocator.release_everything();
    }
    state.ResumeTiming();
  }
  std::sort(waits.begin(), waits.end());
  state.counters["median_ns"] = static_cast<double>(waits[waits.size() / 2]);
  state.counters["p999_ns"] = static_cast<double>(waits[waits.size() * 999 / 1000]);
  state.counters["longest_us"] = static_cast<double>(waits.back()) / 1000;
}

BENCHMARK(BM_Release)->Arg(64)->Arg(256)->Arg(1024)->Unit(benchmark::kMillisecond)->Iterations(3);
BENCHMARK(BM_Scattered)->Arg(256)->Unit(benchmark::kMillisecond)->Iterations(3);
BENCHMARK(BM_StallOfOthers)->Arg(1024)->Unit(benchmark::kMillisecond)->Iterations(3);

}  // namespace

BENCHMARK_MAIN();
