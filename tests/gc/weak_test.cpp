#include <catch2/catch.hpp>

#include <atomic>
#include <thread>
#include <vector>

#include <gort/gc/weak.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/gc/phases.h>

using namespace gort;
using gort_test::at_drained;
using gort_test::at_marking_started;
using gort_test::ExactHeap;
using gort_test::Node;
using gort_test::with_phases;

TEST_CASE("a Weak reads as its target until that is dead", "[gc][weak]") {
  ExactHeap heap;
  Root<Node> node(make<Node>());
  Weak<Node> weak(node.get());
  heap.collect();
  CHECK(weak.get() == node.get());
  CHECK_FALSE(weak.expired());
  node = nullptr;
  heap.collect();
  CHECK(weak.get() == nullptr);
  CHECK(weak.expired());
  CHECK(heap.objects() == 0);
}

TEST_CASE("a slot is cleared before its target's memory is used again", "[gc][weak]") {
  ExactHeap heap;
  Weak<Node> weak(make<Node>());
  heap.collect();
  std::vector<Root<Node>> others;
  for (int i = 0; i < 2000; ++i) others.emplace_back(make<Node>());
  CHECK(weak.get() == nullptr);
}

TEST_CASE("interior pointers, large objects and addresses outside the heap", "[gc][weak]") {
  ExactHeap heap;
  Root<Node> node(make<Node>());
  Weak<long> inside(&node->value);
  Root<char> bytes(make_array<char>(100'000));
  Weak<char> deep(bytes.get() + 99'999);
  static long outside = 7;
  Weak<long> foreign(&outside);
  heap.collect();
  CHECK(inside.get() == &node->value);
  CHECK(deep.get() == bytes.get() + 99'999);
  node = nullptr;
  bytes = nullptr;
  heap.collect();
  CHECK(inside.get() == nullptr);
  CHECK(deep.get() == nullptr);
  CHECK(foreign.get() == &outside);
}

TEST_CASE("copies have slots of their own, moves pass the slot on", "[gc][weak]") {
  ExactHeap heap;
  const std::size_t before = gc::weak_slots.count();
  {
    Root<Node> a(make<Node>());
    Root<Node> b(make<Node>());
    Weak<Node> wa(a.get());
    Weak<Node> copy(wa);
    CHECK(gc::weak_slots.count() == before + 2);
    CHECK(copy == wa);
    Weak<Node> moved(std::move(wa));
    CHECK(gc::weak_slots.count() == before + 2);
    CHECK(moved == copy);
    Weak<Node> wb(b.get());
    CHECK(wb != moved);
    moved = wb;
    CHECK(moved == wb);
    copy = b.get();
    CHECK(copy == wb);
    b = nullptr;
    heap.collect();
    CHECK(copy.get() == nullptr);
    CHECK(moved == Weak<Node>());
    moved = a.get();
    CHECK(moved.get() == a.get());
    moved = nullptr;
    CHECK(moved.expired());
  }
  CHECK(gc::weak_slots.count() == before);
}

TEST_CASE("many weak slots: exactly the dead are cleared", "[gc][weak]") {
  ExactHeap heap;
  std::vector<Root<Node>> keep;
  std::vector<Weak<Node>> watch;
  for (int i = 0; i < 1000; ++i) {
    Node* node = make<Node>();
    watch.emplace_back(node);
    keep.emplace_back(i % 3 == 0 ? node : nullptr);
  }
  heap.collect();
  for (std::size_t i = 0; i < 1000; ++i) {
    REQUIRE(watch[i].get() == (i % 3 == 0 ? keep[i].get() : nullptr));
  }
}

// The windows of weak.h. `hidden` is the only way to the object: not reachable at the snapshot.
static Weak<Node>* hidden;
static Root<Node>* resurrected;

TEST_CASE("what get() brings back while markers run is marked", "[gc][weak]") {
  ExactHeap heap(with_phases());
  Weak<Node> weak;
  Root<Node> root;
  hidden = &weak;
  resurrected = &root;
  auto resurrect = [] { *resurrected = hidden->get(); };
  {
    Root<Node> node(make<Node>());
    node->left = make<Node>();
    node->left->value = 42;
    weak = node.get();
  }
  SECTION("as marking starts") { at_marking_started = resurrect; }
  SECTION("when everything else is marked") { at_drained = resurrect; }
  // A Root's slot may have been scanned already when it gets the object: verify would abort.
  heap.collect();
  REQUIRE(root.get() != nullptr);
  CHECK(weak.get() == root.get());
  CHECK(root->left->value == 42);
  root = nullptr;
  heap.collect();
  CHECK(weak.get() == nullptr);
  CHECK(heap.objects() == 0);
}

TEST_CASE("a copy that is made while markers run keeps to the rule", "[gc][weak]") {
  ExactHeap heap(with_phases());
  Weak<Node> weak(make<Node>());
  static Weak<Node>* copy;
  Weak<Node> second;
  hidden = &weak;
  copy = &second;
  SECTION("as marking starts") {
    at_marking_started = [] { *copy = *hidden; };
  }
  SECTION("when everything else is marked") {
    at_drained = [] { *copy = *hidden; };
  }
  heap.collect();
  CHECK(second.get() == weak.get());
  CHECK(second.get() != nullptr);
  heap.collect();
  CHECK(second.get() == nullptr);
  CHECK(weak.get() == nullptr);
}

TEST_CASE("a slot that is released and taken again while markers run", "[gc][weak]") {
  ExactHeap heap(with_phases());
  static Root<Node>* other;
  Root<Node> node(make<Node>());
  other = &node;
  Weak<Node> weak(make<Node>());
  hidden = &weak;
  at_drained = [] {
    *hidden = Weak<Node>();
    *hidden = other->get();
  };
  heap.collect();
  CHECK(weak.get() == node.get());
}

TEST_CASE("weak slots of dead threads stay, and are cleared", "[gc][weak]") {
  ExactHeap heap;
  Weak<Node> weak;
  Root<Node> last;
  std::thread([&] {
    gc::world.attach();
    last = make<Node>();
    weak = last.get();
  }).join();
  heap.collect();
  CHECK(weak.get() == last.get());
  std::thread([&] {
    gc::world.attach();
    last = nullptr;  // the last reference goes with this thread
  }).join();
  heap.collect();
  CHECK(weak.get() == nullptr);
}

TEST_CASE("threads read, copy and drop weak references while others collect", "[gc][weak]") {
  // Every object is published in one Weak alone, beside a Root that comes and goes; who reads
  // non-null must find the object whole. Poison shows what was swept too early.
  gort_test::SignalHeap heap;
  std::atomic<bool> stop{false};
  std::atomic<long> wrong{0};
  std::atomic<long> found{0};
  std::atomic<long> lost{0};
  auto work = [&] {
    std::vector<Weak<Node>> watch(64);  // before a signal can stop the thread inside malloc
    gc::world.attach();
    std::uint64_t x = 88172645463325252ULL;
    while (!stop) {
      x ^= x << 13;
      x ^= x >> 7;
      x ^= x << 17;
      Weak<Node>& w = watch[x % 64];
      if (Node* node = w.get()) {
        ++found;
        wrong += node->value != 77 || node->left->value != 78;
        if (x % 5 == 0) watch[(x >> 8) % 64] = w;
      } else {
        ++lost;
        Node* fresh = make<Node>();
        fresh->value = 77;
        fresh->left = make<Node>();
        fresh->left->value = 78;
        w = fresh;
      }
      for (int i = 0; i < 10; ++i) make<Node>();
      gc::world.poll(*gc::World::current());
    }
  };
  std::thread a(work);
  std::thread b(work);
  for (int i = 0; i < 150 || found < 1000; ++i) {
    heap.collect();
  }
  stop = true;
  gort_test::join(a);
  gort_test::join(b);
  CHECK(wrong == 0);
  CHECK(lost > 100);  // slots were cleared all the time
}

TEST_CASE("after a shutdown all Weak are null", "[gc][weak]") {
  Weak<Node> weak;
  Weak<Node> another;
  {
    ExactHeap heap;
    Root<Node> root(make<Node>());
    weak = root.get();
    another = root.get();
  }
  CHECK(weak.expired());
  CHECK(another.expired());
}
