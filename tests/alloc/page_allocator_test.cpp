#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <iterator>
#include <thread>
#include <utility>
#include <vector>

#include <gort/alloc/page_state.h>
#include <gort/base/counters.h>
#include <gort/base/random.h>
#include <gort/tests/alloc/page_fixture.h>
#include <gort/tests/alloc/page_model.h>
#include <gort/tests/support/scale.h>
#include <gort/tests/support/seed.h>

using namespace gort;
using namespace gort::alloc;
using gort_test::EmptyHeap;
using gort_test::PageModel;
using gort_test::resident_behind_returned;
using gort_test::scaled;

namespace {

std::size_t page_of(std::uintptr_t address) { return (address - window.base) / kPageSize; }

// A random run of everything the page allocator can do, held against the model: the same address
// for every request, the same bits for every page, the same books.
class RandomRun {
 public:
  RandomRun(std::uint64_t seed, std::size_t system_pages) : random_(seed), model_(system_pages) {
    if (system_pages > 1) os::set_page_size_for_test(system_pages * kPageSize);
  }

  void run(std::size_t operations, std::size_t compare_every) {
    for (std::size_t i = 0; i < operations; ++i) {
      CAPTURE(i);
      step();
      if (i % compare_every == 0) compare();
      if (i % 4096 == 0) target_ = random_.below(10) == 0 ? 0 : random_.below(16384);
    }
    heap_.flush(cache_);
    model_.flush(model_cache_);
    compare();
    while (!live_.empty()) free_one();
    compare();
    CHECK(heap_.pages.used() == 0);
    heap_.pages.scavenge_all();
    model_.scavenge(PageModel::kNone);
    compare();
    CHECK(heap_.pages.idle() == 0);
  }

 private:
  struct Live {
    std::size_t first;
    std::size_t count;
  };

  void step() {
    const std::uint64_t what = random_.below(1000);
    if (what < 2) {
      scavenge(random_.below(4) == 0 ? PageModel::kNone : 1 + random_.below(700));
    } else if (what < 100) {
      use_cache();
    } else if (live_pages_ < target_) {
      allocate();
    } else if (!live_.empty()) {
      free_one();
    }
  }

  void allocate() {
    static constexpr std::size_t kMost[] = {1, 4, 16, 16, 64, 600, 3000, 9000};
    const std::size_t kind = random_.below(1000);
    const std::size_t n = 1 + random_.below(kMost[kind < 5 ? 7 : kind < 30 ? 6 : kind % 6]);
    const std::size_t alignment = random_.below(20) == 0 ? std::size_t{1} << random_.below(11) : 1;
    CAPTURE(n, alignment);
    const PageModel::Run expected = model_.allocate(n, alignment);
    const PageRun run = heap_.allocate(n, alignment);
    REQUIRE(run);
    REQUIRE(page_of(run.start) == expected.first);
    REQUIRE(run.zeroed == expected.zeroed);
    REQUIRE(run.pages.count() == n);
    live_.push_back({expected.first, n});
    live_pages_ += n;
  }

  // A whole run, or a part of one.
  void free_one() {
    const std::size_t i = random_.below(live_.size());
    Live& run = live_[i];
    std::size_t first = run.first;
    std::size_t n = run.count;
    if (n > 1 && random_.below(8) == 0) {
      n = 1 + random_.below(n - 1);
      if (random_.below(2) == 0) {
        run.first += n;
      } else {
        first = run.first + run.count - n;
      }
      run.count -= n;
    } else {
      run = live_.back();
      live_.pop_back();
    }
    heap_.free(address_of(first), n);
    model_.free(first, n);
    live_pages_ -= n;
  }

  void use_cache() {
    if (cache_.empty() || random_.below(20) == 0) {
      heap_.flush(cache_);
      model_.flush(model_cache_);
      REQUIRE(heap_.fill(cache_));
      model_cache_ = model_.fill();
    }
    const std::size_t n = 1 + random_.below(random_.below(10) == 0 ? 64 : 6);
    const PageModel::Run expected = model_.allocate(model_cache_, n);
    const PageRun run = cache_.allocate(Pages(n));
    REQUIRE(static_cast<bool>(run) == (expected.first != PageModel::kNone));
    if (run) {
      REQUIRE(page_of(run.start) == expected.first);
      REQUIRE(run.zeroed == expected.zeroed);
      live_.push_back({expected.first, n});
      live_pages_ += n;
    }
    REQUIRE(cache_.idle_bytes() == model_cache_.count(true) * kPageSize);
    REQUIRE(cache_.returned_bytes() == model_cache_.count(false) * kPageSize);
  }

