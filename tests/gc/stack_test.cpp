#include <catch2/catch.hpp>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <string>
#include <system_error>
#include <thread>

#include <sys/resource.h>
#include <ucontext.h>
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

#if !GORT_TSAN

namespace {

constexpr std::size_t kFirstLimit = std::size_t{8} << 20;
constexpr std::size_t kDeep = 10;  // MiB
constexpr std::size_t kRaisedLimit = std::size_t{64} << 20;

void limit_stack(std::size_t bytes) {
  rlimit limit{};
  ::getrlimit(RLIMIT_STACK, &limit);
  limit.rlim_cur = bytes;
  GORT_CHECK(::setrlimit(RLIMIT_STACK, &limit) == 0, "errno {}", errno);
}

void collect_and_reuse() {
  gc::collector.collect(gc::CycleReason::forced, true);
  build_list(1000);
}

// Takes a mebibyte of stack a level, and calls f with `head` in frames far above.
GORT_NOINLINE long sum_from_below(std::size_t mebibytes, void (*f)(), Node* head) {
  volatile char pad[std::size_t{1} << 20];
  pad[0] = 0;
  if (mebibytes == 0) {
    f();
    return 0;
  }
  const long below = sum_from_below(mebibytes - 1, f, nullptr);
  return below + (head == nullptr ? 0 : head->value) + pad[0];
}

// This process has one thread, whose stack grows.
void keep_across(void (*f)()) {
  limit_stack(kFirstLimit);
  gc::CollectorOptions options;
  options.poison = true;
  gc::collector.start(options);
  limit_stack(kRaisedLimit);
  Node* node = make<Node>();
  node->value = 42;
  GORT_CHECK(sum_from_below(kDeep, f, node) == 42, "freed");
}

void collect_on_alternate_stack() {
  static char memory[std::size_t{1} << 18];
  stack_t stack{};
  stack.ss_sp = memory;
  stack.ss_size = sizeof memory;
  ::sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_flags = SA_ONSTACK;
  action.sa_handler = [](int) { collect_and_reuse(); };
  ::sigaction(SIGUSR1, &action, nullptr);
  ::raise(SIGUSR1);
}

void collect_on_unknown_stack() {
  static char memory[std::size_t{1} << 18];
  static ucontext_t here;
  static ucontext_t there;
  ::getcontext(&there);
  there.uc_stack.ss_sp = memory;
  there.uc_stack.ss_size = sizeof memory;
  there.uc_link = &here;
  ::makecontext(&there, collect_and_reuse, 0);
  ::swapcontext(&here, &there);
}

}  // namespace

TEST_CASE("the first thread's stack is scanned where it grows beyond the limit it had",
          "[gc][stack]") {
  SECTION("by the thread that runs there") {
    const auto result = gort_test::in_child([] { keep_across(collect_and_reuse); });
    INFO(result.errors);
    CHECK(result.exit_code == 0);
  }
  SECTION("of a thread on an alternate signal stack") {
    const auto result = gort_test::in_child([] { keep_across(collect_on_alternate_stack); });
    INFO(result.errors);
    CHECK(result.exit_code == 0);
  }
}

TEST_CASE("a thread that runs on an unknown stack is fatal", "[gc][stack]") {
  const auto result = gort_test::in_child([] { keep_across(collect_on_unknown_stack); });
  INFO(result.errors);
  CHECK(result.errors.find("gort::register_stack()") != std::string::npos);
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
