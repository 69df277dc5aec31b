#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <set>
#include <vector>

#include <gort/alloc/collector_hooks.h>
#include <gort/alloc/heap.h>
#include <gort/base/counters.h>
#include <gort/base/metadata.h>
#include <gort/base/os.h>
#include <gort/tests/alloc/cache_fixture.h>
#include <gort/tests/alloc/page_fixture.h>

using namespace gort;
using namespace gort::alloc;
using gort_test::CacheScope;
using gort_test::DefaultSwitches;
using gort_test::end_cycle;
using gort_test::is_allocated;
using gort_test::mark;
using gort_test::OwnCacheScope;

namespace {

constexpr std::size_t kSize = 64;
constexpr SpanClass kClass = base_span_class(size_class_of(kSize), true);

}  // namespace

TEST_CASE("objects are distinct, zeroed and found by any inner address", "[alloc][heap]") {
  CacheScope cache;
  std::set<char*> seen;
  for (int i = 0; i < 1000; ++i) {
    auto* p = static_cast<char*>(cache->allocate(kClass, kSize));
    REQUIRE(seen.insert(p).second);
    for (std::size_t b = 0; b < kSize; ++b) REQUIRE(p[b] == 0);
    std::memset(p, 0xee, kSize);
    const Span* span = span_of(p + kSize - 1);
    REQUIRE(span != nullptr);
    CHECK(span->slot_start(span->slot_of(reinterpret_cast<std::uintptr_t>(p) + 63)) ==
          reinterpret_cast<std::uintptr_t>(p));
  }
}

TEST_CASE("allocation goes up through a span in order of addresses", "[alloc][thread_cache]") {
  CacheScope cache;
  auto* first = static_cast<char*>(cache->allocate(kClass, kSize));
  for (int i = 1; i < 128; ++i) {
    REQUIRE(cache->allocate(kClass, kSize) == first + i * static_cast<long>(kSize));
  }
}

TEST_CASE("what is not marked is free after the sweep, what is marked stays", "[alloc][sweep]") {
  CacheScope cache;
  std::vector<char*> objects;
  for (int i = 0; i < 300; ++i) {
    objects.push_back(static_cast<char*>(cache->allocate(kClass, kSize)));
  }
  const std::uint64_t freed_before = heap.freed_objects(kClass);
  for (std::size_t i = 0; i < objects.size(); i += 3) mark(objects[i]);
  end_cycle(cache.cache);
  for (std::size_t i = 0; i < objects.size(); ++i) {
    CAPTURE(i);
    CHECK(is_allocated(objects[i]) == (i % 3 == 0));
  }
  CHECK(heap.freed_objects(kClass) - freed_before == 200);
}

TEST_CASE("freed slots are used again, zeroed, before a new span is taken", "[alloc][sweep]") {
  CacheScope cache;
  std::vector<char*> objects;
  for (int i = 0; i < 128; ++i) {  // exactly one span
    objects.push_back(static_cast<char*>(cache->allocate(kClass, kSize)));
    std::memset(objects.back(), 0xee, kSize);
  }
  for (std::size_t i = 0; i < objects.size(); ++i) {
    if (i < 10 || i >= 20) mark(objects[i]);
  }
  end_cycle(cache.cache);
  const std::size_t spans = heap.span_count();
  for (std::size_t i = 10; i < 20; ++i) {
    auto* p = static_cast<char*>(cache->allocate(kClass, kSize));
    CHECK(p == objects[i]);
    for (std::size_t b = 0; b < kSize; ++b) REQUIRE(p[b] == 0);
  }
  CHECK(heap.span_count() == spans);
}

TEST_CASE("an empty span goes back to the page heap", "[alloc][sweep]") {
  CacheScope cache;
  const std::size_t before = heap.span_bytes();
  void* object = cache->allocate(kClass, kSize);
  CHECK(heap.span_bytes() == before + size_class_info(kClass).pages * kPageSize);
  end_cycle(cache.cache);
  CHECK(heap.span_bytes() == before);
  CHECK(span_of(object) == nullptr);
}

