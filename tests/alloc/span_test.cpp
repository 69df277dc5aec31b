#include <catch2/catch.hpp>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include <gort/base/metadata.h>
#include <gort/base/random.h>
#include <gort/tests/alloc/cache_fixture.h>
#include <gort/tests/alloc/page_fixture.h>
#include <gort/tests/support/all_zero.h>
#include <gort/tests/support/seed.h>

// The span's record: addresses and slots, the two bitmaps, the sweep generation, its size.

using namespace gort;
using namespace gort::alloc;
using gort_test::all_zero;
using gort_test::CacheScope;
using gort_test::end_cycle;

namespace {

// A new span of a class, and no object in it.
struct OwnSpan {
  Span* span;
  explicit OwnSpan(SpanClass span_class) : span(heap.allocate_small_span(span_class)) {
    REQUIRE(span != nullptr);
  }
  ~OwnSpan() { heap.free_span(span); }
  OwnSpan(const OwnSpan&) = delete;
  OwnSpan& operator=(const OwnSpan&) = delete;
  Span* operator->() const { return span; }
};

}  // namespace

TEST_CASE("every address of a span belongs to the slot that holds it, or to the tail",
          "[alloc][span]") {
  for (std::size_t c = 1; c < kSizeClassCount; ++c) {
    CAPTURE(c);
    const OwnSpan span(base_span_class(c, true));
    CHECK(span->slot_count * span->elem_size + span->waste() == span->bytes());
    CHECK(span->bytes() == kSizeClasses[c].pages * kPageSize);
    for (std::uintptr_t p = span->start; p < span->end(); p += 8) {
      REQUIRE(span_of(p) == span.span);
      REQUIRE(span->slot_of(p) == (p - span->start) / span->elem_size);
    }
    CHECK(span->slot_of(span->end() - 1 - span->waste()) == span->slot_count - 1);
    if (span->waste() > 0) CHECK(span->slot_of(span->end() - 1) >= span->slot_count);
    CHECK(span_of(span->end()) != span.span);
    CHECK(span_of(span->start - 1) != span.span);
  }
}

TEST_CASE("ranges of both bitmaps, against one byte a slot", "[alloc][span]") {
  Random random(gort_test::test_seed());
  const OwnSpan span(base_span_class(1, true));  // 1024 slots: sixteen words
  const std::size_t slots = span->slot_count;
  std::vector<bool> allocated(slots);
  std::vector<bool> marked(slots);
  for (int i = 0; i < 3000; ++i) {
    const std::size_t first = random.below(slots);
    const std::size_t count = random.below(random.below(4) == 0 ? slots - first + 1 : 3);
    std::vector<bool>& model = random.below(2) == 0 ? allocated : marked;
    const bool on = random.below(2) == 0;
    if (first + count > slots) continue;
    for (std::size_t s = first; s < first + count; ++s) model[s] = on;
    if (&model == &allocated) {
      on ? span->set_allocated(first, count) : span->clear_allocated(first, count);
    } else {
      on ? span->mark_range(first, count) : span->unmark_range(first, count);
    }
    std::size_t wrong = 0;
    for (std::uint32_t s = 0; s < slots; ++s) {
      wrong += span->is_allocated(s) != allocated[s];
      wrong += span->is_marked(s) != marked[s];
    }
    REQUIRE(wrong == 0);
  }
}

TEST_CASE("of all threads that mark an object, one was first", "[alloc][span][threads]") {
  const OwnSpan span(base_span_class(1, true));
  constexpr std::size_t kThreads = 4;
  std::vector<std::atomic<int>> winners(span->slot_count);
  std::atomic<std::size_t> ready{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      ++ready;
      while (ready < kThreads) std::this_thread::yield();
      for (std::uint32_t s = 0; s < span->slot_count; ++s) winners[s] += span->mark(s);
    });
  }
  for (std::thread& t : threads) t.join();
  for (std::uint32_t s = 0; s < span->slot_count; ++s) {
    REQUIRE(winners[s] == 1);
    REQUIRE(span->is_marked(s));
  }
}

