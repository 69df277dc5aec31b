// Cycles of a heap with few objects are done in one stop, by the thread that reaches the trigger.

#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <csignal>
#include <thread>
#include <vector>

#include <gort/base/counters.h>
#include <gort/gc/cleanup.h>
#include <gort/gc/weak.h>
#include <gort/tests/gc/heap_fixture.h>

using namespace gort;
using gort_test::ExactHeap;
using gort_test::Node;

namespace {

constexpr std::size_t kMinimum = gc::kMinimumHeap;

int destroyed = 0;
struct Noisy {
  long value = 1;
  ~Noisy() { ++destroyed; }
  GORT_POINTER_FREE();
};

// A list behind `root`; its values count down from n - 1.
void build_list(Root<Node>& root, long n) {
  for (long i = 0; i < n; ++i) {
    Node* node = make<Node>();
    node->left = root.get();
    node->value = i;
    root = node;
  }
}

long length_of(const Root<Node>& root) {
  long n = 0;
  long expected = root == nullptr ? 0 : root->value;
  for (const Node* node = root.get(); node != nullptr; node = node->left, ++n) {
    if (node->value != expected--) return -1;
  }
  return n;
}

// Garbage enough for `cycles` cycles of a heap that is nearly empty.
void make_garbage(std::size_t cycles) {
  for (std::size_t bytes = 0; bytes < cycles * kMinimum; bytes += sizeof(Node)) make<Node>();
}

void join(std::thread& thread) {
  gc::Thread& self = *gc::World::current();
  gc::world.enter_blocking(self);
  thread.join();
  gc::world.leave_blocking(self);
}

}  // namespace

TEST_CASE("a heap of few objects is collected in one stop", "[gc][small_cycle]") {
  ExactHeap heap;
  Root<Node> root;
  build_list(root, 1000);
  const std::uint64_t before = counters.one_stop_cycles.load_relaxed();
  make_garbage(4);
  CHECK(counters.one_stop_cycles.load_relaxed() >= before + 3);
  const gc::CycleRecord last = gc::collector.last_cycle();
  CHECK(last.stops == 1);
  CHECK(last.reason == gc::CycleReason::heap_goal);
  CHECK(last.marked == 1000 * sizeof(Node));
  CHECK(length_of(root) == 1000);
  heap.collect();
  CHECK(heap.objects() == 1000);
}

TEST_CASE("what takes too long for one stop is marked beside the program", "[gc][small_cycle]") {
  ExactHeap heap;
  Root<Node> root;
  const std::uint64_t given_up = counters.given_up_cycles.load_relaxed();
  // Nobody knows before the first cycle that there are so many.
  build_list(root, static_cast<long>(kMinimum / sizeof(Node)));
  while (gc::collector.last_cycle().number == 0) make<Node>();
  CHECK(counters.given_up_cycles.load_relaxed() == given_up + 1);
  CHECK(gc::collector.last_cycle().stops >= 2);
  CHECK(length_of(root) == static_cast<long>(kMinimum / sizeof(Node)));
  // And what it had marked in vain is no longer marked: all of it dies at the next cycle.
  root = nullptr;
  heap.collect();
  CHECK(heap.objects() == 0);
}

TEST_CASE("destructors and weak references see small cycles", "[gc][small_cycle]") {
  destroyed = 0;
  gc::CollectorOptions options;
  options.cleanup_thread = false;
  ExactHeap heap(options);
  Weak<Noisy> weak(make<Noisy>());
  make_garbage(2);
  REQUIRE(gc::collector.last_cycle().stops == 1);
  CHECK(weak.get() == nullptr);
  run_cleanups();
  CHECK(destroyed == 1);
}

TEST_CASE("threads stopped by a small cycle lose nothing", "[gc][small_cycle]") {
  gc::collector.start(gort_test::with_signals());
  const std::uint64_t before = counters.one_stop_cycles.load_relaxed();
  std::atomic<long> wrong{0};
  std::vector<std::thread> threads;
  for (long t = 0; t < 3; ++t) {
    threads.emplace_back([t, &wrong] {
      std::array<Node*, 32> last{};
      for (long i = 0; i < 1'500'000; ++i) {
        Node*& slot = last[static_cast<std::size_t>(i) % last.size()];
        if (slot != nullptr && slot->value != (t << 32) + i - 32) ++wrong;
        slot = make<Node>();
        if (slot->value != 0 || slot->left != nullptr) ++wrong;
        slot->value = (t << 32) + i;
      }
      gc::world.detach();
    });
  }
  for (std::thread& thread : threads) join(thread);
  CHECK(wrong == 0);
  CHECK(counters.one_stop_cycles.load_relaxed() > before);
  gc::collector.shutdown();
}

TEST_CASE("who asks for a cycle gets one that begins afterwards", "[gc][small_cycle]") {
  gc::CollectorOptions options;
  options.cleanup_thread = false;
  ExactHeap heap(options);
  std::atomic<bool> done{false};
  std::thread allocating([&done] {
    while (!done) make_garbage(1);
    gc::world.detach();
  });
  for (int i = 0; i < 100; ++i) {
    Weak<Node> weak(make<Node>());
    heap.collect();
    REQUIRE(weak.get() == nullptr);
  }
  done = true;
  join(allocating);
}
