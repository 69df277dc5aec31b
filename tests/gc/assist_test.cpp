// Mark assists: a thread that allocates while a cycle marks has to mark for it (gc/pacer.h says how
// much, gc/collector.cpp what it does about it).
//
//     debt     grows with each slow path of allocation, by the ratio of the cycle
//     credit   what the collector's own thread has marked pays first
//     help     the rest is marked, 64 KiB at a time at most, out of what the pool has
//     forgiven what is left then
//     room     beyond the hard limit the thread helps with whatever there is and waits for the end
//
// Each test holds a cycle at a phase and lets a thread of its own allocate there, so what the
// thread finds does not depend on who is faster. What there is to help with is what the test has
// put into the pool, as another marker would: make_grey(). Objects that are allocated are of 64
// KiB, since each of those takes the slow path, with just its size.

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

#include <gort/base/counters.h>
#include <gort/base/units.h>
#include <gort/gc/mark_pool.h>
#include <gort/gc/marker.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/gc/phases.h>

using namespace gort;
using gort_test::at_drained;
using gort_test::at_marking_started;
using gort_test::ExactHeap;
using gort_test::Node;

namespace {

constexpr std::size_t kObject = 64_KiB;
constexpr std::size_t kMostHelp = 64_KiB;
constexpr int kDepth = 15;
constexpr std::size_t kNodes = (std::size_t{1} << kDepth) - 1;  // 768 KiB

// Not collected before the test asks; marked by the collector's thread and who helps, not workers.
gc::CollectorOptions options() {
  gc::CollectorOptions options = gort_test::with_phases();
  options.gc_percent = -1;
  options.markers = 1;
  return options;
}

Node* build_tree(int depth) {
  if (depth == 0) return nullptr;
  Node* const node = make<Node>();
  node->left = build_tree(depth - 1);
  node->right = build_tree(depth - 1);
  return node;
}

// A heap with a tree that a cycle has seen: so much the next one expects to mark.
struct HeapWithTree : ExactHeap {
  explicit HeapWithTree(std::int64_t percent = 50) : ExactHeap(options()) {
    tree = build_tree(kDepth);
    collect();
    gc::collector.set_gc_percent(percent);  // 50: the goal is 2 MiB, more than half a byte for one
  }
  ~HeapWithTree() { tree = nullptr; }
  Root<Node> tree;
};

void make_grey(Node* node) {
  gc::Marker marker(gc::mark_pool);
  marker.mark_address(reinterpret_cast<std::uintptr_t>(node));
}  // which hands it to the pool

template <class F>
void on_a_thread(F&& f) {
  std::thread thread([&f] {
    f(gc::world.attach());
    gc::world.detach();
  });
  gort_test::join(thread);
}

std::size_t helped() { return counters.assist_bytes.load_relaxed(); }

}  // namespace

TEST_CASE("who allocates while a cycle marks, marks", "[gc][assist]") {
  HeapWithTree heap;
  const std::uint64_t total = counters.objects_marked.load_relaxed();
  const std::size_t before = helped();
  std::size_t marked = 0;
  std::size_t once = 0;
  at_marking_started = [&] {
    make_grey(heap.tree.get());
    const std::size_t by_others = gc::mark_pool.objects_marked.load_relaxed();
    on_a_thread([&](gc::Thread&) {
      make_array<char>(kObject);
      once = helped() - before;
      for (int i = 0; i < 4; ++i) make_array<char>(kObject);
    });
    marked = gc::mark_pool.objects_marked.load_relaxed() - by_others;
  };
  heap.collect();
  const gc::CycleRecord record = gc::collector.last_cycle();
  CHECK(once >= kObject / 2);
  CHECK(once <= kObject);
  CHECK(record.assisted == helped() - before);
  CHECK(record.assisted >= 5 * kObject / 2);
  CHECK(record.assisted <= record.scanned);
  CHECK(marked >= record.assisted / sizeof(Node));
  CHECK(counters.objects_marked.load_relaxed() - total == kNodes);  // each of them by one
  heap.collect();
  CHECK(heap.objects() == kNodes);
}

