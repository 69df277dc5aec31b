#include <catch2/catch.hpp>

#include <map>
#include <string>
#include <vector>

#include <gort/gc/roots.h>
#include <gort/tests/gc/heap_fixture.h>

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
