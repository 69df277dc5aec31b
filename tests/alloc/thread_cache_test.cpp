#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gort/alloc/collector_hooks.h>
#include <gort/tests/alloc/cache_fixture.h>
#include <gort/tests/alloc/page_fixture.h>

// Thread caches: what a thread gets, what the others get after it, and what a stop between any two
// instructions may find.

using namespace gort;
using namespace gort::alloc;
using gort_test::CacheScope;
using gort_test::DefaultSwitches;
using gort_test::end_cycle;
using gort_test::is_allocated;
using gort_test::is_marked;
using gort_test::mark;

namespace {

constexpr std::size_t kSize = 64;
constexpr SpanClass kClass = base_span_class(size_class_of(kSize), true);
constexpr std::size_t kSlots = kSizeClasses[size_class_of(kSize)].objects;
constexpr std::size_t kRun = std::min(kSlots, kMaxRunBytes / kSize);  // of a new span

char* take(ThreadCache& cache) { return static_cast<char*>(cache.allocate(kClass, kSize)); }

// Objects of the class that the books know of.
std::uint64_t booked(const ThreadCache& cache) {
  return heap.allocated_objects(kClass) + cache.uncounted(kClass) - heap.freed_objects(kClass);
}

}  // namespace

TEST_CASE("slots of two caches never overlap, and no slot is given out twice",
          "[alloc][thread_cache]") {
  CacheScope a;
  CacheScope b;
  std::set<char*> seen;
  for (int i = 0; i < 3000; ++i) {
    REQUIRE(seen.insert(take(a.cache)).second);
    if (i % 3 == 0) REQUIRE(seen.insert(take(b.cache)).second);
    if (i % 100 == 0) a->flush();
    if (i % 130 == 0) b->flush();
  }
}

TEST_CASE("what one cache leaves, another uses up before there is a new span",
          "[alloc][thread_cache]") {
  CacheScope a;
  CacheScope b;
  char* first = take(a.cache);
  a->flush();
  const std::size_t spans = heap.span_count();
  std::set<char*> rest;
  for (std::size_t i = 1; i < kSlots; ++i) rest.insert(take(b.cache));
  CHECK(heap.span_count() == spans);
  CHECK(rest.size() == kSlots - 1);
  CHECK(rest.count(first) == 0);
  CHECK(span_of(*rest.begin()) == span_of(first));
  take(b.cache);
  CHECK(heap.span_count() == spans + 1);
}

TEST_CASE("holes are filled from the lowest address up", "[alloc][thread_cache]") {
  CacheScope cache;
  std::vector<char*> objects;
  for (std::size_t i = 0; i < kSlots; ++i) objects.push_back(take(cache.cache));
  std::vector<char*> holes;
  for (std::size_t i = 0; i < kSlots; ++i) {
    const bool hole = i == 0 || i == 5 || i == 6 || i == 63 || i == 64 || i == kSlots - 1;
    hole ? holes.push_back(objects[i]) : mark(objects[i]);
  }
  end_cycle(cache.cache);
  for (char* hole : holes) CHECK(take(cache.cache) == hole);
}

TEST_CASE("a run is zeroed however dirty its slots were", "[alloc][thread_cache]") {
  CacheScope cache;
  for (int round = 0; round < 3; ++round) {
    std::vector<char*> objects;
    for (std::size_t i = 0; i < 3 * kSlots; ++i) {
      objects.push_back(take(cache.cache));
      for (std::size_t b = 0; b < kSize; ++b) REQUIRE(objects.back()[b] == 0);
      std::memset(objects.back(), 0xee, kSize);
    }
    for (std::size_t i = static_cast<std::size_t>(round); i < objects.size(); i += 3) {
      if (!is_marked(objects[i])) mark(objects[i]);
    }
    end_cycle(cache.cache);
  }
}

