#include <catch2/catch.hpp>

#include <system_error>
#include <thread>

#include <sys/resource.h>
#include <unistd.h>

#include <gort/base/fatal.h>
#include <gort/gc/allocate.h>
#include <gort/gc/collector.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/support/child.h>

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

// The thread sanitizer ends the child of a process that has had threads; the undefined behaviour
// sanitizer wants a descriptor for each look at an object with a vtable, such as the exception.
#if !GORT_TSAN && !GORT_ASAN

// For the first thread of a process, which this one is, a file descriptor is needed to know it.
TEST_CASE("a thread whose stack cannot be known is not attached", "[gc][stack]") {
  const bool at_start = GENERATE(true, false);
  const bool scanned = GENERATE(true, false);
  const auto result = gort_test::in_child([at_start, scanned] {
    gc::CollectorOptions options;
    options.conservative_stacks = scanned;
    gc::collector.start(options);  // opens what the runtime's own memory comes from
    gc::collector.shutdown();
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const rlimit none{0, limit.rlim_max};
    const auto use = [&] {
      if (at_start) gc::collector.start(options);
      make<Node>();
    };
    if (!at_start) std::thread([&] { gc::collector.start(options); }).join();
    ::setrlimit(RLIMIT_NOFILE, &none);
    bool refused = false;
    try {
      use();
    } catch (const std::system_error&) {
      refused = true;
    }
    GORT_CHECK(refused == scanned, "refused: {}", refused);
    ::setrlimit(RLIMIT_NOFILE, &limit);
    if (scanned) use();
    gc::collector.shutdown();
  });
  INFO("at start " << at_start << ", scanned " << scanned << ": " << result.errors);
  CHECK(result.exit_code == 0);
}

#endif

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
