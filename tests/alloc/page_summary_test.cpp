#include <catch2/catch.hpp>

#include <memory>
#include <vector>

#include <gort/alloc/page_summary.h>
#include <gort/base/random.h>
#include <gort/tests/support/seed.h>

using namespace gort;
using namespace gort::alloc;

namespace {

// Pages one by one: true is free.
using Map = std::vector<bool>;

PageSummary naive_summary(const Map& free) {
  std::size_t start = 0;
  while (start < free.size() && free[start]) ++start;
  std::size_t end = 0;
  while (end < free.size() && free[free.size() - 1 - end]) ++end;
  std::size_t max = 0;
  std::size_t run = 0;
  for (const bool f : free) {
    run = f ? run + 1 : 0;
    max = std::max(max, run);
  }
  return {start, max, end};
}

std::size_t naive_find(const Map& free, std::size_t n, std::size_t from = 0) {
  std::size_t run = 0;
  for (std::size_t i = from; i < free.size(); ++i) {
    run = free[i] ? run + 1 : 0;
    if (run == n) return i + 1 - n;
  }
  return kNoPage;
}

// Free runs of random length between used runs of random length, both up to `longest`.
Map random_map(Random& random, std::size_t pages, std::size_t longest) {
  Map free;
  bool value = random.below(2) == 0;
  while (free.size() < pages) {
    free.insert(free.end(), 1 + random.below(longest), value);
    value = !value;
  }
  free.resize(pages);
  return free;
}

std::vector<std::uint64_t> used_bits(const Map& free) {
  std::vector<std::uint64_t> used(free.size() / 64);
  for (std::size_t i = 0; i < free.size(); ++i) {
    if (!free[i]) bits::set_range(used.data(), i, 1);
  }
  return used;
}

PageTree tree;  // 9 MiB: in static storage, as in the heap

// Puts `free` at page `first` (a chunk's) and returns the tree to all zero at the end.
struct InTree {
  InTree(std::size_t first_page, const Map& free)
      : first(first_page / kChunkPages), count(free.size() / kChunkPages) {
    const std::vector<std::uint64_t> used = used_bits(free);
    for (std::size_t c = 0; c < count; ++c) {
      tree.set_only(first + c, summarize_chunk(&used[c * kChunkWords]));
    }
    tree.update(first, first + count - 1);
  }
  ~InTree() {
    for (std::size_t c = 0; c < count; ++c) tree.set(first + c, PageSummary{});
    tree.check(first + count);
    CHECK(tree.find(1, 0, PageTree::kWindowPages).page == kNoPage);
  }
  std::size_t first;
  std::size_t count;
};

// What find returns, with the look into the chunk that its caller does.
std::size_t find(const Map& free, std::size_t first_page, std::size_t n,
                 std::size_t lowest_free = 0) {
  const PageTree::Found found = tree.find(n, lowest_free, PageTree::kWindowPages);
  if (!found.inside_chunk) return found.page;
  const std::vector<std::uint64_t> used = used_bits(free);
  return found.page + find_in_chunk(&used[(found.page - first_page) / bits::kWordBits], n, 0);
}

}  // namespace

TEST_CASE("a summary keeps its three lengths apart", "[alloc][page_summary]") {
  constexpr std::size_t kAll = PageTree::kRootPages;
  const PageSummary all(kAll, kAll, kAll);
  CHECK(all.start() == kAll);
  CHECK(all.max() == kAll);
  CHECK(all.end() == kAll);
  const PageSummary some(1, 3, 2);
  CHECK(some.start() == 1);
  CHECK(some.max() == 3);
  CHECK(some.end() == 2);
  CHECK(PageSummary{}.nothing_free());
  CHECK_FALSE(some.nothing_free());
}

TEST_CASE("a chunk's summary is what counting page by page gives", "[alloc][page_summary]") {
  Random random(gort_test::test_seed());
  for (const std::size_t longest :
       std::initializer_list<std::size_t>{1, 2, 3, 8, 30, 62, 63, 64, 65, 200, 600, 2000}) {
    for (int i = 0; i < 2000; ++i) {
      const Map free = random_map(random, kChunkPages, longest);
      REQUIRE(summarize_chunk(used_bits(free).data()) == naive_summary(free));
    }
  }
}

TEST_CASE("every single run in a chunk is seen by its summary", "[alloc][page_summary]") {
  for (std::size_t length = 1; length <= 130; ++length) {
    for (std::size_t at = 0; at + length <= kChunkPages; ++at) {
      std::uint64_t used[kChunkWords];
      std::fill_n(used, kChunkWords, ~std::uint64_t{0});
      bits::clear_range(used, at, length);
      const PageSummary got = summarize_chunk(used);
      const std::size_t end = at + length == kChunkPages ? length : 0;
      if (got != PageSummary(at == 0 ? length : 0, length, end)) {
        FAIL("run of " << length << " at " << at);
      }
    }
  }
}

TEST_CASE("a run in a chunk is found where counting finds it", "[alloc][page_summary]") {
  Random random(gort_test::test_seed());
  for (const std::size_t longest : std::initializer_list<std::size_t>{1, 3, 20, 64, 150, 512}) {
    for (int i = 0; i < 2000; ++i) {
      const Map free = random_map(random, kChunkPages, longest);
      const std::size_t n = 1 + random.below(2 * longest);
      const std::size_t from = random.below(kChunkPages);
      REQUIRE(find_in_chunk(used_bits(free).data(), n, from) == naive_find(free, n, from));
    }
  }
}

