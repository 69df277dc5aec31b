// The windows of the write barrier (gc/barrier.h) and of allocation during marking
// (alloc/thread_cache.h), one by one: each test brings a cycle to a phase, does there what would
// hide an object from a marker, and lets the cycle go on. verify=1 looks at the marks, poison=1 at
// what was freed. tests/mutations takes the lines out that these tests are for.

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <memory>
#include <thread>
#include <vector>

#include <gort/base/counters.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/gc/phases.h>

using namespace gort;
using gort_test::at_drained;
using gort_test::at_marking_started;
using gort_test::ExactHeap;
using gort_test::Node;
using gort_test::with_phases;

TEST_CASE("a reference moved to an object born black is recorded where it was", "[gc][barrier]") {
  ExactHeap heap(with_phases());
  Root<Node> old_home(make<Node>());
  Root<Node> new_home;
  old_home->left = make<Node>();
  old_home->left->value = 7;
  at_marking_started = [&] {
    new_home = make<Node>();  // black: no marker will look into it
    new_home->left = old_home->left;
    old_home->left = nullptr;
  };
  heap.collect();
  REQUIRE(new_home->left.get() != nullptr);
  CHECK(new_home->left->value == 7);
  CHECK(heap.objects() == 3);
}

TEST_CASE("what the last stop finds is marked, however much it is", "[gc][barrier]") {
  ExactHeap heap(with_phases());
  constexpr long kLength = 100'000;  // more than one stop marks
  Root<Node> old_home(make<Node>());
  for (long i = 0; i < kLength; ++i) {
    Root<Node> node(make<Node>());
    node->left = old_home->left;
    old_home->left = node.get();
  }
  Root<Node> new_home;
  at_marking_started = [&] {
    new_home = make<Node>();
    new_home->left = old_home->left;
    old_home->left = nullptr;
  };
  heap.collect();
  CHECK(gc::collector.last_cycle().stops > 2);
  CHECK(heap.objects() == kLength + 2);
}

TEST_CASE("what is allocated after the roots were looked at outlives marking", "[gc][barrier]") {
  ExactHeap heap(with_phases());
  Root<Node> kept;
  Root<char> large;
  at_drained = [&] {
    kept = make<Node>();
    large = make_array<char>(100'000);
  };
  heap.collect();
  CHECK(heap.objects() == 2);
}

TEST_CASE("a root that is overwritten, or goes, is recorded", "[gc][barrier]") {
  ExactHeap heap(with_phases());
  Root<Node> overwritten(make<Node>());
  Root<Node> new_home;
  auto going = std::make_unique<Root<Node>>(make<Node>());
  overwritten->value = 1;
  (*going)->value = 2;
  at_marking_started = [&] {
    new_home = make<Node>();
    new_home->left = overwritten.get();
    new_home->right = going->get();
    overwritten = nullptr;
    going.reset();
  };
  heap.collect();
  CHECK(new_home->left->value == 1);
  CHECK(new_home->right->value == 2);
  CHECK(heap.objects() == 3);
}

TEST_CASE("references that are cleared in bulk are recorded", "[gc][barrier]") {
  ExactHeap heap(with_phases());
  constexpr std::size_t kCount = 20'000;  // more than one piece
  Root<Ref<Node>> array(make_array<Ref<Node>>(kCount));
  for (std::size_t i = 0; i < kCount; ++i) {
    array.get()[i] = make<Node>();
    array.get()[i]->value = static_cast<long>(i);
  }
  Root<Ref<Node>> copy;
  at_marking_started = [&] {
    copy = make_array<Ref<Node>>(kCount);
    for (std::size_t i = 0; i < kCount; ++i) copy.get()[i] = array.get()[i];
    gc::clear_references(array.get(), kCount * sizeof(Ref<Node>));
  };
  heap.collect();
  long wrong = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    wrong += copy.get()[i]->value != static_cast<long>(i);
    wrong += array.get()[i].get() != nullptr;
  }
  CHECK(wrong == 0);
  CHECK(heap.objects() == kCount + 2);
}

TEST_CASE("references that a bulk copy overwrites are recorded", "[gc][barrier]") {
  ExactHeap heap(with_phases());
  constexpr std::size_t kCount = 20'000;  // more than one piece
  const auto numbered = [](long first) {
    Root<Ref<Node>> array(make_array<Ref<Node>>(kCount));
    for (std::size_t i = 0; i < kCount; ++i) {
      array.get()[i] = make<Node>();
      array.get()[i]->value = first + static_cast<long>(i);
    }
    return array;
  };
  const Root<Ref<Node>> array = numbered(0);
  const Root<Ref<Node>> other = numbered(kCount);
  Root<Ref<Node>> black;
  at_marking_started = [&] {
    black = make_array<Ref<Node>>(kCount);
    copy_references(black.get(), array.get(), kCount);
    copy_references(array.get(), other.get(), kCount);
  };
  heap.collect();
  long wrong = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    wrong += black.get()[i]->value != static_cast<long>(i);
    wrong += array.get()[i]->value != static_cast<long>(kCount + i);
    wrong += array.get()[i].get() != other.get()[i].get();
  }
  CHECK(wrong == 0);
  CHECK(heap.objects() == 2 * kCount + 3);
}

