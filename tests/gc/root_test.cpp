#include <catch2/catch.hpp>

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gort/gc/roots.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/gc/phases.h>
#include <gort/tests/support/asleep.h>

using namespace gort;
using gort_test::ExactHeap;
using gort_test::Node;

TEST_CASE("a null Root takes no slot", "[gc][root]") {
  const std::size_t before = gc::roots.count();
  Root<Node> a;
  Root<Node> b(nullptr);
  b = nullptr;
  CHECK(gc::roots.count() == before);
  CHECK(a.get() == nullptr);
}

TEST_CASE("copies hold slots of their own, moves pass the slot on", "[gc][root]") {
  ExactHeap heap;
  const std::size_t before = gc::roots.count();
  {
    Root<Node> a(make<Node>());
    Root<Node> b(a);
    CHECK(gc::roots.count() == before + 2);
    Root<Node> c(std::move(a));
    CHECK(gc::roots.count() == before + 2);
    CHECK(c.get() == b.get());
    b = nullptr;
    heap.collect();
    CHECK(heap.objects() == 1);
    c = std::move(b);
    CHECK(c.get() == nullptr);
  }
  CHECK(gc::roots.count() == before);
  heap.collect();
  CHECK(heap.objects() == 0);
}

TEST_CASE("roots live in containers that grow and shrink", "[gc][root]") {
  ExactHeap heap;
  std::vector<Root<Node>> keep;
  std::map<std::string, Root<Node>> by_name;
  for (int i = 0; i < 3000; ++i) {
    keep.emplace_back(make<Node>());
    keep.back()->value = i;
    by_name["node " + std::to_string(i)] = make<Node>();
  }
  keep.erase(keep.begin(), keep.begin() + 1000);
  by_name.erase("node 7");
  heap.collect();
  CHECK(heap.objects() == 2000 + 2999);
  for (int i = 0; i < 2000; ++i) {
    REQUIRE(keep[static_cast<std::size_t>(i)]->value == i + 1000);
  }
}

TEST_CASE("released slots are used again", "[gc][root]") {
  ExactHeap heap;
  Node* node = make<Node>();
  void** first = gc::acquire_root(node);
  gc::release_root(first);
  void** second = gc::acquire_root(node);
  CHECK(second == first);
  gc::release_root(second);
}

TEST_CASE("a root may point outside the heap", "[gc][root]") {
  ExactHeap heap;
  static Node outside;
  Root<Node> root(&outside);
  heap.collect();
  CHECK(root.get() == &outside);
}

TEST_CASE("a root at an odd address inside an object is a root", "[gc][root]") {
  ExactHeap heap;
  Root<char> odd(make_array<char>(100) + 1);
  heap.collect();
  CHECK(heap.objects() == 1);
}

// Where it has overwritten a reference and not recorded it yet, no stop would find that: the last
// stop of a cycle would take the object for dead, the first one of the next for marked.
TEST_CASE("a thread that is not attached sets and drops roots between two stops", "[gc][root]") {
  ExactHeap heap;
  Node* const node = make<Node>();
  Root<Node> keep(node);
  void** const slot = gc::acquire_root(node);
  const bool drops = GENERATE(false, true);
  std::atomic<pid_t> about_to{0};
  std::atomic<bool> done{false};
  std::thread other;
  gc::with_world_stopped([&] {
    other = std::thread([&] {
      about_to = ::gettid();
      drops ? gc::release_root(slot) : gc::set_root(slot, nullptr);
      done = true;
    });
    while (!done && (about_to == 0 || !gort_test::asleep(about_to))) std::this_thread::yield();
    CHECK_FALSE(done);
    CHECK(*slot == node);
  });
  gort_test::join(other);
  CHECK(*slot != node);
  if (!drops) gc::release_root(slot);
}

TEST_CASE("what such a thread overwrites while markers run is marked", "[gc][root]") {
  ExactHeap heap(gort_test::with_phases());
  Root<Node> head(make<Node>());
  std::optional<Root<Node>> only(make<Node>());
  only->get()->left = make<Node>();
  gort_test::at_marking_started = [&] {
    // As an attached thread would, to whom nothing is white that it can reach.
    gc::init_reference(reinterpret_cast<void**>(&head->left), only->get());
    std::thread([&only] { only.reset(); }).join();
  };
  heap.collect();
  CHECK(heap.objects() == 3);
}

// Where threads stop at polls alone, one may wait for it without a word, and the stopper for that.
TEST_CASE("such a thread need not wait for those who have not stopped yet", "[gc][root]") {
  ExactHeap heap;
  std::optional<Root<Node>> root(make<Node>());
  std::thread stopper([] {
    ExactHeap::collect();
    gc::world.detach();
  });
  while (!gc::world.stop_requested()) std::this_thread::yield();
  std::thread([&root] { root.reset(); }).join();
  gort_test::join(stopper);
  heap.collect();
  CHECK(heap.objects() == 0);
}