TEST_CASE("flush leaves the unused slots of a run free", "[alloc][thread_cache]") {
  CacheScope cache;
  void* object = cache->allocate(kClass, kSize);
  const Span* span = span_of(object);
  CHECK(span->in_cache);
  const std::size_t run = std::min<std::size_t>(span->slot_count, kMaxRunBytes / kSize);
  CHECK(span->allocated == run);  // here: all slots
  const std::size_t live = heap.heap_live.load_relaxed();
  const std::size_t allowance = cache->allowance();
  CHECK(allowance == kAllowance);
  cache->flush();
  CHECK_FALSE(span->in_cache);
  CHECK(span->allocated == 1);
  CHECK(bits::count_range(span->alloc_bits, 0, span->slot_count) == 1);
  CHECK(cache->allowance() == 0);
  CHECK(heap.heap_live.load_relaxed() == live - allowance - (run - 1) * kSize);
}

TEST_CASE("the books count objects, not slots handed out", "[alloc][books]") {
  CacheScope cache;
  const std::uint64_t before = heap.allocated_objects(kClass);
  for (int i = 0; i < 200; ++i) cache->allocate(kClass, kSize);
  CHECK(heap.allocated_objects(kClass) + cache->uncounted(kClass) - before == 200);
  cache->flush();
  CHECK(heap.allocated_objects(kClass) - before == 200);
}

TEST_CASE("tiny objects share a block, aligned by divisibility", "[alloc][tiny]") {
  CacheScope cache;
  auto at = [](void* p) { return reinterpret_cast<std::uintptr_t>(p); };
  const std::uintptr_t a = at(cache->allocate_tiny(1));
  const std::uintptr_t b = at(cache->allocate_tiny(8));
  const std::uintptr_t c = at(cache->allocate_tiny(2));
  CHECK(b == a + 8);
  CHECK(at(cache->allocate_tiny(4)) / 16 != a / 16);  // no room left for it
  CHECK(c / 16 != a / 16);                            // 8 + 8 filled the first block
  CHECK(c % 2 == 0);
  CHECK(cache->tiny_allocations() == 4);
}

