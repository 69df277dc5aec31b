#include <catch2/catch.hpp>

#include <cstring>
#include <new>
#include <stdexcept>

#include <gort/alloc/collector_hooks.h>
#include <gort/tests/alloc/cache_fixture.h>
#include <gort/tests/alloc/page_fixture.h>
#include <gort/tests/support/all_zero.h>

// Large objects: what is zeroed and what is left alone, stops between the pieces, sizes and
// alignments at the borders.

using namespace gort;
using namespace gort::alloc;
using gort_test::all_zero;
using gort_test::EmptyHeap;
using gort_test::OwnCacheScope;

namespace {

struct LargeHeap {
  EmptyHeap empty;
  ~LargeHeap() {
    collector_hooks = {};
    heap.free_everything();
  }
  static char* make(std::size_t bytes, std::size_t alignment = kPageSize) {
    return static_cast<char*>(heap.allocate_large(bytes, true, 0, alignment));
  }
  static void drop_everything() { heap.free_everything(); }
};

int entered = 0;
int inside = 0;
int throw_at = 0;
void (*when_entered)() = nullptr;

void count_slow_paths() {
  entered = 0;
  inside = 0;
  throw_at = 0;
  when_entered = nullptr;
  collector_hooks.enter = [](std::size_t) -> ThreadCache& {
    if (++entered == throw_at) throw std::runtime_error("no");
    ++inside;
    if (when_entered != nullptr) when_entered();
    return *thread_cache;
  };
  collector_hooks.leave = []() noexcept { --inside; };
}

}  // namespace

TEST_CASE("only used pages of a large object are zeroed", "[alloc][large]") {
  const gort_test::NoHugePages small_ones;
  LargeHeap h;
  char* first = LargeHeap::make(3_MiB);
  std::memset(first, 0xee, 3_MiB);
  LargeHeap::drop_everything();
  // The same 3 MiB, dirty, and 60 MiB never used before.
  char* second = LargeHeap::make(63_MiB);
  REQUIRE(second == first);
  CHECK(os::resident_bytes_of(second, 63_MiB) == 3_MiB);  // the fresh pages were not touched
  CHECK(all_zero(second, 63_MiB));
  LargeHeap::drop_everything();
  // Given back as a whole: nothing is touched.
  heap.release_idle();
  char* third = LargeHeap::make(63_MiB);
  CHECK(third == first);
  CHECK(os::resident_bytes_of(third, 63_MiB) == 0);
}

TEST_CASE("memory given back between two pages that were not is left alone", "[alloc][large]") {
  const gort_test::NoHugePages small_ones;
  LargeHeap h;
  const PageRun first = h.empty.allocate(1);
  const PageRun between = h.empty.allocate(Pages::holding(48_MiB).count());
  const PageRun last = h.empty.allocate(1);
  for (const PageRun& run : {first, between, last}) {
    std::memset(reinterpret_cast<void*>(run.start), 0xee, run.pages.bytes());
  }
  h.empty.free(between);
  heap.release_idle();
  h.empty.free(first);
  h.empty.free(last);
  constexpr std::size_t kBytes = 48_MiB + 2 * kPageSize;
  char* p = LargeHeap::make(kBytes);
  REQUIRE(reinterpret_cast<std::uintptr_t>(p) == first.start);
  CHECK(os::resident_bytes_of(p, kBytes) == 2 * kPageSize);
  CHECK(all_zero(p, kBytes));
}

TEST_CASE("dirty pages anywhere in a large object are zeroed", "[alloc][large]") {
  LargeHeap h;
  for (const std::size_t dirty_at : {0U, 1U, 63U, 64U, 100U, 255U, 8191U, 8192U, 9000U}) {
    for (const std::size_t dirty_pages : {1U, 40U, 200U}) {
      CAPTURE(dirty_at, dirty_pages);
      heap.release_idle();
      // Makes some pages in the middle resident and dirty.
      const PageRun below = h.empty.allocate(dirty_at + 1);
      const PageRun dirty = h.empty.allocate(dirty_pages);
      const PageRun clean = h.empty.allocate(dirty_at + dirty_pages);
      const PageRun dirty_too = h.empty.allocate(1);
      std::memset(reinterpret_cast<void*>(dirty.start), 0xee, dirty.pages.bytes());
      std::memset(reinterpret_cast<void*>(dirty_too.start), 0xee, kPageSize);
      h.empty.free(clean);
      heap.release_idle();
      h.empty.free(dirty);
      h.empty.free(dirty_too);
      h.empty.free(below);
      heap.pages.scavenge(0);
      const std::size_t bytes = (2 * dirty_at + 2 * dirty_pages + 300) * kPageSize;
      char* p = LargeHeap::make(bytes);
      REQUIRE(reinterpret_cast<std::uintptr_t>(p) == below.start);
      REQUIRE(all_zero(p, bytes));
      LargeHeap::drop_everything();
    }
  }
}

