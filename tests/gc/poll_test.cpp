// Whoever stops the world waits for the collector's thread, which stops at its polls alone: so it
// must come to one soon, however long the tables are that it walks through, and however little it
// finds in them. Counted here, not timed.

#include <catch2/catch.hpp>

#include <vector>

#include <gort/gc/cleanup.h>
#include <gort/gc/cleanups.h>
#include <gort/gc/roots.h>
#include <gort/tests/gc/heap_fixture.h>

using namespace gort;
using gort_test::ExactHeap;
using gort_test::Node;

namespace {

constexpr std::size_t kMany = 100'000;
constexpr std::size_t kMostBetween = 1024;

}  // namespace

TEST_CASE("there are polls among roots that refer to nothing", "[gc][poll]") {
  const ExactHeap heap;
  std::vector<Root<Node>> empty(kMany, Root<Node>(make<Node>()));
  for (Root<Node>& root : empty) root = nullptr;
  std::size_t polls = 0;
  std::size_t found = 0;
  gc::roots.for_each([&found](void*) { ++found; }, [&polls] { ++polls; });
  CHECK(found == 0);
  CHECK(polls >= kMany / kMostBetween);
}

TEST_CASE("there are polls among cleanups that are not due", "[gc][poll]") {
  const ExactHeap heap;
  const Root<Node> node(make<Node>());
  for (std::size_t i = 0; i < kMany; ++i) add_cleanup(node.get(), [] {});
  std::size_t polls = 0;
  std::size_t found = 0;
  gc::cleanups.for_each_kept([&found](void*) { ++found; }, [&polls] { ++polls; });
  CHECK(found == 0);
  CHECK(polls >= kMany / kMostBetween);
}

namespace {

std::size_t destroyed = 0;
std::size_t out_of_turn = 0;

struct Link {
  Ref<Link> next;
  std::size_t number = 0;
  ~Link() {
    if (number != destroyed++) ++out_of_turn;
  }
  GORT_FIELDS(Link, next, number);
};

}  // namespace

TEST_CASE("what dies is handed over in pieces, in its order", "[gc][poll]") {
  gc::CollectorOptions options;
  options.cleanup_thread = false;
  ExactHeap heap(options);
  destroyed = out_of_turn = 0;
  Root<Link> list;
  for (std::size_t i = kMany; i-- > 0;) {
    Root<Link> link(make<Link>());
    link->number = i;
    link->next = list.get();
    list = link.get();
  }
  list = nullptr;
  heap.collect();
  CHECK(gc::cleanups.due_count() == kMany);
  run_cleanups();
  CHECK(destroyed == kMany);
  CHECK(out_of_turn == 0);
}
