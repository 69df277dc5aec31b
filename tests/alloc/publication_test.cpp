// What threads learn of each other's spans without a lock. The order of two accesses is what counts
// here. In the first test nothing else orders the threads, which tell each other where they are by
// relaxed atomics: the thread sanitizer finds a missing release or acquire.

#include <catch2/catch.hpp>

#include <cstring>
#include <thread>

#include <gort/tests/alloc/cache_fixture.h>
#include <gort/tests/support/trap.h>

using namespace gort;
using namespace gort::alloc;
using gort_test::CacheScope;
using gort_test::DefaultSwitches;
using gort_test::end_cycle;
using gort_test::Trap;

namespace {

constexpr std::size_t kSize = 64;
constexpr SpanClass kClass = base_span_class(size_class_of(kSize), true);

}  // namespace

// An arena that one object fills says in its record whose it is; when it is cut up it gets a page
// table.
TEST_CASE("who finds a span by address sees its record", "[alloc][publication]") {
  CacheScope cache;
  const bool whole_arena = GENERATE(true, false);
  Atomic<std::uintptr_t> address{0};
  Atomic<std::uintptr_t> arena{0};
  Atomic<std::size_t> beside{0};
  Atomic<std::size_t> seen{0};
  std::thread reader([&] {
    std::uintptr_t at = 0;
    while ((at = address.load_relaxed()) == 0) std::this_thread::yield();
    // Each look sees what has been published on the way to it, and what was before; so the longest
    // way comes last.
    arena.store_relaxed(arena_of(at)->start);
    const Span* const other = span_of(at + kArenaSize / 2);
    beside.store_relaxed(other == nullptr ? 0 : other->elem_size);
    const Span* const span = span_of(at);
    seen.store_relaxed(span == nullptr ? 0 : span->elem_size + span->slot_of(at));
  });
  const void* const object = whole_arena ? heap.allocate_large(kArenaSize, true, 0, kArenaSize)
                                         : cache->allocate(kClass, kSize);
  address.store_relaxed(reinterpret_cast<std::uintptr_t>(object));
  reader.join();
  CHECK(arena.load_relaxed() == window.base);
  CHECK(beside.load_relaxed() == (whole_arena ? kArenaSize : 0));
  CHECK(seen.load_relaxed() == (whole_arena ? kArenaSize : kSize));  // in slot 0
}

#if !GORT_TSAN
TEST_CASE("a run is marked before a marker can find it", "[alloc][publication][black]") {
  CacheScope cache;
  const gort_test::Page page;
  {
    const DefaultSwitches switches;
    heap.allocate_black.store_relaxed(true);
    heap.run_limit.store_relaxed(1);  // a refill for each object
    auto* const span = span_of(cache->allocate(kClass, kSize));
    std::uint64_t* const marks = span->mark_bits;
    const std::size_t bytes = span->bit_words() * sizeof *marks;
    std::memcpy(page.get(), marks, bytes);
    span->mark_bits = static_cast<std::uint64_t*>(page.get());
    bool found = true;
    {
      const Trap trap(page.get(), PROT_READ, [&] { found = span->is_allocated(1); });
      CHECK(gort_test::slot_of(*span, cache->allocate(kClass, kSize)) == 1);
    }
    CHECK_FALSE(found);  // when its mark was about to be set
    CHECK((span->is_allocated(1) && span->is_marked(1)));
    std::memcpy(marks, page.get(), bytes);
    span->mark_bits = marks;
  }
  end_cycle(cache.cache);  // all were marked; now nothing is
}
#endif
