// A marker's grey objects: its window, its block, and where blocks that get full go.
//
//     shared   to the pool, where any marker takes them (a cycle on the collector's thread)
//     kept     they stay (a small cycle, in which each thread marks what its own stack leads to)
//
// Each test marks with markers of its own while a cycle stands at its beginning, with nothing
// marked yet; they mark all that there is, so the cycle finds it done. Objects are wide, so that
// one look at one of them makes more objects grey than a block holds.

#include <catch2/catch.hpp>

#include <cstddef>
#include <cstdint>

#include <unistd.h>

#include <gort/base/counters.h>
#include <gort/base/fatal.h>
#include <gort/base/metadata.h>
#include <gort/base/units.h>
#include <gort/gc/mark_pool.h>
#include <gort/gc/marker.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/gc/phases.h>
#include <gort/tests/support/child.h>

using namespace gort;
using gort_test::at_marking_started;
using gort_test::ExactHeap;
using gort_test::Node;

namespace {

constexpr std::size_t kWide = 2000;  // references; 16 kB: a small object, looked at in one go
static_assert(kWide > 4 * gc::GreyBlock::kCapacity);

// Not collected before the test asks: what is made while a cycle marks is marked already.
gc::CollectorOptions options() {
  gc::CollectorOptions options = gort_test::with_phases();
  options.gc_percent = -1;
  options.markers = 1;
  return options;
}

// An array of so many references, each to a node of its own.
struct HeapWithArray : ExactHeap {
  explicit HeapWithArray(std::size_t n) : ExactHeap(options()), array(make_array<Ref<Node>>(n)) {
    for (std::size_t i = 0; i < n; ++i) array.get()[i] = make<Node>();
  }
  ~HeapWithArray() { array = nullptr; }
  /// f(), before anything of the heap is marked.
  template <class F>
  void unmarked(F&& f) {
    at_marking_started = f;
    collect();
  }
  void mark_with(gc::Marker& marker) const {
    marker.mark_address(reinterpret_cast<std::uintptr_t>(array.get()));
  }
  Root<Ref<Node>> array;
};

// Looks at what the pool has, as a marker that comes later. Returns how many nodes that was.
std::size_t mark_the_rest() {
  gc::Marker marker(gc::mark_pool);
  while (marker.drain(1_MiB)) {
  }
  return marker.bytes_scanned() / sizeof(Node);
}

}  // namespace

TEST_CASE("a marker's full blocks go to the pool", "[gc][marker]") {
  HeapWithArray heap(kWide);
  bool shared = false;
  heap.unmarked([&] {
    gc::Marker marker(gc::mark_pool);
    heap.mark_with(marker);
    marker.drain(1);
    shared = gc::mark_pool.has_full();
    while (marker.drain(1_MiB)) {
    }
  });
  CHECK(shared);
}

TEST_CASE("a marker that keeps full blocks shares nothing until it publishes", "[gc][marker]") {
  HeapWithArray heap(kWide);
  bool shared = false;
  std::size_t marked = 0;
  SECTION("it marks everything itself") {
    heap.unmarked([&] {
      gc::Marker marker(gc::mark_pool);
      marker.keep_full_blocks();
      heap.mark_with(marker);
      while (marker.drain(sizeof(Node))) shared |= gc::mark_pool.has_full();
      marked = marker.objects_marked();
    });
    CHECK(marked == kWide + 1);
  }
  SECTION("what it has not looked at is there for others then") {
    heap.unmarked([&] {
      {
        gc::Marker marker(gc::mark_pool);
        marker.keep_full_blocks();
        heap.mark_with(marker);
        marker.drain(1);
        shared = gc::mark_pool.has_full();
      }
      marked = mark_the_rest();
    });
    CHECK(marked == kWide);
  }
  CHECK_FALSE(shared);
}

TEST_CASE("a marker forgets kept blocks with the rest", "[gc][marker]") {
  HeapWithArray heap(kWide);
  bool left = true;
  heap.unmarked([&] {
    gc::Marker marker(gc::mark_pool);
    marker.keep_full_blocks();
    heap.mark_with(marker);
    marker.drain(1);
    marker.discard();
    marker.publish();
    left = gc::mark_pool.has_full();
    // As whoever discards does: what was marked is white again, for the cycle to find.
    alloc::heap.for_each_span([](const alloc::Span& span) { span.unmark_all(); });
  });
  CHECK_FALSE(left);
}

// So that a look takes no longer for a longer array, and what it makes grey fits in one block.
TEST_CASE("a large array of references is looked at in pieces", "[gc][marker]") {
  HeapWithArray heap(64 * kWide);
  std::size_t first = 0;
  std::size_t marked = 0;
  bool shared = false;
  heap.unmarked([&] {
    gc::Marker marker(gc::mark_pool);
    heap.mark_with(marker);
    marker.drain(1);
    first = marker.bytes_scanned();
    while (marker.drain(sizeof(Node))) shared |= gc::mark_pool.has_full();
    marked = marker.objects_marked();
  });
  CHECK(first > 0);
  CHECK(first <= 4_KiB);
  CHECK_FALSE(shared);
  CHECK(marked == 64 * kWide + 1);
}

#if !GORT_TSAN  // it ends the child of a process that has had threads

// A wide object makes more objects grey than a block holds: some are dropped, and walks over the
// heap find them. Without any block the rest of a large array would be dropped, too, by each walk.
TEST_CASE("a cycle ends where no memory at all is left for grey objects", "[gc][marker]") {
  const auto result = gort_test::in_child([] {
    ::alarm(30);
    gc::CollectorOptions options;
    options.conservative_stacks = false;
    options.gc_percent = -1;
    options.poison = true;
    gc::collector.start(options);
    constexpr long kCount = 10'000;
    const Root<Ref<Node>> array(make_array<Ref<Node>>(kCount));
    const Root<Ref<Node>> wide(make_array<Ref<Node>>(kWide));
    for (long i = 0; i < kCount; ++i) {
      Node* const node = make<Node>();
      array.get()[i] = node;
      node->left = make<Node>();
      node->left->value = i;
    }
    for (std::size_t i = 0; i < kWide; ++i) {
      wide.get()[i] = make<Node>();
      wide.get()[i]->value = 1;
    }
    metadata::fail_allocation_for_test(1, true);
    gc::GreyBlock* last = nullptr;  // of those that are left from other cycles
    while (gc::GreyBlock* block = gc::mark_pool.take_empty()) last = block;
    if (last != nullptr) gc::mark_pool.put_empty(last);
    gc::collector.collect(gc::CycleReason::forced, true);
    GORT_CHECK(counters.mark_overflows.load_relaxed() > 0, "nothing was dropped");
    metadata::fail_allocation_for_test(0);
    for (int i = 0; i < 10'000; ++i) make<Node>();
    long sum = 0;
    for (long i = 0; i < kCount; ++i) sum += array.get()[i]->left->value;
    for (std::size_t i = 0; i < kWide; ++i) sum += wide.get()[i]->value;
    GORT_CHECK(sum == kCount * (kCount - 1) / 2 + static_cast<long>(kWide), "the sum is {}", sum);
  });
  INFO("signal " << result.signal << ": " << result.errors);
  CHECK(result.exit_code == 0);
}

#endif