  // For each reason, and in total.
  static std::array<std::uint64_t, 4> given_back() {
    return {
        counters.scavenged_goal_bytes.load_relaxed(), counters.scavenged_limit_bytes.load_relaxed(),
        counters.scavenged_request_bytes.load_relaxed(), counters.scavenged_bytes.load_relaxed()};
  }

  void scavenge(std::size_t pages) {
    CAPTURE(pages);
    const std::size_t bytes = pages == PageModel::kNone ? pages : pages * kPageSize;
    static constexpr ReleaseReason kReasons[] = {
        ReleaseReason::next_cycle, ReleaseReason::memory_limit, ReleaseReason::request};
    const auto reason = random_.below(3);
    std::array<std::uint64_t, 4> counts = given_back();
    const std::size_t done = heap_.pages.scavenge(bytes, kReasons[reason]);
    REQUIRE(done == model_.scavenge(pages) * kPageSize);
    counts[reason] += done;
    counts[3] += done;
    REQUIRE(given_back() == counts);
  }

  void compare() {
    const auto& pages = model_.pages();
    for (std::size_t i = 0; i < pages.size(); ++i) {
      Arena& arena = *arena_at(i / kArenaPages);
      const std::size_t at = i % kArenaPages;
      const auto state = !bits::test(arena.returned, at)
                             ? (bits::test(arena.used, at) ? PageModel::used : PageModel::idle)
                         : bits::test(arena.fresh, at) ? PageModel::fresh
                                                       : PageModel::returned;
      if (state != pages[i]) FAIL("page " << i << " is " << state << ", not " << int{pages[i]});
    }
    heap_.check(cache_.returned_bytes());
    const std::size_t returned = model_.count(PageModel::returned) + model_.count(PageModel::fresh);
    REQUIRE(heap_.pages.used() == model_.count(PageModel::used) * kPageSize);
    REQUIRE(heap_.pages.idle() == model_.count(PageModel::idle) * kPageSize);
    REQUIRE(heap_.pages.returned() == returned * kPageSize);
    REQUIRE(heap_.pages.reserved() == (model_.arenas() * kArenaPages - pages.size()) * kPageSize);
    REQUIRE(heap_.idle_too_small() == model_.idle_too_small() * kPageSize);
  }

  EmptyHeap heap_;
  Random random_;
  PageModel model_;
  PageCache cache_;
  PageModel::Cache model_cache_;
  std::vector<Live> live_;
  std::size_t live_pages_ = 0;
  std::size_t target_ = 4000;
};

}  // namespace