TEST_CASE("merging neighbours gives the summary of the whole", "[alloc][page_summary]") {
  Random random(gort_test::test_seed());
  for (int i = 0; i < 1000; ++i) {
    const std::size_t count = std::size_t{4} << random.below(2);
    const Map free = random_map(random, count * kChunkPages, 10 + random.below(3000));
    const std::vector<std::uint64_t> used = used_bits(free);
    std::vector<PageSummary> chunks;
    for (std::size_t c = 0; c < count; ++c) {
      chunks.push_back(summarize_chunk(&used[c * kChunkWords]));
    }
    REQUIRE(merge(chunks.data(), count, kChunkPages) == naive_summary(free));
  }
}

TEST_CASE("the tree finds the first run, across every kind of boundary", "[alloc][page_summary]") {
  Random random(gort_test::test_seed());
  // Boundaries of entries of each level lie inside these pieces.
  for (const std::size_t level : std::initializer_list<std::size_t>{0, 1, 2, 3, 4}) {
    const std::size_t boundary = std::size_t{3} << PageTree::kShift[level];
    for (int i = 0; i < 60; ++i) {
      const std::size_t chunks = 16;
      const std::size_t first = boundary - std::min(boundary, chunks / 2 * kChunkPages);
      const Map free = random_map(random, chunks * kChunkPages, 1 + random.below(4000));
      const InTree in_tree(first, free);
      for (int k = 0; k < 20; ++k) {
        const std::size_t n = 1 + random.below(5000);
        const std::size_t expected = naive_find(free, n);
        REQUIRE(find(free, first, n) == (expected == kNoPage ? kNoPage : first + expected));
      }
    }
  }
}

TEST_CASE("the search tells from where on pages may be free", "[alloc][page_summary]") {
  Random random(gort_test::test_seed());
  for (int i = 0; i < 300; ++i) {
    const std::size_t first = random.below(100) * kChunkPages;
    Map free = random_map(random, 24 * kChunkPages, 1 + random.below(3000));
    const std::size_t hidden = random.below(free.size() / 2);
    std::fill_n(free.begin(), hidden, false);
    const InTree in_tree(first, free);
    const std::size_t lowest = naive_find(free, 1);
    const std::size_t n = 1 + random.below(1000);
    // The search may start anywhere up to the lowest free page and finds the same.
    const std::size_t hint = random.below(first + (lowest == kNoPage ? 0 : lowest) + 1);
    const PageTree::Found found = tree.find(n, hint, PageTree::kWindowPages);
    REQUIRE(found.lowest_free >= hint);
    if (lowest != kNoPage) REQUIRE(found.lowest_free <= first + lowest);
    const std::size_t expected = naive_find(free, n);
    REQUIRE(find(free, first, n, hint) == (expected == kNoPage ? kNoPage : first + expected));
  }
}

TEST_CASE("setting chunk by chunk is the same as recomputing everything", "[alloc][page_summary]") {
  Random random(gort_test::test_seed());
  constexpr std::size_t kChunks = 200;
  for (int i = 0; i < 20'000; ++i) {
    const Map free = random_map(random, kChunkPages, 1 + random.below(1500));
    tree.set(random.below(kChunks), summarize_chunk(used_bits(free).data()));
    if (i % 10 == 0) tree.check(kChunks);
  }
  tree.check(kChunks);
  tree.clear(kChunks);
  tree.check(kChunks);
  CHECK(tree.find(1, 0, PageTree::kWindowPages).page == kNoPage);
}

TEST_CASE("runs longer than an entry of the root are found", "[alloc][page_summary]") {
  constexpr std::size_t kRootChunks = PageTree::kRootPages / kChunkPages;
  const PageSummary all(kChunkPages, kChunkPages, kChunkPages);
  // Free: the last chunk of root entry 1, all of 2 and 3, the first chunk of 4.
  const std::size_t first = 2 * kRootChunks - 1;
  const std::size_t last = 4 * kRootChunks;
  for (std::size_t c = first; c <= last; ++c) tree.set_only(c, all);
  tree.update(first, last);
  const std::size_t length = (last - first + 1) * kChunkPages;
  auto page_of = [](std::size_t n) { return tree.find(n, 0, PageTree::kWindowPages).page; };
  CHECK(page_of(length) == first * kChunkPages);
  CHECK(page_of(2 * PageTree::kRootPages) == first * kChunkPages);
  CHECK(page_of(length + 1) == kNoPage);
  tree.set(3 * kRootChunks, PageSummary{});
  CHECK(page_of(PageTree::kRootPages) == first * kChunkPages);
  CHECK(page_of(PageTree::kRootPages + kChunkPages + 1) == kNoPage);
  tree.clear(last + 1);
  CHECK(page_of(1) == kNoPage);
}

TEST_CASE("the last page of the window can be found", "[alloc][page_summary]") {
  constexpr std::size_t kLast = PageTree::kWindowPages / kChunkPages - 1;
  tree.set(kLast, PageSummary(0, 1, 1));
  CHECK(tree.find(1, 0, PageTree::kWindowPages).page == kLast * kChunkPages);
  CHECK(tree.find(1, PageTree::kWindowPages - 1, PageTree::kWindowPages).page ==
        kLast * kChunkPages);
  CHECK(tree.find(2, 0, PageTree::kWindowPages).page == kNoPage);
  tree.set(kLast, PageSummary{});
}
