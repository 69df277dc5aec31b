#include <catch2/catch.hpp>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <deque>
#include <new>

#include <gort/base/counters.h>
#include <gort/base/metadata.h>
#include <gort/gc/cleanup.h>
#include <gort/gc/layout.h>
#include <gort/gc/ranges.h>
#include <gort/gc/weak.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/support/exceptions.h>

using namespace gort;
using gort_test::exceptions_in_runtime;
using gort_test::Node;
using gort_test::SignalHeap;

namespace {

// f(), for which there is no memory.
template <class F>
bool refused(F&& f) {
  metadata::fail_allocation_for_test(1, true);
  bool thrown = false;
  try {
    f();
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  metadata::fail_allocation_for_test(0);
  return thrown;
}

int ended = 0;
struct Mortal {
  Ref<Node> node;
  ~Mortal() { ++ended; }
  GORT_FIELDS(Mortal, node);
};

}  // namespace

TEST_CASE("where the runtime's own memory ends the exception is made outside of the runtime",
          "[gc][oom]") {
  SignalHeap heap;
  Node* const node = make<Node>();
  exceptions_in_runtime = 0;
  SECTION("of a Root") {
    std::deque<Root<Node>> roots;
    CHECK(refused([&] {
      for (;;) roots.emplace_back(node);
    }));
    roots.clear();
    CHECK(Root<Node>(node).get() == node);
  }
  SECTION("of a Weak") {
    std::deque<Weak<Node>> weak;
    CHECK(refused([&] {
      for (;;) weak.emplace_back(node);
    }));
    weak.clear();
    CHECK(Weak<Node>(node).get() == node);
  }
  SECTION("of a layout") {
    const std::uint64_t bits[] = {0x5a5a, 0};
    CHECK(refused([&] { gc::intern_layout(80 * 8, bits, "refused"); }));
    CHECK(gc::intern_layout(80 * 8, bits, "refused") != gc::kNoReferences);
  }
  SECTION("of a cleanup") {
    const auto nothing = [](void*) {};
    CHECK(refused([&] {
      std::uint64_t id = 0;
      for (;;) gc::watch_cleanup(node, nothing, nothing, node, "cleanup", id);
    }));
  }
  SECTION("of a range, and of a stack") {
    char memory[64];
    CHECK(refused([&] { add_root_range(memory, memory + 64); }));
    CHECK_FALSE(remove_root_range(memory, memory + 64));
    CHECK(refused([&] { register_stack(memory, memory + 64); }));
  }
  CHECK(exceptions_in_runtime == 0);
  // No region has been left open: the thread can be stopped, and stop others.
  CHECK(gc::World::current()->runtime_depth.load_relaxed() == 0);
  heap.collect();
}

TEST_CASE("no exception is made in a stop that has no memory for an order of destructors",
          "[gc][oom][small]") {
  // Not to be poisoned or verified: a small cycle is what is wanted.
  gc::CollectorOptions options;
  options.stop_signal = SIGURG;
  options.cleanup_thread = false;
  // In each stop the first allocation is refused, that of the objects that die, or the second, that
  // of a stack to search them with.
  static std::atomic<std::size_t> refuse{0};
  static std::atomic<int> refusals{0};
  refuse = 0;
  options.on_event = [](const gc::CycleEvent& event, void*) {
    if (event.kind == gc::CycleEvent::stop_begun) metadata::fail_allocation_for_test(refuse);
    if (event.kind == gc::CycleEvent::stop_ended) {
      if (refuse != 0 && !metadata::refusal_pending_for_test()) ++refusals;
      metadata::fail_allocation_for_test(0);
    }
  };
  SignalHeap heap(options);
  exceptions_in_runtime = 0;
  ended = 0;
  constexpr int kEach = 100;
  for (const std::size_t k : {1U, 2U}) {
    CAPTURE(k);
    refusals = 0;
    for (int i = 0; i < kEach; ++i) make<Mortal>()->node = make<Node>();
    refuse = k;
    const std::uint64_t cycles = counters.one_stop_cycles.load_relaxed();
    while (counters.one_stop_cycles.load_relaxed() < cycles + 2) make<Node>();
    refuse = 0;
    run_cleanups();
    CHECK(refusals > 0);
  }
  CHECK(exceptions_in_runtime == 0);
  CHECK(ended > kEach);
}