TEST_CASE("a bulk copy may overlap, while markers run or not", "[gc][barrier]") {
  ExactHeap heap(with_phases());
  // Pieces are of 8192 references.
  const std::size_t count = GENERATE(0U, 1U, 2U, 100U, 8192U, 8193U, 3U * 8192U - 1U);
  const std::size_t distance = GENERATE(0U, 1U, 99U, 8192U, 8193U);
  CAPTURE(count, distance);
  const std::size_t whole = count + distance;
  const bool up = GENERATE(false, true);
  const Root<Ref<Node>> array = make_array<Ref<Node>>(whole);
  const Root<Ref<Node>> expected = make_array<Ref<Node>>(whole);
  const auto shift = [&] {
    for (std::size_t i = 0; i < whole; ++i) array.get()[i] = make<Node>();
    std::copy(array.get(), array.get() + whole, expected.get());
    if (up) {
      copy_references(array.get() + distance, array.get(), count);
      std::copy_backward(expected.get(), expected.get() + count, expected.get() + whole);
    } else {
      copy_references(array.get(), array.get() + distance, count);
      std::copy(expected.get() + distance, expected.get() + whole, expected.get());
    }
  };
  const bool marking = GENERATE(false, true);
  if (marking) {
    at_marking_started = shift;
  } else {
    shift();
  }
  heap.collect();
  CHECK(std::equal(array.get(), array.get() + whole, expected.get()));
}

TEST_CASE("what is allocated during marking outlives it, small, tiny and large", "[gc][barrier]") {
  ExactHeap heap(with_phases());
  Root<Node> in_old_run(make<Node>());  // its class has a run before marking begins
  Root<Node> kept;
  std::vector<Root<char>> others;
  at_marking_started = [&] {
    kept = make<Node>();
    kept->value = 5;
    for (const std::size_t size : {1U, 100U, 5000U, 100'000U}) {
      others.emplace_back(make_array<char>(size));
      others.back().get()[size - 1] = 'x';
    }
  };
  std::thread other([&] {
    gc::world.attach();
    make<Node>();  // leaves a run that is black from the first stop on
    heap.collect();
  });
  gort_test::join(other);
  CHECK(kept->value == 5);
  CHECK(others[3].get()[99'999] == 'x');
  CHECK(others[0].get()[0] == 'x');
  heap.collect();
  CHECK(heap.objects() == 6);
}

TEST_CASE("unused slots of black runs are free again after the cycle", "[gc][barrier]") {
  ExactHeap heap(with_phases());
  Root<Node> root;
  at_marking_started = [&] { root = make<Node>(); };
  for (int i = 0; i < 5; ++i) {
    heap.collect();
    at_marking_started = [&] { root = make<Node>(); };
  }
  at_marking_started = nullptr;
  heap.collect();  // the objects that were replaced during marking
  // One object in one span, however many runs were black.
  CHECK(heap.objects() == 1);
  const alloc::Span* span = alloc::span_of(root.get());
  CHECK(span->allocated == 1);
  CHECK(bits::count_range(span->mark_bits, 0, span->slot_count) == 0);
}

#if !GORT_TSAN
TEST_CASE("an old value in a register when marking ends is found there", "[gc][barrier][stop]") {
  // A store cut in half: old loaded, new stored, the record still to come, and the thread is in
  // this state when the last stop interrupts it.
  gc::CollectorOptions options = with_phases();
  options.stop_signal = SIGURG;
  options.poison = true;
  gc::collector.start(options);
  std::atomic<int> stage{0};
  long seen = 0;
  std::thread writer([&] {
    Node* holder = make<Node>();
    holder->left = make<Node>();
    holder->left->value = 31;
    // Through the middle of the slot, so that no word of this stack is the object's address.
    auto* slot = reinterpret_cast<void**>(&holder->left);
    stage = 1;
    while (stage != 2) {
    }
    auto* old = static_cast<Node*>(AtomicRef<void*>(*slot).load_relaxed());
    AtomicRef<void*>(*slot).store_relaxed(nullptr);
    stage = 3;
    while (stage != 4) {
    }
    seen = old->value;
    gc::detail::record_overwritten(old);
  });
  while (stage != 1) {
  }
  at_marking_started = [&] {
    stage = 2;
    while (stage != 3) {
    }
  };
  gc::collector.collect(gc::CycleReason::forced, true);
  stage = 4;
  writer.join();
  gc::collector.shutdown();
  CHECK(seen == 31);
  CHECK(gort_test::unfreed_objects() == 0);  // the record came too late to mark anything
}
#endif
