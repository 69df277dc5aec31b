// What a page allocation costs, by size of the heap: the tree of summaries promises that it does
// not matter. The heap is made of one untouched run, so a terabyte of it costs address space and
// the records of its arenas only.
//
//   Packed       everything below is used: the lowest free page is where the next run goes
//   Holes        a free page every 4 MiB, and a request that fits into none of them: the search has
//                to go past all the holes
//   Mixed        a random mix of runs of 1..16 pages in the upper end, with the holes below
//   Cache        runs of one page out of a thread's page cache, with its refills
//   Grow         a whole heap of the size: reserve, prepare, take, and give everything back

#include <benchmark/benchmark.h>

#include <vector>

#include <gort/alloc/heap.h>
#include <gort/base/random.h>
#include <gort/base/units.h>

namespace {

using namespace gort;
using namespace gort::alloc;

constexpr std::size_t kHolePages = kChunkPages;

// A heap of `bytes` used bytes with a free page every `hole_every` pages (0: none).
class BigHeap {
 public:
  explicit BigHeap(std::size_t bytes, std::size_t hole_every = 0) {
    LockGuard guard(pages.lock);
    run_ = pages.allocate(Pages::holding(bytes));
    if (hole_every == 0) return;
    for (std::size_t i = hole_every / 2; i < run_.pages.count(); i += hole_every) {
      pages.free(run_.start + i * kPageSize, Pages(1));
    }
  }
  ~BigHeap() {
    LockGuard guard(pages.lock);
    pages.release_everything();
  }
  bool ok() const { return static_cast<bool>(run_); }

  PageAllocator& pages = heap.pages;

 private:
  PageRun run_;
};

void allocate_and_free(benchmark::State& state, std::size_t hole_every) {
  BigHeap big(static_cast<std::size_t>(state.range(0)), hole_every);
  if (!big.ok()) return state.SkipWithError("the system refuses");
  for (auto _ : state) {
    LockGuard guard(big.pages.lock);
    const PageRun run = big.pages.allocate(Pages(4));
    big.pages.free(run.start, run.pages);
  }
}

void BM_Packed(benchmark::State& state) { allocate_and_free(state, 0); }
void BM_Holes(benchmark::State& state) { allocate_and_free(state, kHolePages); }

void BM_Mixed(benchmark::State& state) {
  BigHeap big(static_cast<std::size_t>(state.range(0)), kHolePages);
  if (!big.ok()) return state.SkipWithError("the system refuses");
  Random random(1);
  std::vector<PageRun> live(4096);
  for (auto _ : state) {
    PageRun& slot = live[random.below(live.size())];
    LockGuard guard(big.pages.lock);
    if (slot) big.pages.free(slot.start, slot.pages);
    slot = big.pages.allocate(Pages(2 + random.below(15)));
  }
}

void BM_Cache(benchmark::State& state) {
  BigHeap big(static_cast<std::size_t>(state.range(0)), kHolePages);
  if (!big.ok()) return state.SkipWithError("the system refuses");
  PageCache cache;
  std::vector<PageRun> live;
  live.reserve(4096);
  for (auto _ : state) {
    if (cache.empty()) {
      LockGuard guard(big.pages.lock);
      if (live.size() > 4000) {
        for (const PageRun& run : live) big.pages.free(run.start, run.pages);
        live.clear();
      }
      big.pages.fill(cache);
    }
    live.push_back(cache.allocate(Pages(1)));
  }
}

void BM_Grow(benchmark::State& state) {
  for (auto _ : state) {
    BigHeap big(static_cast<std::size_t>(state.range(0)));
    if (!big.ok()) return state.SkipWithError("the system refuses");
  }
}

void heap_sizes(benchmark::internal::Benchmark* b) {
  for (const std::size_t bytes : {10_MiB, 1_GiB, 10_GiB, 100_GiB, 1_TiB}) {
    b->Arg(static_cast<std::int64_t>(bytes));
  }
}
BENCHMARK(BM_Packed)->Apply(heap_sizes);
BENCHMARK(BM_Holes)->Apply(heap_sizes);
BENCHMARK(BM_Mixed)->Apply(heap_sizes);
BENCHMARK(BM_Cache)->Apply(heap_sizes);
BENCHMARK(BM_Grow)->Apply(heap_sizes)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace

BENCHMARK_MAIN();