TEST_CASE("what the collector's thread has marked pays first, and once", "[gc][assist]") {
  HeapWithTree heap(400);  // the goal is so far that the allocations themselves hardly count
  constexpr std::int64_t kDebt = 256_KiB;
  Node* const dead = build_tree(kDepth);  // nobody has marked it when all the rest is
  const std::size_t before = helped();
  std::size_t after[4] = {};
  std::int64_t left = -1;
  at_drained = [&] {
    make_grey(dead);
    on_a_thread([&](gc::Thread& self) {
      for (std::size_t& bytes : after) {
        self.assist_debt += kDebt;
        make_array<char>(kObject);
        bytes = helped() - before;
        if (left < 0) left = self.assist_debt;
      }
    });
  };
  heap.collect();
  CHECK(after[0] == 0);
  CHECK(left == 0);
  CHECK(after[1] == 0);
  CHECK(after[3] > 0);  // 1 MiB is more than it has marked
  heap.collect();
  CHECK(heap.objects() == kNodes);
}

TEST_CASE("who does not allocate does not mark, in the cycle after one who did", "[gc][assist]") {
  HeapWithTree heap;
  at_marking_started = [&] {
    make_grey(heap.tree.get());
    on_a_thread([](gc::Thread&) { make_array<char>(kObject); });
  };
  heap.collect();
  REQUIRE(gc::collector.last_cycle().assisted > 0);
  const std::size_t before = helped();
  at_marking_started = [&] {
    make_grey(heap.tree.get());
    on_a_thread([&](gc::Thread& self) {
      for (int i = 0; i < 1000; ++i) {
        gc::world.poll(self);
        heap.tree->left = heap.tree->left.get();
      }
    });
  };
  heap.collect();
  CHECK(gc::collector.last_cycle().assisted == 0);
  CHECK(helped() == before);
}

TEST_CASE("a debt that cannot be paid is forgiven", "[gc][assist]") {
  HeapWithTree heap;
  const std::size_t before = helped();
  gc::Thread& self = gc::world.attach();
  self.assist_debt = 1_MiB;  // of a cycle that is over
  std::int64_t at_start = -1;
  std::int64_t nothing_to_do = -1;
  std::size_t helped_with_nothing = 1;
  std::int64_t too_much = -1;
  std::size_t helped_with_too_much = 0;
  at_marking_started = [&] {
    at_start = self.assist_debt;
    on_a_thread([&](gc::Thread& thread) {
      make_array<char>(kObject);
      nothing_to_do = thread.assist_debt;
      helped_with_nothing = helped() - before;
      make_grey(heap.tree.get());
      thread.assist_debt = 8 * kMostHelp;
      make_array<char>(kObject);
      too_much = thread.assist_debt;
      helped_with_too_much = helped() - before;
    });
  };
  heap.collect();
  CHECK(at_start == 0);
  CHECK(nothing_to_do == 0);
  CHECK(helped_with_nothing == 0);
  CHECK(too_much == 0);
  CHECK(helped_with_too_much >= kMostHelp);
  CHECK(helped_with_too_much <= kMostHelp + sizeof(Node));
}

TEST_CASE("a little debt is kept until it is worth it", "[gc][assist]") {
  HeapWithTree heap(400);
  const std::size_t before = helped();
  std::int64_t debt = 0;
  std::size_t bytes = 1;
  std::size_t later = 0;
  at_marking_started = [&] {
    make_grey(heap.tree.get());
    on_a_thread([&](gc::Thread& self) {
      make_array<char>(kObject);
      debt = self.assist_debt;
      bytes = helped() - before;
      for (int i = 0; i < 20; ++i) make_array<char>(kObject);
      later = helped() - before;
    });
  };
  heap.collect();
  CHECK(debt > 0);
  CHECK(bytes == 0);
  CHECK(later > 0);
}

TEST_CASE("over the hard limit a thread helps, and waits until all is marked", "[gc][assist]") {
  HeapWithTree heap;
  std::atomic<gc::Thread*> waiting{nullptr};
  std::atomic<bool> has_room{false};
  bool room_at_start = true;
  bool room_when_drained = true;
  std::size_t by_waiting = 0;
  const std::size_t before = helped();
  std::thread thread;
  at_marking_started = [&] {
    make_grey(heap.tree.get());
    thread = std::thread([&] {
      waiting = &gc::world.attach();
      make_array<char>(16_MiB);
      has_room = true;
      gc::world.detach();
    });
    while (waiting == nullptr) std::this_thread::yield();
    // It blocks when there is nothing left to help with.
    while (!has_room && !waiting.load()->blocking.load_relaxed()) std::this_thread::yield();
    by_waiting = helped() - before;
    room_at_start = has_room;
  };
  at_drained = [&] { room_when_drained = has_room; };
  heap.collect();
  gort_test::join(thread);
  CHECK(by_waiting >= kNodes * sizeof(Node));
  CHECK_FALSE(room_at_start);
  CHECK_FALSE(room_when_drained);
  CHECK(has_room);
}