TEST_CASE("a flip makes every span unswept, a sweep brings it up to date", "[alloc][span][sweep]") {
  CacheScope cache;
  std::vector<const Span*> spans;
  for (const std::size_t size : {16U, 64U, 1024U}) {
    void* object = cache->allocate(base_span_class(size_class_of(size), true), size);
    gort_test::mark(object);
    spans.push_back(span_of(object));
  }
  void* large = heap.allocate_large(100'000, true, 0);
  gort_test::mark(large);
  spans.push_back(span_of(large));
  cache->flush();
  for (const Span* span : spans) CHECK(span->sweepgen.load_relaxed() == heap.sweepgen());
  heap.flip_sweepgen();
  for (const Span* span : spans) CHECK(span->sweepgen.load_relaxed() == heap.sweepgen() - 2);
  std::size_t swept = 0;
  while (heap.sweep_one()) ++swept;
  CHECK(swept == spans.size());
  for (const Span* span : spans) {
    CHECK(span->sweepgen.load_relaxed() == heap.sweepgen());
    CHECK(span->allocated == 1);
    CHECK(span->is_allocated(0));
    CHECK_FALSE(span->is_marked(0));  // ready for the next cycle
  }
}

// Slots of a page each, one a run: so it shows whether their memory was touched.
TEST_CASE("what was never used is not cleared", "[alloc][span][fresh]") {
  const gort_test::NoHugePages small_ones;
  gort_test::EmptyHeap empty;
  const gort_test::DefaultSwitches switches;
  constexpr std::size_t kBig = 4_KiB;  // a page of the system, of which a span has several
  constexpr SpanClass kClass = base_span_class(size_class_of(kBig), true);
  const auto resident = [](const void* p) { return os::resident_bytes_of(p, kBig); };
  CacheScope cache;
  heap.run_limit.store_relaxed(1);
  const auto take = [&cache] {
    auto* const object = static_cast<char*>(cache->allocate(kClass, kBig));
    CHECK(all_zero(object, kBig));
    return object;
  };
  char* const first = static_cast<char*>(cache->allocate(kClass, kBig));
  Span* const span = span_of(first);
  CHECK(span->fresh);
  CHECK(resident(first) == 0);
  std::memset(first, 0x55, kBig);
  // A sweep that frees nothing changes nothing.
  gort_test::mark(first);
  end_cycle(cache.cache);
  CHECK(span->fresh);
  char* const second = static_cast<char*>(cache->allocate(kClass, kBig));
  CHECK(second == first + kBig);
  REQUIRE(span_of(second) == span);
  CHECK(resident(second) == 0);
  // One that frees something leaves dirt behind.
  gort_test::mark(second);
  end_cycle(cache.cache);
  CHECK_FALSE(span->fresh);
  CHECK(take() == first);
  CHECK(resident(first) == kBig);
  std::memset(first, 0x55, kBig);
  // A span of pages that were used is not fresh; one of pages that were given back is.
  end_cycle(cache.cache);
  REQUIRE(heap.span_count() == 0);
  CHECK(take() == first);
  CHECK_FALSE(span_of(first)->fresh);
  std::memset(first, 0x55, kBig);
  end_cycle(cache.cache);
  REQUIRE(heap.span_count() == 0);
  heap.release_idle();
  char* const again = static_cast<char*>(cache->allocate(kClass, kBig));
  CHECK(again == first);
  CHECK(span_of(again)->fresh);
  CHECK(resident(again) == 0);
}

TEST_CASE("records take at most 4 % of a heap of 64-byte objects", "[alloc][span][metadata]") {
  CacheScope cache;
  const SpanClass span_class = base_span_class(size_class_of(64), true);
  cache->allocate(span_class, 64);  // the first arena with its page table is there
  const std::size_t metadata_before = metadata::bytes();
  const std::size_t before = heap.span_bytes();
  while (heap.span_bytes() < before + 32_MiB) cache->allocate(span_class, 64);
  // And a page table for each arena.
  const std::size_t records = metadata::bytes() - metadata_before + 32_MiB / kPageSize * 8;
  CHECK(records * 100 <= 4 * 32_MiB);
}