TEST_CASE("the world may stop between two pieces of the zeroing", "[alloc][large]") {
  LargeHeap h;
  const OwnCacheScope cache;
  std::memset(LargeHeap::make(10_MiB), 0xee, 10_MiB);
  LargeHeap::drop_everything();
  count_slow_paths();
  // At every chance the books are whole: what has no span yet is accounted for.
  when_entered = [] { REQUIRE(heap.pages.used() == heap.span_bytes() + heap.unpublished_bytes()); };
  char* p = LargeHeap::make(10_MiB);
  CHECK(entered >= static_cast<int>(10_MiB / kZeroPiece));
  CHECK(inside == 0);
  CHECK(heap.unpublished_bytes() == 0);
  CHECK(all_zero(p, 10_MiB));
  // Fresh or small: one slow path.
  entered = 0;
  LargeHeap::make(100_MiB);
  CHECK(entered == 1);
}

TEST_CASE("a cycle may pass while a large object is zeroed", "[alloc][large]") {
  LargeHeap h;
  std::memset(LargeHeap::make(2_MiB), 0xee, 2_MiB);
  LargeHeap::drop_everything();
  count_slow_paths();
  when_entered = [] {
    if (entered == 3) {
      heap.flip_sweepgen();
      while (heap.sweep_one()) {
      }
    }
  };
  char* p = LargeHeap::make(2_MiB);
  REQUIRE(entered > 3);
  CHECK(span_of(p) != nullptr);
  CHECK(span_of(p)->sweepgen.load_relaxed() == heap.sweepgen());
  LargeHeap::drop_everything();  // aborts if the generation is wrong
  CHECK(span_of(p) == nullptr);
}

TEST_CASE("an exception between two pieces takes the pages back", "[alloc][large]") {
  LargeHeap h;
  const OwnCacheScope cache;
  std::memset(LargeHeap::make(2_MiB), 0xee, 2_MiB);
  LargeHeap::drop_everything();
  constexpr int kPieces = static_cast<int>(2_MiB / kZeroPiece);
  for (int k = 1; k <= kPieces + 1; ++k) {
    CAPTURE(k);
    count_slow_paths();
    throw_at = k;
    CHECK_THROWS_AS(LargeHeap::make(2_MiB), std::runtime_error);
    CHECK(heap.pages.used() == 0);
    CHECK(heap.unpublished_bytes() == 0);
    CHECK(inside == 0);
    h.empty.check();
  }
}

TEST_CASE("alignments up to an arena, with dirty memory below", "[alloc][large]") {
  LargeHeap h;
  std::memset(LargeHeap::make(1_MiB), 0xee, 1_MiB);
  LargeHeap::drop_everything();
  for (std::size_t alignment = 1; alignment <= kArenaSize; alignment *= 2) {
    CAPTURE(alignment);
    char* p = LargeHeap::make(40'000, alignment);
    CHECK(reinterpret_cast<std::uintptr_t>(p) % alignment == 0);
    CHECK(all_zero(p, 40'000));
  }
}

TEST_CASE("absurd sizes are refused and change nothing", "[alloc][large]") {
  LargeHeap h;
  LargeHeap::make(1);
  const std::size_t used = heap.pages.used();
  const os::Counts before = os::counts();
  for (const std::size_t bytes : {kWindowSize, kWindowSize + 1, kWindowSize - 1,
                                  std::size_t{1} << 62, ~std::size_t{0}, ~std::size_t{0} - 8191}) {
    for (const std::size_t alignment : {kPageSize, kArenaSize}) {
      CAPTURE(bytes, alignment);
      CHECK_THROWS_AS(heap.allocate_large(bytes, true, 0, alignment), std::bad_alloc);
    }
  }
  CHECK(heap.pages.used() == used);
  CHECK(os::counts().reserved + os::counts().prepared + os::counts().ready == before.mapped());
  h.empty.check();
}
