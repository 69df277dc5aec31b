#include <catch2/catch.hpp>

#include <memory>
#include <vector>

#include <sys/mman.h>
#include <sys/resource.h>

#include <gort/base/metadata.h>
#include <gort/base/random.h>
#include <gort/tests/alloc/page_fixture.h>
#include <gort/tests/support/child.h>
#include <gort/tests/support/seed.h>

using namespace gort;
using namespace gort::alloc;
using gort_test::EmptyHeap;

namespace {

// Somebody else's mapping at a place in the window.
class Foreign {
 public:
  Foreign(std::size_t place, std::size_t offset) {
    p_ = ::mmap(reinterpret_cast<void*>(place_address(place) + offset), 4096, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    REQUIRE(p_ != MAP_FAILED);
  }
  ~Foreign() { ::munmap(p_, 4096); }
  Foreign(const Foreign&) = delete;
  Foreign& operator=(const Foreign&) = delete;

 private:
  void* p_;
};

std::size_t place_of(std::uintptr_t address) { return (address - window.base) / kArenaSize; }

}  // namespace

TEST_CASE("span_of any bit pattern is its span or nothing", "[alloc][arena]") {
  Random random(gort_test::test_seed());
  EmptyHeap empty;
  CHECK(span_of(std::uintptr_t{0}) == nullptr);  // no window yet
  CHECK(span_of(~std::uintptr_t{0}) == nullptr);

  // The page table says what a naive list of ranges says, for every kind of address.
  struct Owned {
    PageRun run;
    Span span;
  };
  std::vector<Owned> owned(300);
  for (Owned& o : owned) {
    o.run = empty.allocate(1 + random.below(random.below(10) == 0 ? 12'000 : 30));
    empty.allocate(1 + random.below(5));  // a gap that belongs to no span
    o.span.start = o.run.start;
    o.span.page_count = static_cast<std::uint32_t>(o.run.pages.count());
    set_span(o.run.start, o.run.pages, &o.span);
  }
  auto expected = [&](std::uintptr_t address) -> Span* {
    for (Owned& o : owned) {
      if (address - o.run.start < o.run.pages.bytes()) return &o.span;
    }
    return nullptr;
  };
  for (Owned& o : owned) {
    REQUIRE(span_of(o.run.start) == &o.span);
    REQUIRE(span_of(o.run.start + o.run.pages.bytes() - 1) == &o.span);
    REQUIRE(span_of(o.run.start - 1) == expected(o.run.start - 1));
    REQUIRE(span_of(o.run.start + o.run.pages.bytes()) == nullptr);
  }
  const std::uintptr_t top = owned.back().run.start + 100_MiB;
  for (int i = 0; i < 100'000; ++i) {
    const std::uintptr_t inside = window.base + random.below(top - window.base);
    REQUIRE(span_of(inside) == expected(inside));
    REQUIRE(arena_of(inside) == arenas[place_of(inside)].load_relaxed());
    std::uintptr_t any = random.next() >> random.below(64);
    REQUIRE(span_of(any) == expected(any));
    any = window.base ^ (std::uintptr_t{1} << random.below(64));  // one bit beside
    REQUIRE(span_of(any) == expected(any));
  }
  for (const std::uintptr_t edge : {window.base - 1, window.base + kWindowSize,
                                    window.base + kWindowSize - 1, std::uintptr_t{1} << 63}) {
    CHECK(span_of(edge) == nullptr);
  }
  for (Owned& o : owned) set_span(o.run.start, o.run.pages, nullptr);
  for (Owned& o : owned) REQUIRE(span_of(o.run.start + o.run.pages.bytes() / 2) == nullptr);
}

TEST_CASE("an arena of one span needs no page table until it is cut up", "[alloc][arena]") {
  EmptyHeap empty;
  const std::size_t metadata_before = metadata::bytes();
  Span span;
  const PageRun huge = empty.allocate(100 * kArenaPages);
  set_span(huge.start, huge.pages, &span);
  CHECK(metadata::bytes() - metadata_before < 100 * 8_KiB);
  for (std::size_t place = 0; place < 100; ++place) {
    CHECK(page_tables[place].load_relaxed() == nullptr);
    CHECK(span_of(place_address(place)) == &span);
    CHECK(span_of(place_address(place) + kArenaSize - 1) == &span);
  }
  CHECK(span_of(place_address(100)) == nullptr);
  set_span(huge.start, huge.pages, nullptr);
  CHECK(span_of(place_address(50)) == nullptr);
  empty.free(huge);

  const PageRun small = empty.allocate(1);
  set_span(small.start, small.pages, &span);
  CHECK(page_tables[0].load_relaxed() != nullptr);
  CHECK(span_of(place_address(0)) == &span);
  CHECK(span_of(place_address(0) + kPageSize) == nullptr);
  set_span(small.start, small.pages, nullptr);
  empty.free(small);

  // The table stays, and a span over the whole arena is written into it.
  const PageRun again = empty.allocate(2 * kArenaPages);
  set_span(again.start, again.pages, &span);
  for (std::size_t page = 0; page < 2 * kArenaPages; page += 31) {
    REQUIRE(span_of(again.start + page * kPageSize) == &span);
  }
  empty.check();
  set_span(again.start, again.pages, nullptr);
  empty.free(again);
  empty.check();
}

TEST_CASE("an occupied place is skipped", "[alloc][arena]") {
  EmptyHeap empty;
  REQUIRE(empty.allocate(1));
  const Foreign foreign(1, 12 * 4096);
  // The rest of arena 0 is used up first, then the run moves on behind the foreign mapping.
  const PageRun small = empty.allocate(kArenaPages - kChunkPages);
  CHECK(place_of(small.start) == 0);
  const PageRun large = empty.allocate(2 * kArenaPages);
  REQUIRE(large);
  CHECK(place_of(large.start) == 2);
  CHECK(arenas[1].load_relaxed() == nullptr);
  CHECK(span_of(place_address(1) + 12 * 4096) == nullptr);
  // What was left of arena 0 was prepared on the way and is found again.
  const PageRun rest = empty.allocate(kChunkPages - 1);
  CHECK(place_of(rest.start) == 0);
  empty.check();
}

TEST_CASE("many occupied places, at any offset", "[alloc][arena]") {
  Random random(gort_test::test_seed());
  EmptyHeap empty;
  REQUIRE(empty.allocate(1));
  std::vector<std::unique_ptr<Foreign>> foreign;
  std::vector<bool> occupied(64);
  for (std::size_t place = 1; place < occupied.size(); ++place) {
    occupied[place] = random.below(3) == 0;
    if (occupied[place]) {
      foreign.push_back(std::make_unique<Foreign>(place, random.below(kArenaSize / 4096) * 4096));
    }
  }
  for (int i = 0; i < 12; ++i) {
    const PageRun run = empty.allocate(1 + random.below(3 * kArenaPages));
    REQUIRE(run);
    for (std::size_t p = place_of(run.start); p <= place_of(run.start + run.pages.bytes() - 1);
         ++p) {
      if (p < occupied.size()) REQUIRE_FALSE(occupied[p]);
      REQUIRE(arenas[p].load_relaxed() != nullptr);
    }
    empty.check();
  }
}

TEST_CASE("a mapping that goes away does not matter afterwards", "[alloc][arena]") {
  EmptyHeap empty;
  REQUIRE(empty.allocate(kArenaPages));
  {
    const Foreign foreign(1, 0);
    CHECK(place_of(empty.allocate(1).start) == 2);
  }
  // Place 1 is free now, but places before the last arena are not come back to.
  CHECK(place_of(empty.allocate(kArenaPages).start) == 2);
  CHECK(arenas[1].load_relaxed() == nullptr);
  empty.check();
}

TEST_CASE("a limit on address space is a refusal, not an occupied place", "[alloc][arena]") {
#if GORT_ASAN || GORT_TSAN
  WARN("not tested: sanitizers have terabytes of it already");
  return;
#endif
  const auto result = gort_test::in_child([] {
    PageAllocator& pages = heap.pages;
    LockGuard guard(pages.lock);
    if (!pages.allocate(Pages(1))) ::_exit(1);
    rlimit limit{};
    limit.rlim_cur = limit.rlim_max = 1_GiB + 600_MiB;
    if (::setrlimit(RLIMIT_AS, &limit) != 0) ::_exit(2);
    const std::size_t reserved = pages.reserved();
    const std::uint64_t calls = os::calls_for_test();
    if (pages.allocate(Pages::holding(4_GiB))) ::_exit(3);
    if (os::calls_for_test() - calls > 20) ::_exit(7);  // did not go through the window for it
    if (pages.reserved() != reserved) ::_exit(8);
    pages.check();
    const std::size_t places = window.arena_limit.load_relaxed();
    if (places != 1) ::_exit(4);  // nothing was skipped
    std::size_t got = 0;
    while (pages.allocate(Pages::holding(32_MiB))) got += 32_MiB;
    pages.check();
    if (got < 512_MiB) ::_exit(5);
    // The address space that there is was used to the last arena that fits.
    if (window.arena_limit.load_relaxed() * kArenaSize - got > 2 * kArenaSize) ::_exit(6);
  });
  CHECK(result.errors.empty());
  CHECK(result.exit_code == 0);
}

TEST_CASE("without hints the window lies where the kernel likes", "[alloc][arena]") {
  EmptyHeap empty;
  window_options.use_hints = false;
  const PageRun run = empty.allocate(3 * kArenaPages);
  REQUIRE(run);
  CHECK(window.base % kArenaSize == 0);
  *reinterpret_cast<char*>(run.start + run.pages.bytes() - 1) = 1;
  empty.check();
}

TEST_CASE("released address space can be had again", "[alloc][arena]") {
  EmptyHeap empty;
  for (int i = 0; i < 5; ++i) {
    const PageRun run = empty.allocate(2 * kArenaPages + 1);
    REQUIRE(run);
    CHECK(run.zeroed);
    *reinterpret_cast<char*>(run.start + run.pages.bytes() - 1) = 1;
    empty.free(run.start, 100);
    empty.pages.scavenge(64_KiB);
    LockGuard guard(empty.pages.lock);
    empty.pages.release_everything();
    CHECK(span_of(run.start) == nullptr);
    CHECK(empty.pages.reserved() + empty.pages.returned() + empty.pages.idle() == 0);
  }
}
