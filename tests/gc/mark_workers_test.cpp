// Threads that mark beside the collector's own. All heaps here are checked by the verifier after
// each marking: a white child of a black parent ends the process.

#include <catch2/catch.hpp>

#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

#include <gort/base/counters.h>
#include <gort/base/os.h>
#include <gort/base/random.h>
#include <gort/gc/mark_workers.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/gc/phases.h>
#include <gort/tests/support/child.h>

using namespace gort;
using gort_test::ExactHeap;
using gort_test::Node;

namespace {

// Enough for some milliseconds of marking; workers are called after the first.
constexpr std::size_t kNodes = 300'000;

// A complete binary tree whose nodes lie in memory in random order.
Root<Node> build_tree(std::size_t count) {
  Root<Ref<Node>> nodes(make_array<Ref<Node>>(count));
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  Random random(7);
  for (std::size_t i = count - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  for (std::size_t i = 0; i < count; ++i) nodes.get()[i] = make<Node>();
  const auto node = [&](std::size_t i) {
    return i < count ? nodes.get()[order[i]].get() : nullptr;
  };
  for (std::size_t i = 0; i < count; ++i) {
    node(i)->left = node(2 * i + 1);
    node(i)->right = node(2 * i + 2);
  }
  return Root<Node>(node(0));
}

std::size_t count_nodes(const Node* tree) {
  std::size_t n = 0;
  std::vector<const Node*> left{tree};
  while (!left.empty()) {
    const Node* node = left.back();
    left.pop_back();
    if (node == nullptr) continue;
    ++n;
    left.push_back(node->left);
    left.push_back(node->right);
  }
  return n;
}

gc::CollectorOptions with_markers(gc::CollectorOptions options, std::size_t markers) {
  options.markers = markers;
  return options;
}

std::uint64_t by_workers() { return counters.worker_bytes.load_relaxed(); }

// A marking may be over before the system has given a worker a processor.
void collect_until_workers_mark() {
  const std::uint64_t before = by_workers();
  while (by_workers() == before) ExactHeap::collect();
}

}  // namespace

TEST_CASE("several threads mark one tree, all of it and nothing else", "[gc][workers]") {
  ExactHeap heap(with_markers({}, 4));
  Root<Node> tree = build_tree(kNodes);
  collect_until_workers_mark();
  CHECK(heap.objects() == kNodes);
  CHECK(count_nodes(tree.get()) == kNodes);
  tree->left = nullptr;
  const std::size_t half = count_nodes(tree.get());
  heap.collect();
  CHECK(heap.objects() == half);
}

TEST_CASE("processors that nobody uses mark, as long as nobody uses them", "[gc][workers]") {
  if (os::processors() < 2) {
    WARN("not tested: one processor, and that is taken");
    return;
  }
  ExactHeap heap;
  Root<Node> tree = build_tree(kNodes);
  collect_until_workers_mark();  // this thread waits for the collection, so it runs on none
  CHECK(gc::collector.last_cycle().idle_ns + gc::collector.last_cycle().mark_cpu_ns > 0);
  CHECK(heap.objects() == kNodes);
}

#if !GORT_TSAN  // there, threads stop at polls alone
TEST_CASE("of processors that are all taken, marking has Go's quarter", "[gc][workers]") {
  // With eight, that is one beside the cycle's own thread; with seven, none.
  for (const std::size_t processors : {std::size_t{7}, std::size_t{8}}) {
    os::set_processors_for_test(processors);
    gort_test::SignalHeap heap;
    Root<Node> tree = build_tree(kNodes);
    std::atomic<bool> done{false};
    std::atomic<std::size_t> running{0};
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < processors; ++i) {
      threads.emplace_back([&] {
        gc::world.attach();
        ++running;
        done.wait(false);  // outside of Blocking: so it counts as running
        gc::world.detach();
      });
    }
    while (running < threads.size()) std::this_thread::yield();
    heap.collect();  // a cycle that began when processors were free may not be over
    const std::uint64_t before = by_workers();
    if (processors == 8) {
      collect_until_workers_mark();
      CHECK(gc::collector.last_cycle().idle_ns == 0);
    } else {
      for (int i = 0; i < 3; ++i) heap.collect();
      CHECK(by_workers() == before);
    }
    CHECK(count_nodes(tree.get()) == kNodes);
    done = true;
    done.notify_all();
    gort_test::join(threads);
    os::set_processors_for_test(0);
  }
}
#endif

// The cycle's thread counts who runs; somebody who holds the list of threads may wait for it to
// park.
TEST_CASE("processors are counted while others stop the world", "[gc][workers]") {
  ExactHeap heap;
  Root<Node> tree = build_tree(kNodes);
  std::atomic<bool> done{false};
  std::thread other([&] {
    gc::world.attach();
    while (!done) gc::with_world_stopped([] {});
    gc::world.detach();
  });
  for (int i = 0; i < 20; ++i) heap.collect();
  done = true;
  gc::world.enter_blocking(*gc::World::current());
  other.join();
  gc::world.leave_blocking(*gc::World::current());
  CHECK(heap.objects() == kNodes);
}

TEST_CASE("with one marker there are no workers", "[gc][workers]") {
  ExactHeap heap(with_markers({}, 1));
  const std::uint64_t before = by_workers();
  Root<Node> tree = build_tree(kNodes);
  for (int i = 0; i < 3; ++i) heap.collect();
  CHECK(by_workers() == before);
  CHECK(gc::collector.last_cycle().idle_ns == 0);
}

// Two threads exchange subtrees while workers mark: what a worker misses is missed for good.
TEST_CASE("workers mark beside threads that change the graph", "[gc][workers]") {
  gc::collector.start(with_markers(gort_test::with_signals(), 3));
  Root<Node> tree = build_tree(kNodes);
  const std::uint64_t before = by_workers();
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (const bool left : {true, false}) {
    threads.emplace_back([&, left] {
      gc::world.attach();
      Random random(left ? 1 : 2);
      Node* const half = (left ? tree->left : tree->right).get();
      while (!done) {
        // Of the same depth, so that the tree stays one.
        Node* a = half;
        Node* b = half;
        for (int depth = 0; depth < 8; ++depth) {
          a = (random.below(2) == 0 ? a->left : a->right).get();
          b = (random.below(2) == 0 ? b->left : b->right).get();
        }
        Node* const x = a->left;
        Node* const y = b->right;
        a->left = y;  // x is in no object for a moment
        b->right = x;
        make<Node>();
      }
      gc::world.detach();
    });
  }
  for (int i = 0; i < 5 || by_workers() == before; ++i) {
    gc::collector.collect(gc::CycleReason::forced, true);
  }
  done = true;
  gort_test::join(threads);
  CHECK(count_nodes(tree.get()) == kNodes);
  tree = nullptr;
  gc::collector.shutdown();
}

#if !GORT_TSAN  // it ends the child of a process that has threads
TEST_CASE("a child of fork makes its workers anew", "[gc][workers]") {
  ExactHeap heap(with_markers({}, 3));
  Root<Node> tree = build_tree(kNodes);
  collect_until_workers_mark();
  const auto result = gort_test::in_child([&] {
    collect_until_workers_mark();
    if (ExactHeap::objects() != kNodes) ::_exit(1);
    gc::collector.shutdown();
  });
  CHECK(result.exit_code == 0);
  collect_until_workers_mark();
  CHECK(heap.objects() == kNodes);
}
#endif