TEST_CASE("a refill hands out no more than the limit, and at least one slot",
          "[alloc][thread_cache]") {
  const DefaultSwitches switches;
  CacheScope cache;
  static int slow_paths = 0;
  slow_paths = 0;
  static ThreadCache* own = nullptr;
  own = &cache.cache;
  collector_hooks.enter = [](std::size_t) -> ThreadCache& {
    ++slow_paths;
    return *own;
  };
  heap.run_limit.store_relaxed(1);
  for (int i = 0; i < 10; ++i) take(cache.cache);
  CHECK(slow_paths == 10);
  heap.run_limit.store_relaxed(10 * kSize);
  const auto handed_out = [&cache] {
    return heap.heap_live.load_relaxed() - cache.cache.allowance();
  };
  const std::size_t before = handed_out();
  for (int i = 0; i < 10; ++i) take(cache.cache);
  CHECK(slow_paths == 11);
  CHECK(handed_out() == before + 10 * kSize);
}

TEST_CASE("a cache stopped at any instruction keeps the one slot it may be taking",
          "[alloc][thread_cache][stop]") {
  CacheScope cache;
  take(cache.cache);
  char* const last = take(cache.cache);
  const std::uint64_t objects = booked(cache.cache);
  cache->flush_interrupted();
  const Span* span = span_of(last);
  CHECK_FALSE(span->in_cache);
  CHECK(is_allocated(last + kSize));
  CHECK_FALSE(is_allocated(last + 2 * kSize));
  CHECK(booked(cache.cache) == objects + 1);  // the slot counts as an object
  // The thread had not loaded the pointer yet: it gets that slot, then refills.
  CHECK(take(cache.cache) == last + kSize);
  CHECK(booked(cache.cache) == objects + 1);
  CHECK(cache->try_allocate(kClass, kSize) == nullptr);
  CHECK(take(cache.cache) != nullptr);
}

TEST_CASE("a cache stopped again and again keeps one slot a class, no more",
          "[alloc][thread_cache][stop]") {
  CacheScope cache;
  take(cache.cache);
  cache->flush_interrupted();
  const std::uint64_t objects = booked(cache.cache);
  for (int i = 0; i < 10; ++i) cache->flush_interrupted();
  CHECK(booked(cache.cache) == objects);
  // A flush by the owner gives that slot up; nobody has marked it, so a sweep frees it.
  end_cycle(cache.cache);
  CHECK(booked(cache.cache) == 0);
  CHECK(heap.span_count() == 0);
}

TEST_CASE("a stop at the end of a run leaves nothing behind", "[alloc][thread_cache][stop]") {
  CacheScope cache;
  for (std::size_t i = 0; i < kSlots; ++i) take(cache.cache);
  const std::uint64_t objects = booked(cache.cache);
  cache->flush_interrupted();
  CHECK(booked(cache.cache) == objects);
  CHECK(cache->try_allocate(kClass, kSize) == nullptr);
}

TEST_CASE("while markers run, objects are born marked and what is left over is not",
          "[alloc][thread_cache][black]") {
  const DefaultSwitches switches;
  CacheScope cache;
  char* before = take(cache.cache);
  heap.allocate_black.store_relaxed(true);
  // The run that is there when marking starts: all but what has been handed out.
  CHECK(cache->mark_runs() == (kRun - 1) * kSize);
  char* during = take(cache.cache);
  CHECK_FALSE(is_marked(before));
  CHECK(is_marked(during));
  // A run that is refilled meanwhile.
  char* refilled = nullptr;
  for (std::size_t i = 0; i < kSlots; ++i) refilled = take(cache.cache);
  CHECK(is_marked(refilled));
  CHECK(is_marked(refilled + kSize));
  cache->flush();
  CHECK(is_marked(refilled));
  CHECK_FALSE(is_marked(refilled + kSize));
  CHECK_FALSE(is_allocated(refilled + kSize));
  heap.allocate_black.store_relaxed(false);
  end_cycle(cache.cache);
  CHECK_FALSE(is_allocated(before));
  CHECK(is_allocated(during));
  CHECK(is_allocated(refilled));
}

