#include <catch2/catch.hpp>

#include <thread>
#include <utility>

#include <gort/alloc/collector_hooks.h>
#include <gort/base/fatal.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/support/child.h>

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

// After the registration comes a hook: there the first thread waits until the other one has an
// object of the class. Further on, the page allocator's lock would order the two, and the first
// one's own reads of the entry would push its write out of the few accesses that the thread
// sanitizer remembers of a word.
alloc::ThreadCache& (*real_enter)(std::size_t bytes) = nullptr;
thread_local bool registers = false;
Atomic<int> stage{0};

alloc::ThreadCache& enter_after_the_other(std::size_t bytes) {
  alloc::ThreadCache& cache = real_enter(bytes);
  if (registers) {
    registers = false;
    stage.store_relaxed(2);
    while (stage.load_relaxed() != 3) std::this_thread::yield();
  }
  return cache;
}

}  // namespace

TEST_CASE("who learns of a uniform class sees what it was registered with", "[gc][type_class]") {
  // Nothing but the publication of the class orders the two threads. (The thread sanitizer finds it
  // missing; a processor of the x86 kind never shows it.)
  ExactHeap heap;
  Root<Rare> first;
  Root<Rare> second;
  stage.store_relaxed(0);
  real_enter = std::exchange(alloc::collector_hooks.enter, enter_after_the_other);
  std::thread other([&] {
    gc::world.attach();
    stage.store_relaxed(1);
    while (stage.load_relaxed() != 2) std::this_thread::yield();
    second = make<Rare>();
    stage.store_relaxed(3);
    gc::world.detach();
  });
  while (stage.load_relaxed() != 1) std::this_thread::yield();
  registers = true;
  first = make<Rare>();
  gort_test::join(other);
  alloc::collector_hooks.enter = real_enter;
  first->only = make<Node>();
  second->only = make<Node>();
  const alloc::Span* span = alloc::span_of(second.get());
  CHECK(span->span_class == alloc::span_of(first.get())->span_class);
  CHECK(span->span_class >= alloc::kBaseSpanClasses);
  CHECK(span->reference_mask == std::uint64_t{1} << 23);
  heap.collect();
  CHECK(heap.objects() == 4);
}

TEST_CASE("a type that finds no uniform class left asks once", "[gc][type_class]") {
  const auto result = gort_test::in_child([] {  // the classes of this process are still needed
    const gort_test::SignalHeap heap;
    while (alloc::add_uniform_class(1, 0, 0) != 0) {
    }
    const std::uint64_t bits = 0b0110'1001'0110'1001;  // of no other type
    const gc::LayoutId layout = gc::intern_layout(128, &bits, "late");
    Atomic<std::uint16_t> span_class{0};
    for (int i = 0; i < 3; ++i) {
      const void* const object = gc::detail::allocate_typed_slow(128, layout, span_class);
      const alloc::Span* const span = alloc::span_of(object);
      GORT_CHECK(span_class.load_relaxed() == alloc::kLargeNoscan, "asks again");
      GORT_CHECK(span->slot_tags != nullptr && !span->noscan, "no span with tags");
      GORT_CHECK(alloc::thread_cache->try_allocate(alloc::kLargeNoscan, 128) == nullptr, "a run");
    }
  });
  INFO(result.errors);
  CHECK(result.exit_code == 0);
}
