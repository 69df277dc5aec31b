#include <catch2/catch.hpp>

#include <thread>

#include <gort/tests/gc/heap_fixture.h>

using namespace gort;
using gort_test::ExactHeap;
using gort_test::Node;

namespace {

// No other type here has these words, so its class is registered in the test.
struct Rare {
  long before[23] = {};
  Ref<Node> only;
  GORT_FIELDS(Rare, only);
};

}  // namespace

TEST_CASE("who learns of a uniform class sees what it was registered with", "[gc][type_class]") {
  // Nothing but the publication of the class orders the two threads. (The thread sanitizer finds it
  // missing; a processor of the x86 kind never shows it.)
  ExactHeap heap;
  Root<Rare> first;
  Root<Rare> second;
  Atomic<int> stage{0};
  std::thread other([&] {
    gc::world.attach();
    stage.store_relaxed(1);
    while (stage.load_relaxed() != 2) gc::world.poll(*gc::World::current());
    second = make<Rare>();
    gc::world.detach();
  });
  while (stage.load_relaxed() != 1) std::this_thread::yield();
  first = make<Rare>();
  stage.store_relaxed(2);
  gort_test::join(other);
  first->only = make<Node>();
  second->only = make<Node>();
  const alloc::Span* span = alloc::span_of(second.get());
  CHECK(span->span_class == alloc::span_of(first.get())->span_class);
  CHECK(span->span_class >= alloc::kBaseSpanClasses);
  CHECK(span->reference_mask == std::uint64_t{1} << 23);
  heap.collect();
  CHECK(heap.objects() == 4);
}
