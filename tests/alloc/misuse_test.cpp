#include <catch2/catch.hpp>

#include <csignal>
#include <cstdint>
#include <string>

#include <fmt/format.h>

#include <gort/alloc/describe.h>
#include <gort/base/ledger.h>
#include <gort/base/os.h>
#include <gort/tests/alloc/cache_fixture.h>
#include <gort/tests/alloc/page_fixture.h>
#include <gort/tests/support/child.h>

// Bad input from the rooms above: what was never allocated is not freed, and the message says what
// is there. (Absurd sizes: large_test.cpp.)

using namespace gort;
using namespace gort::alloc;
using gort_test::EmptyHeap;

namespace {

// Standard error of a process that f() ends.
template <class F>
std::string last_words(F&& f) {
  const gort_test::ChildResult result = gort_test::in_child(f);
  CHECK(result.signal == SIGABRT);
  return result.errors;
}

std::string hex(std::uintptr_t address) { return fmt::format("{:#x}", address); }

// What the allocator knows of it.
std::string about(std::uintptr_t address) {
  return std::string(describe(reinterpret_cast<const void*>(address)).view());
}

}  // namespace

TEST_CASE("pages that are not of this heap are not freed", "[alloc][page][misuse]") {
  EmptyHeap empty;
  const PageRun run = empty.allocate(10);
  const int local = 0;
  const std::uintptr_t limit =
      window.base + window.arena_limit.load_relaxed() * std::size_t{kArenaSize};
  for (const std::uintptr_t address :
       {std::uintptr_t{0}, reinterpret_cast<std::uintptr_t>(&local), window.base - kPageSize, limit,
        limit - kPageSize, ~std::uintptr_t{0} - kPageSize + 1, run.start + 8}) {
    CAPTURE(address);
    const std::string said = last_words([&] { empty.free(address, 2); });
    CHECK_THAT(said, Catch::Contains("pages at " + hex(address) + " are not of this heap; ") &&
                         Catch::Contains(about(address)));
  }
  const std::string said =
      last_words([&] { empty.free(run.start, ~std::size_t{0} >> kPageShift); });
  CHECK_THAT(said, Catch::Contains("are not of this heap") && Catch::Contains(hex(run.start)));
  empty.free(run);
}

TEST_CASE("pages of an arena that is not there are not freed", "[alloc][page][misuse]") {
  EmptyHeap empty;
  const PageRun run = empty.allocate(10);
  // Somebody else's mapping lies where the next arena would be.
  const std::uintptr_t next = arena_of(run.start)->start + kArenaSize;
  void* const foreign = os::reserve_at(next, kArenaSize);
  REQUIRE(foreign != nullptr);
  const PageRun behind = empty.allocate(kArenaPages);
  REQUIRE(behind.start > next);
  const std::string said = last_words([&] { empty.free(next, 2); });
  CHECK_THAT(said, Catch::Contains("are not of this heap; " + hex(next) + ": not in the heap"));
  empty.free(behind);
  empty.free(run);
  os::release(foreign, kArenaSize, os::From::reserved);
}

TEST_CASE("pages that are free are not freed", "[alloc][page][misuse]") {
  EmptyHeap empty;
  const PageRun run = empty.allocate(10);
  empty.free(run.start, 4);
  // Wholly, and in part: the first page that is free is described.
  struct Try {
    std::size_t first, culprit;
    Place place;
  };
  for (const auto& [first, culprit, place] :
       {Try{0, 0, Place::page_free}, Try{3, 3, Place::page_free}, Try{9, 10, Place::returned}}) {
    CAPTURE(first);
    const std::uintptr_t start = run.start + first * kPageSize;
    const std::string said = last_words([&] { empty.free(start, 2); });
    CHECK_THAT(said, Catch::Contains("2 pages at " + hex(start) + " are freed and not all used"));
    CHECK_THAT(said, Catch::Contains(fmt::format("; {:#x}: {}\n", run.start + culprit * kPageSize,
                                                 place_name(place))));
  }
  empty.free(run.start + 4 * kPageSize, 6);
}

TEST_CASE("an alignment that is no power of two, or beyond an arena, is named",
          "[alloc][large][misuse]") {
  for (const std::size_t alignment :
       {std::size_t{0}, std::size_t{24}, 12_KiB, 3 * kPageSize, 2 * kArenaSize, ~std::size_t{0}}) {
    CAPTURE(alignment);
    const std::string said = last_words([&] { heap.allocate_large(100'000, true, 0, alignment); });
    CHECK_THAT(said, Catch::Contains(fmt::format("alignment to {} bytes", alignment)));
  }
}

TEST_CASE("a span that is swept already is not swept again", "[alloc][sweep][misuse]") {
  gort_test::CacheScope cache;
  void* object = cache->allocate(base_span_class(size_class_of(64), true), 64);
  Span* span = span_of(object);
  cache->flush();
  CentralList list;
  const std::string said = last_words([&] { heap.sweep_and_put(span, list); });
  CHECK_THAT(said, Catch::Contains("to be swept") &&
                       Catch::Contains(hex(span->start) + ": offset 0 in slot 0 of 64 bytes"));
}

TEST_CASE("a slot that is marked and free is named", "[alloc][sweep][misuse]") {
  gort_test::CacheScope cache;
  void* object = cache->allocate(base_span_class(size_class_of(64), true), 64);
  Span* span = span_of(object);
  cache->flush();
  span->mark_range(0, 3);
  const std::string said = last_words([&] { gort_test::end_cycle(cache.cache); });
  CHECK_THAT(said, Catch::Contains("3 are marked") &&
                       Catch::Contains("; " + hex(span->start + 64) +
                                       ": offset 0 in slot 1 of 64 bytes, span_free"));
  span->unmark_all();
}

TEST_CASE("any address is described in one line that begins with it", "[alloc][misuse]") {
  EmptyHeap empty;
  const auto line_about = [](std::uintptr_t address) {
    std::string line = about(address);
    CHECK(line.rfind(hex(address) + ": ", 0) == 0);
    return line;
  };
  for (const std::uintptr_t address : {std::uintptr_t{0}, std::uintptr_t{1}, ~std::uintptr_t{0}}) {
    CHECK_THAT(line_about(address), Catch::EndsWith("not in the heap"));
  }
  gort_test::CacheScope cache;
  const SpanClass span_class = base_span_class(size_class_of(48), true);
  const auto object = reinterpret_cast<std::uintptr_t>(cache->allocate(span_class, 48));
  cache->flush();
  CHECK_THAT(line_about(object + 47),
             Catch::Contains("offset 47 in slot 0 of 48 bytes, allocated"));
  CHECK_THAT(line_about(object + 48), Catch::Contains("offset 0 in slot 1 of 48 bytes, span_free"));
  CHECK_THAT(line_about(object + kPageSize - 1), Catch::Contains("span_waste"));
  CHECK_THAT(line_about(object + kPageSize), Catch::Contains("returned"));
  CHECK_THAT(line_about(object + kArenaSize - 1), Catch::Contains("reserved"));
  const PageRun run = empty.allocate(1);
  CHECK_THAT(line_about(run.start), Catch::Contains("of no span"));
  empty.free(run);
  CHECK_THAT(line_about(run.start), Catch::Contains("page_free"));
  const auto large = reinterpret_cast<std::uintptr_t>(heap.allocate_large(100'000, true, 0));
  CHECK_THAT(line_about(large + 99'999), Catch::Contains("offset 99999 in slot 0 of 106496 bytes"));
}
