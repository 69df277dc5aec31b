// What a page allocation costs, by size of the heap: the tree of summaries promises that it does
// not matter. The heap is made of one untouched run, so a terabyte of it costs address space and
// the records of its arenas only.
//
//   Packed       everything below is used: the lowest free page is where the next run goes
//   Holes        a free page every 4 MiB, and a request that fits into none of them: the search has
//                to go past all the holes
//   Mixed        a random mix of runs of 1..16 pages in the upper end, with the holes below
//   Cache        runs of one page out of a thread's page cache, with its refills
//   BitmapScan   what Holes costs when first fit looks through the bitmap itself, word by word from
//                the lowest free page
//   Large        an object of the size, made and freed through the heap, with its span
//   Grow         a whole heap of the size: reserve, prepare, take, and give everything back

#include <benchmark/benchmark.h>

#include <bit>
#include <new>
#include <vector>

#include <gort/alloc/heap.h>
#include <gort/alloc/page_summary.h>
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

// First fit without the tree: the same bits, looked through from the lowest free page. As fast as
// that can be: whole words are skipped.
void BM_BitmapScan(benchmark::State& state) {
  const std::size_t words = Pages::holding(static_cast<std::size_t>(state.range(0))).count() / 64;
  std::vector<std::uint64_t> used(words + 1, ~std::uint64_t{0});
  for (std::size_t i = 0; i < words; i += kHolePages / 64) used[i] &= ~(std::uint64_t{1} << 32);
  used[words] = 0;
  const std::size_t lowest_free = 32;
  for (auto _ : state) {
    std::size_t word = lowest_free / 64;
    std::uint64_t starts = 0;
    for (;; ++word) {
      if (used[word] == ~std::uint64_t{0}) continue;
      starts = runs_of(~used[word], 4);
      if (starts != 0) break;
    }
    const auto bit = static_cast<std::size_t>(std::countr_zero(starts));
    used[word] |= bits::low_mask(4) << bit;
    benchmark::DoNotOptimize(used.data());
    benchmark::ClobberMemory();
    used[word] &= ~(bits::low_mask(4) << bit);
  }
}

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

void BM_Large(benchmark::State& state) {
  for (auto _ : state) {
    try {
      heap.allocate_large(static_cast<std::size_t>(state.range(0)), true, 0);
    } catch (const std::bad_alloc&) {
      // mimalloc likes addresses from 2 TiB on, which lie in the middle of our window.
      return state.SkipWithError("no room in the window");
    }
    heap.free_everything();
    state.PauseTiming();
    {
      LockGuard guard(heap.pages.lock);
      heap.pages.release_everything();
    }
    state.ResumeTiming();
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
BENCHMARK(BM_Large)
    ->Arg(static_cast<std::int64_t>(kWindowSize))
    ->Apply(heap_sizes)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(3);
BENCHMARK(BM_Packed)->Apply(heap_sizes);
BENCHMARK(BM_Holes)->Apply(heap_sizes);
BENCHMARK(BM_BitmapScan)->Apply(heap_sizes);
BENCHMARK(BM_Mixed)->Apply(heap_sizes);
BENCHMARK(BM_Cache)->Apply(heap_sizes);
BENCHMARK(BM_Grow)->Apply(heap_sizes)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace

BENCHMARK_MAIN();
