#include <catch2/catch.hpp>

#include <array>
#include <barrier>
#include <cstddef>
#include <map>
#include <thread>
#include <vector>

#include <gort/base/random.h>
#include <gort/tests/alloc/cache_fixture.h>
#include <gort/tests/alloc/page_fixture.h>
#include <gort/tests/support/seed.h>

// The fast counters (heap.h, "Books") against a walk over every span and every page, at quiet
// moments of a run in which several threads allocate, drop, sweep and give pages back.

using namespace gort;
using namespace gort::alloc;
using gort_test::EmptyHeap;

namespace {

// What a walk finds.
struct Walk {
  std::map<std::size_t, std::uint64_t> objects;  // by span class; large objects too
  std::size_t span_bytes = 0;
  std::size_t span_count = 0;
  std::size_t large_bytes = 0;
  std::size_t waste = 0;
  std::size_t free_slots = 0;
  std::size_t object_bytes = 0;
};

Walk walk_spans() {
  Walk walk;
  std::map<const Span*, std::size_t> unused;  // slots of runs that hold no object yet
  heap.for_each_cache([&](const ThreadCache& cache) {
    cache.for_each_span([&](const Span& span, std::size_t first, std::size_t end) {
      REQUIRE(span.in_cache);
      REQUIRE(unused.emplace(&span, end - first).second);  // no two caches hold one span
      for (std::size_t slot = first; slot < end; ++slot) {
        REQUIRE(span.is_allocated(static_cast<std::uint32_t>(slot)));
      }
    });
  });
  std::uintptr_t end_of_last = 0;
  heap.for_each_span([&](const Span& span) {
    REQUIRE(span.start >= end_of_last);
    end_of_last = span.end();
    std::size_t allocated = 0;
    for (std::uint32_t slot = 0; slot < span.slot_count; ++slot) {
      allocated += span.is_allocated(slot) ? 1 : 0;
    }
    REQUIRE(allocated == span.allocated);
    const auto cached = unused.find(&span);
    REQUIRE(span.in_cache == (cached != unused.end()));
    const std::size_t objects = allocated - (span.in_cache ? cached->second : 0);
    walk.objects[span.span_class] += objects;
    walk.object_bytes += objects * span.elem_size;
    walk.free_slots += (span.slot_count - objects) * span.elem_size;
    walk.waste += span.waste();
    walk.span_bytes += span.bytes();
    ++walk.span_count;
    if (span.is_large()) walk.large_bytes += span.bytes();
  });
  return walk;
}

std::uint64_t booked(std::size_t c) {
  const auto span_class = static_cast<SpanClass>(c);
  std::uint64_t n = heap.allocated_objects(span_class) - heap.freed_objects(span_class);
  heap.for_each_cache([&](const ThreadCache& cache) { n += cache.uncounted(span_class); });
  return n;
}

// Pages that belong to a span, page by page.
std::size_t pages_of_spans() {
  std::size_t pages = 0;
  for (std::size_t a = 0; a < window.arena_limit.load_relaxed(); ++a) {
    Arena* arena = arenas[a].load_relaxed();
    if (arena == nullptr) continue;
    for (std::size_t i = 0; i < arena->prepared; ++i) pages += arena->span_of_page(i) != nullptr;
  }
  return pages;
}

// Nobody else uses the heap.
void check_books(EmptyHeap& empty) {
  heap.flush_page_caches();
  const Walk walk = walk_spans();
  REQUIRE(heap.span_bytes() == walk.span_bytes);
  REQUIRE(heap.span_count() == walk.span_count);
  REQUIRE(heap.large_allocated_bytes() - heap.large_freed_bytes() == walk.large_bytes);
  REQUIRE(walk.object_bytes + walk.free_slots + walk.waste == walk.span_bytes);
  REQUIRE(pages_of_spans() * kPageSize == walk.span_bytes);
  REQUIRE(heap.unpublished_bytes() == 0);
  for (std::size_t c = 0; c < span_class_limit(); ++c) {
    CAPTURE(c);
    const auto at = walk.objects.find(c);
    REQUIRE(booked(c) == (at == walk.objects.end() ? 0 : at->second));
  }
  REQUIRE(heap.pages.used() >= walk.span_bytes);  // the rest is in page caches
  empty.check();
}

constexpr std::array<std::size_t, 9> kSizes = {8, 16, 48, 64, 112, 1024, 3072, 10'240, 32'768};

// One thread's share of the run. Objects are dropped by forgetting them: a cycle frees what nobody
// marks.
struct Worker {
  ThreadCache cache;
  Random random;
  std::vector<void*> live;

  explicit Worker(std::uint64_t seed) : random(seed) { heap.add_cache(cache); }

  void step() {
    const std::uint64_t what = random.below(100);
    if (what < 60) {
      const std::size_t size_class = size_class_of(kSizes[random.below(kSizes.size())]);
      const std::size_t size = kSizeClasses[size_class].size;
      live.push_back(cache.allocate(base_span_class(size_class, random.below(2) == 0), size));
    } else if (what < 70) {
      live.push_back(cache.allocate_tiny(8));
      live.pop_back();  // its block is not marked, so it dies at the end of the cycle
    } else if (what < 72) {
      const std::size_t bytes = kMaxSmallSize + 1 + random.below(300'000);
      live.push_back(heap.allocate_large(bytes, random.below(2) == 0, 0));
    } else if (what < 90) {
      if (!live.empty()) {
        const std::size_t i = random.below(live.size());
        live[i] = live.back();
        live.pop_back();
      }
    } else if (what < 97) {
      heap.sweep_one();
    } else if (what < 99) {
      cache.flush();
    } else {
      heap.pages.scavenge(random.below(1_MiB));
    }
  }
};

// What the collector does: everything swept, the live marked, caches flushed, then the flip.
void end_cycle(std::vector<Worker*>& workers, bool sweep_all) {
  while (heap.sweep_one()) {
  }
  for (Worker* worker : workers) {
    for (const void* object : worker->live) gort_test::mark(object);
    worker->cache.flush();
  }
  heap.flip_sweepgen();
  while (sweep_all && heap.sweep_one()) {
  }
}

}  // namespace

TEST_CASE("the counters equal a walk over all spans and pages, whatever threads did",
          "[alloc][books][threads]") {
  constexpr std::size_t kThreads = 4;
  constexpr int kRounds = 60;
  EmptyHeap empty;
  std::vector<Worker*> workers(kThreads);
  std::barrier meet(kThreads + 1);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Worker worker(gort_test::test_seed() + t);
      workers[t] = &worker;
      thread_cache = &worker.cache;
      for (int round = 0; round < kRounds; ++round) {
        for (int i = 0; i < 200; ++i) worker.step();
        meet.arrive_and_wait();  // quiet from here
        meet.arrive_and_wait();  // to here
      }
      thread_cache = &unattached_cache;
      heap.remove_cache(worker.cache);
    });
  }
  for (int round = 0; round < kRounds; ++round) {
    meet.arrive_and_wait();
    check_books(empty);
    if (round % 4 == 3) {
      end_cycle(workers, round % 8 == 7);
      check_books(empty);
    }
    meet.arrive_and_wait();
  }
  for (std::thread& t : threads) t.join();
  check_books(empty);
  heap.free_everything();
  check_books(empty);
  CHECK(heap.span_count() == 0);
  CHECK(heap.span_bytes() == 0);
  for (std::size_t c = 0; c < span_class_limit(); ++c) CHECK(booked(c) == 0);
}