TEST_CASE("10,000 one-byte objects take 625 blocks, as in Go", "[alloc][tiny]") {
  CacheScope cache;
  constexpr SpanClass kTiny = base_span_class(size_class_of(kTinySize), true);
  const std::uint64_t before = heap.allocated_objects(kTiny) + cache->uncounted(kTiny);
  for (int i = 0; i < 10'000; ++i) cache->allocate_tiny(1);
  CHECK(heap.allocated_objects(kTiny) + cache->uncounted(kTiny) - before == 625);
}

TEST_CASE("a described slot remembers its tag", "[alloc][span_class]") {
  CacheScope cache;
  constexpr SpanClass kDescribed = base_span_class(size_class_of(48), false);
  for (Tag tag = 1; tag < 300; ++tag) {
    void* p = cache->allocate_tagged(kDescribed, 48, tag);
    const Span* span = span_of(p);
    CHECK(span->tag_of(span->slot_of(reinterpret_cast<std::uintptr_t>(p))) == tag);
  }
}

TEST_CASE("a uniform class carries one tag and mask for its spans", "[alloc][span_class]") {
  CacheScope cache;
  const SpanClass uniform = add_uniform_class(size_class_of(32), 77, 0b101);
  REQUIRE(uniform >= kBaseSpanClasses);
  const Span* span = span_of(cache->allocate(uniform, 32));
  CHECK(span->tag_of(0) == 77);
  CHECK(span->reference_mask == 0b101);
  CHECK(span->slot_tags == nullptr);
  CHECK_FALSE(span->noscan);
}

TEST_CASE("large objects have a span of their own, zeroed also when reused", "[alloc][large]") {
  CacheScope cache;
  auto* p = static_cast<char*>(heap.allocate_large(100'000, true, 0));
  const Span* span = span_of(p + 99'999);
  REQUIRE(span != nullptr);
  CHECK(span->is_large());
  CHECK(span->elem_size == 13 * kPageSize);
  std::memset(p, 0xee, 13 * kPageSize);
  end_cycle(cache.cache);
  CHECK(span_of(p) == nullptr);
  auto* again = static_cast<char*>(heap.allocate_large(100'000, true, 0));
  for (std::size_t i = 0; i < 13 * kPageSize; ++i) REQUIRE(again[i] == 0);
  CHECK(heap.allocate_large(200'000, false, 5, 64_KiB) != nullptr);
}

TEST_CASE("large objects are aligned as asked", "[alloc][large]") {
  CacheScope cache;
  for (const std::size_t alignment : {8_KiB, 16_KiB, 64_KiB, 1_MiB, 16_MiB}) {
    CAPTURE(alignment);
    void* p = heap.allocate_large(40'000, true, 0, alignment);
    CHECK(reinterpret_cast<std::uintptr_t>(p) % alignment == 0);
  }
}

TEST_CASE("sizes beyond the window are refused", "[alloc][large]") {
  CHECK_THROWS_AS(heap.allocate_large(~std::size_t{0}, true, 0), std::bad_alloc);
  CHECK_THROWS_AS(heap.allocate_large(kWindowSize + 1, true, 0), std::bad_alloc);
  CHECK_THROWS_AS(heap.allocate_large(std::size_t{1} << 50, true, 0), std::bad_alloc);
}

TEST_CASE("span_of knows no foreign address", "[alloc][arena]") {
  const int here = 0;
  CHECK(span_of(&here) == nullptr);
  CHECK(span_of(nullptr) == nullptr);
  CHECK(span_of(~std::uintptr_t{0}) == nullptr);
  CHECK(span_of(window.base + kWindowSize) == nullptr);
  CHECK(span_of(window.base - 1) == nullptr);
}

TEST_CASE("for_each_span visits every span once, by address", "[alloc][heap]") {
  CacheScope cache;
  std::set<std::uintptr_t> expected;
  for (int i = 0; i < 2000; ++i) expected.insert(span_of(cache->allocate(kClass, kSize))->start);
  for (int i = 0; i < 5; ++i) {
    expected.insert(reinterpret_cast<std::uintptr_t>(heap.allocate_large(70_MiB, true, 0)));
  }
  std::vector<std::uintptr_t> visited;
  std::size_t bytes = 0;
  heap.for_each_span([&](const Span& span) {
    visited.push_back(span.start);
    bytes += span.bytes();
  });
  CHECK(std::is_sorted(visited.begin(), visited.end()));
  CHECK(std::set<std::uintptr_t>(visited.begin(), visited.end()) == expected);
  CHECK(visited.size() == expected.size());
  CHECK(bytes == heap.span_bytes());
}

TEST_CASE("poisoned slots show the pattern until they are used again", "[alloc][poison]") {
  const DefaultSwitches switches;
  CacheScope cache;
  heap.poison.store_relaxed(true);
  auto* dead = static_cast<unsigned char*>(cache->allocate(kClass, kSize));
  void* live = cache->allocate(kClass, kSize);
  mark(live);
  end_cycle(cache.cache);
  for (std::size_t b = 0; b < kSize; ++b) REQUIRE(dead[b] == kPoison);
  CHECK(cache->allocate(kClass, kSize) == dead);
  for (std::size_t b = 0; b < kSize; ++b) REQUIRE(dead[b] == 0);
}

TEST_CASE("a refusal by the system is bad_alloc and leaves the heap whole", "[alloc][oom]") {
  CacheScope cache;
  void* before = cache->allocate(kClass, kSize);
  os::fail_call_for_test(1, true);
  CHECK_THROWS_AS(heap.allocate_large(1_GiB, true, 0), std::bad_alloc);
  os::fail_call_for_test(0);
  CHECK(is_allocated(before));
  CHECK(heap.allocate_large(1_GiB, true, 0) != nullptr);
}

TEST_CASE("a refusal of metadata is bad_alloc and returns the pages", "[alloc][oom]") {
  CacheScope cache;
  heap.allocate_large(1_MiB, true, 0);  // the arena exists
  const std::size_t used = heap.pages.used();
  metadata::fail_allocation_for_test(1);
  CHECK_THROWS_AS(heap.allocate_large(1_MiB, true, 0), std::bad_alloc);
  metadata::fail_allocation_for_test(0);
  CHECK(heap.pages.used() == used);
}

// Until there are two more chunks behind which there are huge pages, and they are in use.
static void use_huge_pages(CacheScope& cache) {
  const std::uint64_t prepared = counters.prepared_bytes.load_relaxed();
  while (heap.span_bytes() < kHugePagesFrom ||
         counters.prepared_bytes.load_relaxed() < prepared + kHugePagesFrom + 3 * kChunkSize) {
    cache->allocate(kClass, kSize);
  }
}

static bool is_huge_page(void* context) {
  return reinterpret_cast<std::uintptr_t>(context) % kHugePageSize == 0;
}

TEST_CASE("a huge page is touched before it is used, while nobody waits for the thread",
          "[alloc][heap]") {
  const DefaultSwitches switches;
  OwnCacheScope cache;
  static std::set<void*> touched;
  touched.clear();
  collector_hooks.while_parked = [](void (*f)(void*), void* context) {
    CHECK(heap.unpublished_bytes() > 0);  // in nobody's hands, and in the books
    f(context);
    if (!is_huge_page(context)) return;
    CHECK(os::resident_bytes_of(context, kHugePageSize) == kHugePageSize);
    CHECK(touched.insert(context).second);  // once each
  };
  use_huge_pages(cache);
  CHECK(touched.size() >= 2 * kChunkSize / kHugePageSize);
  CHECK(heap.unpublished_bytes() == 0);
}

TEST_CASE("what a touch brings in when its chunk has lost its huge pages meanwhile goes again",
          "[alloc][heap]") {
  const DefaultSwitches switches;
  OwnCacheScope cache;
  static std::uintptr_t touched = 0;
  touched = 0;
  collector_hooks.while_parked = [](void (*f)(void*), void* context) {
    if (is_huge_page(context) && touched == 0) {
      touched = reinterpret_cast<std::uintptr_t>(context);
      heap.pages.scavenge_all();
    }
    f(context);
  };
  while (touched == 0) cache->allocate(kClass, kSize);
  const Arena& arena = *arena_of(touched);
  CHECK(gort_test::resident_behind_returned(arena, touched, kHugePageSize) == 0);
}

TEST_CASE("a huge page that the system does not touch for us is touched by its use",
          "[alloc][heap][oom]") {
  const DefaultSwitches switches;
  OwnCacheScope cache;
  static int untouched = 0;
  untouched = 0;
  collector_hooks.while_parked = [](void (*f)(void*), void* context) {
    if (!is_huge_page(context)) return;
    const std::uint64_t before = os::refused_hints_for_test();
    os::fail_call_for_test(1);
    f(context);
    os::fail_call_for_test(0);
    CHECK(os::refused_hints_for_test() == before + 1);
    untouched += os::resident_bytes_of(context, kHugePageSize) == 0;
  };
  use_huge_pages(cache);
  CHECK(untouched >= 4);
  CHECK(heap.unpublished_bytes() == 0);
}

TEST_CASE("in a growing heap memory for the records of spans is asked for ahead, in batches",
          "[alloc][heap]") {
  const DefaultSwitches switches;
  static int batches = 0;
  batches = 0;
  collector_hooks.while_parked = [](void (*f)(void*), void* context) {
    if (is_huge_page(context)) return f(context);
    CHECK(heap.unpublished_bytes() > 0);
    const std::size_t before = metadata::bytes();
    metadata::fail_allocation_for_test(32);
    f(context);
    CHECK_FALSE(metadata::refusal_pending_for_test());
    CHECK(metadata::bytes() == before);
    ++batches;
  };
  OwnCacheScope cache;
  const auto make_spans = [&cache](std::size_t count) {
    for (const std::size_t end = heap.span_count() + count; heap.span_count() < end;) {
      cache->allocate(kClass, kSize);
    }
  };
  heap.pages.scavenge_all();  // so that spans are made of pages without memory
  make_spans(3200);
  CHECK(batches >= 99);
  CHECK(batches <= 101);
}