TEST_CASE("a slot that an interrupted thread keeps is marked in the next cycle too",
          "[alloc][thread_cache][black][stop]") {
  const DefaultSwitches switches;
  CacheScope cache;
  char* const slot = take(cache.cache) + kSize;
  for (int cycle = 0; cycle < 3; ++cycle) {
    heap.allocate_black.store_relaxed(true);
    cache->mark_runs();
    cache->flush_interrupted();
    heap.allocate_black.store_relaxed(false);
    heap.flip_sweepgen();
    while (heap.sweep_one()) {
    }
    REQUIRE(is_allocated(slot));
  }
  CHECK(take(cache.cache) == slot);
}

TEST_CASE("a cache that goes gives everything back, and its counts stay", "[alloc][thread_cache]") {
  CacheScope other;
  const std::uint64_t tiny = heap.tiny_allocations();
  const std::uint64_t objects = heap.allocated_objects(kClass);
  {
    ThreadCache cache;
    heap.add_cache(cache);
    for (int i = 0; i < 5; ++i) take(cache);
    for (int i = 0; i < 7; ++i) cache.allocate_tiny(3);
    heap.remove_cache(cache);
    CHECK(cache.tiny_block() == nullptr);
  }
  CHECK(heap.allocated_objects(kClass) - objects == 5);
  CHECK(heap.tiny_allocations() - tiny == 7);
  std::size_t caches = 0;
  heap.for_each_cache([&caches](ThreadCache&) { ++caches; });
  CHECK(caches == 1);
  heap.for_each_span([](const Span& span) { CHECK_FALSE(span.in_cache); });
}

TEST_CASE("caches come and go in any order", "[alloc][thread_cache]") {
  ThreadCache caches[4];
  for (ThreadCache& cache : caches) heap.add_cache(cache);
  auto listed = [] {
    std::set<ThreadCache*> all;
    heap.for_each_cache([&all](ThreadCache& cache) { all.insert(&cache); });
    return all;
  };
  CHECK(listed() == std::set{&caches[0], &caches[1], &caches[2], &caches[3]});
  heap.remove_cache(caches[1]);  // in the middle
  CHECK(listed() == std::set{&caches[0], &caches[2], &caches[3]});
  heap.remove_cache(caches[3]);  // at one end
  CHECK(listed() == std::set{&caches[0], &caches[2]});
  heap.remove_cache(caches[0]);  // at the other
  CHECK(listed() == std::set{&caches[2]});
  heap.remove_cache(caches[2]);
  CHECK(listed().empty());
}

TEST_CASE(
    "out of memory asks the collector while it is willing, then gives up, and the cache works on",
    "[alloc][thread_cache][oom]") {
  const DefaultSwitches switches;
  const gort_test::EmptyHeap empty;
  CacheScope cache;
  static int asked = 0;
  asked = 0;
  bool willing = false;
  int expected = 1;
  SECTION("there is no collector") { expected = 0; }
  SECTION("the collector has nothing") {
    collector_hooks.out_of_memory = [](std::size_t, unsigned) {
      ++asked;
      return false;
    };
  }
  SECTION("it frees something, but the system still refuses") {
    expected = 4;
    collector_hooks.out_of_memory = [](std::size_t, unsigned attempt) {
      CHECK(attempt == static_cast<unsigned>(asked));
      ++asked;
      return attempt < 3;
    };
  }
  SECTION("it frees something, and that is enough") {
    willing = true;
    collector_hooks.out_of_memory = [](std::size_t bytes, unsigned) {
      ++asked;
      CHECK(bytes == size_class_info(kClass).pages * kPageSize);
      os::fail_call_for_test(0);
      return true;
    };
  }
  os::fail_call_for_test(1, true);
  if (willing) {
    CHECK(take(cache.cache) != nullptr);
  } else {
    CHECK_THROWS_AS(take(cache.cache), std::bad_alloc);
  }
  CHECK(asked == expected);
  CHECK(booked(cache.cache) == (willing ? 1 : 0));
  os::fail_call_for_test(0);
  CHECK(take(cache.cache) != nullptr);
  CHECK(booked(cache.cache) == (willing ? 2 : 1));
}

