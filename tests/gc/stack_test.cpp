#include <catch2/catch.hpp>

#include <gort/gc/allocate.h>
#include <gort/gc/collector.h>
#include <gort/tests/gc/heap_fixture.h>

using namespace gort;
using gort_test::Node;

namespace {

// Builds a list in a frame of its own, so that the caller's frame holds the head alone.
GORT_NOINLINE Node* build_list(long length) {
  Node* head = nullptr;
  for (long i = 0; i < length; ++i) {
    Node* node = make<Node>();
    node->left = head;
    node->value = i;
    head = node;
  }
  return head;
}

GORT_NOINLINE long sum_after_collections(Node* head) {
  for (int i = 0; i < 3; ++i) {
    gc::collector.collect(gc::CycleReason::forced, true);
    build_list(1000);  // reuses whatever was freed
  }
  long sum = 0;
  for (const Node* n = head; n != nullptr; n = n->left) sum += n->value;
  return sum;
}

// Leaves no trace of earlier calls on the stack below.
GORT_NOINLINE void wipe_stack() {
  volatile char area[GORT_ASAN ? 262144 : 16384];  // the sanitizer has larger frames
  for (volatile char& c : area) c = 0;
}

}  // namespace

TEST_CASE("a raw pointer on the stack keeps its object and what that reaches", "[gc][stack]") {
  gc::CollectorOptions options;
  options.poison = true;
  options.verify = true;
  gc::collector.start(options);
  Node* head = build_list(10'000);
  CHECK(sum_after_collections(head) == 10'000L * 9'999 / 2);
  gc::collector.shutdown();
}

TEST_CASE("a pointer into the middle of an object on the stack keeps it", "[gc][stack]") {
  gc::CollectorOptions options;
  options.poison = true;
  gc::collector.start(options);
  long* volatile inner = make_array<long>(100) + 57;
  *inner = 99;
  wipe_stack();
  gc::collector.collect(gc::CycleReason::forced, true);
  CHECK(*inner == 99);
  gc::collector.shutdown();
}

// The address sanitizer keeps a copy of the list's head in the frame of the test itself.
#if !GORT_ASAN
TEST_CASE("most of what a returned frame held is collected", "[gc][stack]") {
  gc::collector.start({});
  build_list(100'000);
  wipe_stack();
  gc::collector.collect(gc::CycleReason::forced, true);
  // A stale word may keep a tail of the list, but a list built from the head keeps all or little;
  // with the stack wiped nothing points at it.
  CHECK(gort_test::ExactHeap::objects() < 1000);
  gc::collector.shutdown();
}
#endif
