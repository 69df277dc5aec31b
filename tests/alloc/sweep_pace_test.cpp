// Proportional sweeping: who allocates sweeps, so that all is swept at a given distance. And what
// becomes of spans in which nothing is left.

#include <catch2/catch.hpp>

#include <limits>
#include <vector>

#include <gort/base/counters.h>
#include <gort/base/units.h>
#include <gort/tests/alloc/cache_fixture.h>

using namespace gort;
using namespace gort::alloc;
using gort_test::CacheScope;
using gort_test::DefaultSwitches;

namespace {

constexpr std::size_t kSize = 64;
constexpr std::size_t kOther = 1024;
constexpr std::size_t kSlack = 256_KiB;  // allowances, and debts too small to be paid
constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();  // the next cycle begins

void allocate(CacheScope& cache, std::size_t size, std::size_t bytes) {
  const SpanClass span_class = base_span_class(size_class_of(size), true);
  for (std::size_t done = 0; done < bytes; done += size) cache->allocate(span_class, size);
}

// Unswept spans of kSize, `bytes` of them, everything in them dead.
void make_unswept(CacheScope& cache, std::size_t bytes) {
  allocate(cache, kSize, bytes);
  cache->flush();
  heap.flip_sweepgen();
}

std::size_t sweep_the_rest() {
  std::size_t bytes = 0;
  while (const std::size_t one = heap.sweep_one()) bytes += one;
  return bytes;
}

std::size_t swept_bytes() { return counters.bytes_swept.load_relaxed(); }

}  // namespace

TEST_CASE("every span of every class is swept once in every cycle", "[alloc][sweep]") {
  CacheScope cache;
  std::vector<const void*> first;  // of each span, which it keeps alive
  for (const std::size_t size : {kSize, kOther}) {
    const SpanClass span_class = base_span_class(size_class_of(size), true);
    for (std::size_t done = 0; done < 256_KiB; done += size) {
      const void* object = cache->allocate(span_class, size);
      if (gort_test::slot_of(*span_of(object), object) == 0) first.push_back(object);
    }
  }
  REQUIRE(first.size() > 16);
  for (int cycle = 0; cycle < 4; ++cycle) {
    CAPTURE(cycle);
    for (const void* object : first) gort_test::mark(object);
    cache->flush();
    heap.flip_sweepgen();
    const std::size_t all = heap.span_bytes();
    CHECK(sweep_the_rest() == all);
    CHECK(heap.span_bytes() == all);
  }
}

TEST_CASE("allocation sweeps what it owes, and all is swept in time", "[alloc][sweep]") {
  CacheScope cache;
  make_unswept(cache, 8_MiB);
  heap.pace_sweep(4_MiB);
  const std::size_t before = swept_bytes();
  allocate(cache, kOther, 2_MiB);
  const std::size_t half = swept_bytes() - before;
  CHECK(half >= 4_MiB - kSlack);
  CHECK(half <= 4_MiB + kSlack);
  allocate(cache, kOther, 2_MiB + kSlack);
  CHECK(sweep_the_rest() == 0);
}

// The next cycle may begin at once: then all is swept a little later.
TEST_CASE("who is given no distance at all takes the least", "[alloc][sweep]") {
  CacheScope cache;
  make_unswept(cache, 8_MiB);
  heap.pace_sweep(0);
  const std::size_t before = swept_bytes();
  allocate(cache, kOther, kLeastSweepDistance / 2);
  CHECK(swept_bytes() - before <= 4_MiB + 8 * kSlack);
  allocate(cache, kOther, kLeastSweepDistance / 2 + kSlack);
  CHECK(sweep_the_rest() == 0);
}

TEST_CASE("what a thread sweeps in search of free slots is paid", "[alloc][sweep]") {
  CacheScope cache;
  make_unswept(cache, 8_MiB);
  heap.pace_sweep(8_MiB);
  const std::size_t before = swept_bytes();
  allocate(cache, kSize, 4_MiB);
  CHECK(swept_bytes() - before <= 4_MiB + kSlack);
  CHECK(sweep_the_rest() > 0);
}

TEST_CASE("large objects pay too, in turns", "[alloc][sweep]") {
  CacheScope cache;
  make_unswept(cache, 8_MiB);
  heap.pace_sweep(8_MiB);
  ThreadCache* const mine = thread_cache;
  thread_cache = &cache.cache;
  const std::size_t before = swept_bytes();
  heap.allocate_large(4_MiB, true, 0);
  const std::size_t once = swept_bytes() - before;
  CHECK(once >= static_cast<std::size_t>(kMostSweep) - kSlack);
  CHECK(once <= static_cast<std::size_t>(kMostSweep) + kSlack);
  heap.allocate_large(64_KiB, true, 0);  // the rest of what the first one owes
  CHECK(swept_bytes() - before >= 2 * (static_cast<std::size_t>(kMostSweep) - kSlack));
  thread_cache = mine;
}

TEST_CASE("a flush forgives what is owed, and if no cycle comes nothing is", "[alloc][sweep]") {
  CacheScope cache;
  make_unswept(cache, 8_MiB);
  heap.pace_sweep(kNever);
  const std::size_t before = swept_bytes();
  allocate(cache, kOther, 4_MiB);
  CHECK(swept_bytes() == before);
  heap.pace_sweep(1_MiB);
  cache->owe_sweep(4_MiB);
  cache->flush();
  cache->pay_sweep_debt();
  CHECK(swept_bytes() == before);
  heap.pace_sweep(kNever);
}

TEST_CASE("an emptied span may be kept for one cycle", "[alloc][sweep]") {
  const DefaultSwitches switches;
  CacheScope cache;
  const std::size_t spans = heap.span_count();
  make_unswept(cache, 1_MiB);
  const std::size_t full = heap.span_count();
  REQUIRE(full >= spans + 1_MiB / kPageSize);
  heap.emptied.store_relaxed(Emptied::kept);
  sweep_the_rest();
  CHECK(heap.span_count() == full);
  allocate(cache, kSize, 512_KiB);  // half of them are used again
  CHECK(heap.span_count() == full);
  cache->flush();
  heap.flip_sweepgen();
  sweep_the_rest();
  CHECK(heap.span_count() < full - 400_KiB / kPageSize);
  CHECK(heap.span_count() > spans + 400_KiB / kPageSize);
  heap.flip_sweepgen();
  sweep_the_rest();
  CHECK(heap.span_count() == spans);
}