TEST_CASE("a thread without a cache is told what to do", "[alloc][thread_cache]") {
  CHECK_THROWS_AS(unattached_cache.allocate(kClass, kSize), std::logic_error);
  CHECK_THROWS_AS(unattached_cache.allocate_tiny(1), std::logic_error);
  CHECK(unattached_cache.uncounted(kClass) == 0);
  CHECK(unattached_cache.tiny_allocations() == 0);
}

TEST_CASE("every size class hands out slots of its own size, all of a span's",
          "[alloc][thread_cache]") {
  CacheScope cache;
  for (std::size_t c = 1; c < kSizeClassCount; ++c) {
    for (const bool noscan : {false, true}) {
      CAPTURE(c, noscan);
      const SpanClass span_class = base_span_class(c, noscan);
      const SizeClassInfo& info = kSizeClasses[c];
      const std::size_t spans = heap.span_count();
      char* const first = static_cast<char*>(cache->allocate(span_class, info.size));
      const Span* span = span_of(first);
      CHECK(span->noscan == noscan);
      for (std::uint32_t i = 1; i < info.objects; ++i) {
        REQUIRE(cache->allocate(span_class, info.size) == first + std::size_t{i} * info.size);
      }
      CHECK(heap.span_count() == spans + 1);
      CHECK(span->waste() == info.pages * kPageSize - std::size_t{info.objects} * info.size);
    }
  }
}

TEST_CASE("threads with caches of their own share spans, and nobody's memory is touched",
          "[alloc][thread_cache][threads]") {
  constexpr int kThreads = 4;
  constexpr int kRounds = 200;
  std::atomic<int> broken{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&broken, t] {
      ThreadCache cache;
      heap.add_cache(cache);
      std::vector<long*> own;
      for (int round = 0; round < kRounds; ++round) {
        for (int i = 0; i < 50; ++i) {
          long* p = reinterpret_cast<long*>(take(cache));
          for (std::size_t w = 0; w < kSize / sizeof(long); ++w) broken += p[w] != 0;
          for (std::size_t w = 0; w < kSize / sizeof(long); ++w) p[w] = t + 1;
          own.push_back(p);
        }
        if (round % 7 == t) cache.flush();  // its spans go to the others, half full
      }
      for (const long* p : own) {
        for (std::size_t w = 0; w < kSize / sizeof(long); ++w) broken += p[w] != t + 1;
      }
      heap.remove_cache(cache);
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(broken == 0);
  const std::size_t most = (kThreads * kRounds * 50 + kSlots - 1) / kSlots + kThreads;
  CHECK(heap.span_count() <= most);
  heap.free_everything();
  CHECK(heap.span_count() == 0);
}

TEST_CASE("new spans are made of pages that the cache took in one go", "[alloc][thread_cache]") {
  CacheScope cache;
  take(cache.cache);
  const std::size_t held = cache->pages.idle_bytes() + cache->pages.returned_bytes();
  CHECK(heap.pages.used() == heap.span_bytes() + held);
  REQUIRE(held > kPageSize);
  const std::uintptr_t first = span_of(take(cache.cache))->start;
  for (std::size_t i = 0; i < kSlots; ++i) take(cache.cache);
  CHECK(span_of(take(cache.cache))->start == first + kPageSize);
  CHECK(cache->pages.idle_bytes() + cache->pages.returned_bytes() < held);
  // They are of use to nobody else until they go back: at every flush, and at once if asked for.
  heap.flush_page_caches();
  CHECK(cache->pages.empty());
  CHECK(heap.pages.used() == heap.span_bytes());
}