TEST_CASE("random requests: every page is where a naive bitmap puts it", "[alloc][page]") {
  RandomRun(gort_test::test_seed(), 1).run(scaled(400'000), 2000);
}

TEST_CASE("random requests with 64 KiB pages of the system", "[alloc][page]") {
  RandomRun(gort_test::test_seed(), 8).run(scaled(200'000), 2000);
}

TEST_CASE("millions of random requests", "[alloc][page][.slow]") {
  const std::size_t system_pages = GENERATE(as<std::size_t>{}, 1, 2, 8, 64);
  CAPTURE(system_pages);
  RandomRun(gort_test::test_seed(), system_pages).run(5'000'000, 20'000);
}

TEST_CASE("the heap grows in chunks of 4 MiB, and all of it is fresh", "[alloc][page]") {
  EmptyHeap empty;
  const PageRun first = empty.allocate(1);
  CHECK(first.zeroed);
  CHECK(empty.pages.used() == kPageSize);
  CHECK(empty.pages.returned() == kChunkSize - kPageSize);
  CHECK(empty.pages.idle() == 0);
  CHECK(empty.pages.reserved() == kArenaSize - kChunkSize);
  // Takes the rest of the first chunk and one page of the second.
  const PageRun second = empty.allocate(kChunkPages);
  CHECK(second.start == first.start + kPageSize);
  CHECK(second.zeroed);
  CHECK(empty.pages.reserved() == kArenaSize - 2 * kChunkSize);
  // An arena and a bit: the second arena appears, and the run lies across.
  const PageRun third = empty.allocate(kArenaPages);
  CHECK(third.start == second.start + second.pages.bytes());
  CHECK(empty.pages.reserved() == 2 * kArenaSize - (2 + kArenaChunks) * kChunkSize);
  empty.check();
  for (const PageRun& run : {first, second, third}) empty.free(run);
  empty.check();
}

TEST_CASE("pages said to be zeroed are, and used pages keep their contents", "[alloc][page]") {
  const bool large_pages = GENERATE(false, true);
  EmptyHeap empty;
  if (large_pages) os::set_page_size_for_test(64_KiB);
  Random random(gort_test::test_seed());
  // Both ends of every page carry the page's address.
  auto ends = [](std::uintptr_t page) {
    return std::pair(reinterpret_cast<std::uint64_t*>(page),
                     reinterpret_cast<std::uint64_t*>(page + kPageSize - 8));
  };
  auto for_each_page = [](const PageRun& run, auto&& f) {
    for (std::uintptr_t p = run.start; p < run.start + run.pages.bytes(); p += kPageSize) f(p);
  };
  std::vector<PageRun> live;
  PageCache cache;
  std::size_t zeroed_again = 0;
  std::uintptr_t highest = 0;
  auto take = [&](const PageRun& run) {
    for_each_page(run, [&](std::uintptr_t p) {
      auto [first, last] = ends(p);
      if (run.zeroed) REQUIRE((*first | *last) == 0);
      if (run.zeroed && p < highest) ++zeroed_again;
      *first = *last = p;
    });
    highest = std::max(highest, run.start + run.pages.bytes());
    live.push_back(run);
  };
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t what = random.below(100);
    if (what < 45) {
      take(empty.allocate(1 + random.below(20)));
    } else if (what < 55) {
      if (cache.empty()) REQUIRE(empty.fill(cache));
      if (const PageRun run = cache.allocate(Pages(1 + random.below(4)))) {
        take(run);
      } else {
        empty.flush(cache);
      }
    } else if (what < 99 && !live.empty()) {
      const std::size_t at = random.below(live.size());
      for_each_page(live[at], [&](std::uintptr_t p) {
        auto [first, last] = ends(p);
        REQUIRE(*first == p);
        REQUIRE(*last == p);
      });
      empty.free(live[at]);
      live[at] = live.back();
      live.pop_back();
    } else if (what == 99) {
      empty.pages.scavenge(random.below(2_MiB));
    }
  }
  CHECK(zeroed_again > 100);  // given back and used again, so the claim was put to the test
  empty.flush(cache);
  empty.check();
  for (const PageRun& run : live) empty.free(run);
}

TEST_CASE("a returned page takes no memory, a resident one does", "[alloc][page]") {
  EmptyHeap empty;
  const PageRun run = empty.allocate(4 * kChunkPages);
  auto* memory = reinterpret_cast<void*>(run.start);
  CHECK(os::resident_bytes_of(memory, run.pages.bytes()) == 0);
  std::memset(memory, 1, run.pages.bytes());
  CHECK(os::resident_bytes_of(memory, run.pages.bytes()) == run.pages.bytes());
  empty.free(run);
  CHECK(os::resident_bytes_of(memory, run.pages.bytes()) == run.pages.bytes());
  CHECK(empty.pages.scavenge(1) == 2_MiB);  // a huge page stays whole
  CHECK(os::resident_bytes_of(memory, run.pages.bytes()) == run.pages.bytes() - 2_MiB);
  CHECK(empty.pages.scavenge_all() == run.pages.bytes() - 2_MiB);
  CHECK(os::resident_bytes_of(memory, run.pages.bytes()) == 0);
  CHECK(empty.pages.scavenge_all() == 0);
  empty.check();
}

TEST_CASE("the scavenger leaves a whole idle huge page whole", "[alloc][page]") {
  EmptyHeap empty;
  const PageRun run = empty.allocate(kChunkPages);
  empty.free(run);
  // 2 MiB wanted less one page: the huge page at the end goes as a whole.
  CHECK(empty.pages.scavenge(8_KiB) == 2_MiB);
  // The lower one is not whole any more: exactly what is wanted.
  empty.free(empty.allocate(1));
  const PageRun hole = empty.allocate(1);
  CHECK(empty.pages.scavenge(16_KiB) == 16_KiB);
  empty.free(hole);
}

// Whether huge pages have been asked for behind the chunk that begins at `start`.
static bool has_huge_pages(std::uintptr_t start) {
  const std::size_t page = page_of(start);
  const Arena& arena = *arena_at(page / kArenaPages);
  return arena.has_huge_pages(page % kArenaPages / kChunkPages);
}

TEST_CASE("small heaps have small pages, from the second chunk on pages are huge",
          "[alloc][page]") {
  EmptyHeap empty;
  const PageRun first = empty.allocate(kChunkPages);
  const PageRun second = empty.allocate(1);
  CHECK_FALSE(has_huge_pages(first.start));
  CHECK(has_huge_pages(second.start));
}

TEST_CASE("a large object has huge pages from its first chunk on", "[alloc][page]") {
  EmptyHeap empty;
  const PageRun run = empty.allocate(kArenaPages + kChunkPages);
  for (std::size_t at = 0; at < run.pages.bytes(); at += kChunkSize) {
    CAPTURE(at);
    CHECK(has_huge_pages(run.start + at));
  }
}

namespace {

// One chunk below, then three, all in use; huge pages are behind the three.
struct ThreeChunks {
  EmptyHeap empty;
  PageRun below = empty.allocate(kChunkPages);
  PageRun run = empty.allocate(3 * kChunkPages);
  std::uintptr_t middle = run.start + kChunkSize;
  Arena& arena = *arena_at(page_of(middle) / kArenaPages);

  // Bits of the middle chunk's two huge pages.
  std::uint32_t touched() const {
    return arena.touched_huge_pages.load_relaxed() >> (middle - arena.start) / kHugePageSize & 3;
  }
  void give_back(std::uintptr_t start, std::size_t pages) {
    empty.free(start, pages);
    CHECK(empty.pages.scavenge(pages * kPageSize, ReleaseReason::next_cycle) == pages * kPageSize);
  }
};

}  // namespace

TEST_CASE("a chunk that loses a part has small pages", "[alloc][page]") {
  ThreeChunks three;
  REQUIRE(has_huge_pages(three.middle));
  three.give_back(three.middle, kChunkPages - 1);
  CHECK_FALSE(has_huge_pages(three.middle));
  CHECK(has_huge_pages(three.run.start));
  PageCache cache;
  CHECK(three.empty.fill(cache));
  CHECK_FALSE(has_huge_pages(three.middle));
  three.empty.flush(cache);
  CHECK(three.empty.allocate(kChunkPages - 1).start == three.middle);
  CHECK_FALSE(has_huge_pages(three.middle));
}

TEST_CASE("a chunk that was given back has huge pages again for who will use all of it",
          "[alloc][page]") {
  ThreeChunks three;
  three.give_back(three.middle, kChunkPages);
  REQUIRE_FALSE(has_huge_pages(three.middle));
  three.arena.touched_huge_pages.fetch_or_relaxed(~0U);
  SECTION("a run of all of it") {
    CHECK(three.empty.allocate(kChunkPages).start == three.middle);
    CHECK(has_huge_pages(three.middle));
    CHECK(three.touched() == 0);
  }
  SECTION("small spans") {
    PageCache cache;
    CHECK(three.empty.fill(cache));
    CHECK(has_huge_pages(three.middle));
    CHECK(three.touched() == 0);
    three.empty.flush(cache);
  }
  SECTION("but not a run of nearly all of it") {
    CHECK(three.empty.allocate(kChunkPages - 1).start == three.middle);
    CHECK_FALSE(has_huge_pages(three.middle));
    CHECK(three.touched() == 3);
  }
  three.empty.check();
}

TEST_CASE("the system is asked for huge pages, once for chunks in a row", "[alloc][page]") {
  EmptyHeap empty;
  const PageRun below = empty.allocate(kChunkPages);
  const PageRun run = empty.allocate(5 * kChunkPages);
  const std::uintptr_t fourth = run.start + 3 * kChunkSize;
  empty.free(run.start, 3 * kChunkPages);
  empty.free(fourth + kChunkSize, kChunkPages);
  CHECK(empty.pages.scavenge_all() == 4 * kChunkSize);
  empty.free(fourth, kChunkPages);  // it has kept its own
  const std::uint64_t refused = os::refused_hints_for_test();
  os::fail_call_for_test(1, true);
  CHECK(empty.allocate(5 * kChunkPages).start == run.start);
  os::fail_call_for_test(0);
  CHECK(os::refused_hints_for_test() == refused + 2);
  CHECK(empty.pages.used() == below.pages.bytes() + run.pages.bytes());
}

TEST_CASE("on request, what huge pages bring in behind returned pages goes too", "[alloc][page]") {
  EmptyHeap empty;
  const PageRun below = empty.allocate(kChunkPages);
  const PageRun page = empty.allocate(1);
  REQUIRE(has_huge_pages(page.start));
  // If the system has huge pages, this brings in one.
  *reinterpret_cast<char*>(page.start) = 1;
  CHECK(empty.pages.scavenge(8_KiB, ReleaseReason::next_cycle) == 0);
  CHECK(has_huge_pages(page.start));
  CHECK(empty.pages.scavenge_all() == 0);
  CHECK_FALSE(has_huge_pages(page.start));
  auto* const rest = reinterpret_cast<void*>(page.start + kPageSize);
  CHECK(os::resident_bytes_of(rest, kChunkSize - kPageSize) == 0);
  CHECK(*reinterpret_cast<char*>(page.start) == 1);
  CHECK(empty.pages.used() == below.pages.bytes() + kPageSize);
}

TEST_CASE("a page cache that comes back to a chunk without huge pages leaves nothing behind",
          "[alloc][page]") {
  ThreeChunks three;
  three.give_back(three.middle, kChunkPages);
  PageCache cache;
  REQUIRE(three.empty.fill(cache));
  const PageRun page = cache.allocate(Pages(1));
  *reinterpret_cast<char*>(page.start) = 1;  // brings in a huge page, if the system has any
  const PageRun other = three.empty.allocate(1);
  REQUIRE(other.start / kChunkSize == three.middle / kChunkSize);
  three.give_back(other.start, 1);
  REQUIRE_FALSE(has_huge_pages(three.middle));
  CHECK(resident_behind_returned(three.arena, three.middle, kChunkSize) == 0);
  three.empty.flush(cache);
  CHECK(resident_behind_returned(three.arena, three.middle, kChunkSize) == 0);
}

TEST_CASE("a request that no window can hold is refused", "[alloc][page]") {
  EmptyHeap empty;
  window_options.max_bytes = 2 * kArenaSize;
  CHECK_FALSE(empty.allocate(2 * kArenaPages + 1));
  CHECK_FALSE(empty.allocate(PageTree::kWindowPages + 1));
  CHECK_FALSE(empty.allocate(~std::size_t{0} >> kPageShift));
  const PageRun all = empty.allocate(2 * kArenaPages);
  REQUIRE(all);
  CHECK_FALSE(empty.allocate(1));
  PageCache cache;
  CHECK_FALSE(empty.fill(cache));
  CHECK(cache.empty());
  empty.check();
  empty.free(all);
  CHECK(empty.allocate(2 * kArenaPages).start == all.start);
  empty.free(all);
}

TEST_CASE("every alignment up to an arena", "[alloc][page]") {
  EmptyHeap empty;
  std::vector<PageRun> live;
  for (std::size_t alignment = 1; alignment <= kArenaPages; alignment *= 2) {
    for (const std::size_t n : {1U, 3U, 513U}) {
      CAPTURE(alignment, n);
      live.push_back(empty.allocate(n, alignment));
      REQUIRE(live.back());
      CHECK(live.back().start % (alignment * kPageSize) == 0);
    }
  }
  empty.check();
  for (const PageRun& run : live) empty.free(run);
  empty.check();
}

TEST_CASE("threads allocate, free and scavenge at once; the books stay exact",
          "[alloc][page][threads]") {
  const std::uint64_t seed = gort_test::test_seed();
  EmptyHeap empty;
  std::atomic<int> broken{0};
  std::atomic<bool> stop{false};
  std::atomic<long> steps[3]{};
  auto allocate_and_free = [&](std::uint64_t own) {
    Random random(seed + own);
    std::vector<PageRun> live;
    for (; !stop; ++steps[own]) {
      if (live.size() < 100 && random.below(2) == 0) {
        const PageRun run = empty.allocate(1 + random.below(40));
        auto* word = reinterpret_cast<std::uint64_t*>(run.start);
        if (run.zeroed && *word != 0) ++broken;
        *word = own;
        live.push_back(run);
      } else if (!live.empty()) {
        const std::size_t at = random.below(live.size());
        if (*reinterpret_cast<std::uint64_t*>(live[at].start) != own) ++broken;
        empty.free(live[at]);
        live[at] = live.back();
        live.pop_back();
      }
    }
    for (const PageRun& run : live) empty.free(run);
  };
  std::thread a(allocate_and_free, 1);
  std::thread b(allocate_and_free, 2);
  std::thread scavenger([&] {
    Random random(seed);
    for (; !stop; ++steps[0]) empty.pages.scavenge(1 + random.below(2_MiB));
  });
  const auto all_at_work = [&steps] {
    return std::all_of(std::begin(steps), std::end(steps), [](long n) { return n >= 100; });
  };
  for (int i = 0; i < 100 || !all_at_work(); ++i) {
    {
      LockGuard guard(empty.pages.lock);
      empty.pages.check();
    }
    std::this_thread::yield();
  }
  stop = true;
  a.join();
  b.join();
  scavenger.join();
  CHECK(broken == 0);
  CHECK(empty.pages.used() == 0);
  empty.pages.scavenge_all();
  CHECK(empty.pages.idle() == 0);
  empty.check();
}
