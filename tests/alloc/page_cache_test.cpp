#include <catch2/catch.hpp>

#include <vector>

#include <gort/alloc/page_state.h>
#include <gort/base/counters.h>
#include <gort/tests/alloc/page_fixture.h>

// That a cache agrees with a naive model in random use is in page_allocator_test.cpp; here are the
// borders.

using namespace gort;
using namespace gort::alloc;
using gort_test::EmptyHeap;

TEST_CASE("an empty page cache gives nothing", "[alloc][page_cache]") {
  PageCache cache;
  CHECK(cache.empty());
  for (const std::size_t n : {0U, 1U, 64U, 65U, 1000U}) CHECK_FALSE(cache.allocate(Pages(n)));
  CHECK(cache.idle_bytes() + cache.returned_bytes() == 0);
  EmptyHeap empty;
  empty.flush(cache);  // no heap, nothing to do
  empty.check();
}

TEST_CASE("a full page cache gives its 64 pages in any cut", "[alloc][page_cache]") {
  EmptyHeap empty;
  for (std::size_t n = 1; n <= PageCache::kBlockPages; ++n) {
    CAPTURE(n);
    PageCache cache;
    REQUIRE(empty.fill(cache));
    CHECK(cache.idle_bytes() + cache.returned_bytes() == 64 * kPageSize);
    std::vector<PageRun> runs;
    while (const PageRun run = cache.allocate(Pages(n))) {
      if (!runs.empty()) CHECK(run.start == runs.back().start + runs.back().pages.bytes());
      runs.push_back(run);
    }
    CHECK(runs.size() == 64 / n);
    CHECK(cache.empty() == (64 % n == 0));
    CHECK_FALSE(cache.allocate(Pages(0)));
    CHECK_FALSE(cache.allocate(Pages(65)));
    empty.check(cache.returned_bytes());
    empty.flush(cache);
    CHECK(cache.empty());
    for (const PageRun& run : runs) empty.free(run);
    empty.check();
  }
}

TEST_CASE("a cache takes only what is free in its block", "[alloc][page_cache]") {
  EmptyHeap empty;
  std::vector<PageRun> pages;
  for (int i = 0; i < 128; ++i) pages.push_back(empty.allocate(1));
  for (const std::size_t i : {5U, 7U, 8U, 9U, 63U, 64U}) empty.free(pages[i]);
  PageCache cache;
  REQUIRE(empty.fill(cache));
  CHECK(cache.idle_bytes() == 5 * kPageSize);
  CHECK(cache.returned_bytes() == 0);
  CHECK_FALSE(cache.allocate(Pages(4)));
  CHECK(cache.allocate(Pages(2)).start == pages[7].start);  // 5 is alone, so 7 and 8
  CHECK(cache.allocate(Pages(1)).start == pages[5].start);
  CHECK(cache.allocate(Pages(1)).start == pages[9].start);
  CHECK(cache.allocate(Pages(1)).start == pages[63].start);
  CHECK(cache.empty());
  REQUIRE(empty.fill(cache));
  CHECK(cache.allocate(Pages(1)).start == pages[64].start);
  CHECK(cache.empty());
  empty.check();
}

TEST_CASE("pages in a cache count as used, and come back as they were", "[alloc][page_cache]") {
  EmptyHeap empty;
  const PageRun run = empty.allocate(40);
  empty.free(run);  // 40 idle, 24 never used
  PageCache cache;
  REQUIRE(empty.fill(cache));
  CHECK(empty.pages.used() == 64 * kPageSize);
  CHECK(empty.pages.idle() == 0);
  CHECK(cache.idle_bytes() == 40 * kPageSize);
  CHECK(cache.returned_bytes() == 24 * kPageSize);
  CHECK(empty.pages.scavenge_all() == 0);  // out of the scavenger's reach
  empty.check(cache.returned_bytes());
  empty.flush(cache);
  CHECK(empty.pages.used() == 0);
  CHECK(empty.pages.idle() == 40 * kPageSize);
  CHECK(empty.pages.returned() == kChunkSize - 40 * kPageSize);
  empty.check();
  // Not counted as used again: nothing was ever given back.
  const std::uint64_t reused = counters.reused_bytes.load_relaxed();
  REQUIRE(empty.fill(cache));
  const PageRun all = cache.allocate(Pages(64));
  REQUIRE(all);
  CHECK_FALSE(all.zeroed);
  CHECK(counters.reused_bytes.load_relaxed() == reused);
  empty.free(all);
  empty.check();
}

TEST_CASE("a run that lies in given back pages as a whole is zeroed", "[alloc][page_cache]") {
  EmptyHeap empty;
  const PageRun low = empty.allocate(16);
  empty.free(low);
  PageCache cache;
  REQUIRE(empty.fill(cache));
  CHECK_FALSE(cache.allocate(Pages(15)).zeroed);
  CHECK_FALSE(cache.allocate(Pages(2)).zeroed);  // one page idle, one fresh
  CHECK(cache.allocate(Pages(2)).zeroed);
  empty.check(cache.returned_bytes());
  empty.flush(cache);
}

TEST_CASE("with large pages of the system a cache takes them whole", "[alloc][page_cache]") {
  EmptyHeap empty;
  os::set_page_size_for_test(64_KiB);
  empty.free(empty.allocate(1));  // makes 8 pages resident
  empty.pages.scavenge_all();
  CHECK(empty.pages.idle() == 0);
  PageCache cache;
  REQUIRE(empty.fill(cache));
  CHECK(cache.returned_bytes() == 64 * kPageSize);
  const std::uint64_t reused = counters.reused_bytes.load_relaxed();
  CHECK(cache.allocate(Pages(1)).zeroed);
  CHECK(cache.idle_bytes() == 7 * kPageSize);  // the rest of the system's page
  CHECK(cache.returned_bytes() == 56 * kPageSize);
  CHECK(counters.reused_bytes.load_relaxed() - reused == 8 * kPageSize);
  empty.check(cache.returned_bytes());
  empty.flush(cache);
  empty.check();
}
