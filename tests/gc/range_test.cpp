#include <catch2/catch.hpp>

#include <atomic>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <ucontext.h>

#include <gort/gc/ranges.h>
#include <gort/gc/weak.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/gc/phases.h>

using namespace gort;
using gort_test::at_drained;
using gort_test::at_marking_started;
using gort_test::ExactHeap;
using gort_test::Node;
using gort_test::SignalHeap;
using gort_test::with_phases;

namespace {

Node* table[8];  // plain memory that the collector does not look at by itself
Root<Node>* holder;

struct Registered {
  Registered() { add_root_range(std::begin(table), std::end(table)); }
  ~Registered() {
    remove_root_range(std::begin(table), std::end(table));
    std::fill(std::begin(table), std::end(table), nullptr);
  }
};

}  // namespace

TEST_CASE("what a registered range points at is kept", "[gc][range]") {
  ExactHeap heap;
  {
    const Registered registered;
    table[0] = make<Node>();
    table[0]->left = make<Node>();
    table[7] = reinterpret_cast<Node*>(&make<Node>()->value);
    heap.collect();
    CHECK(heap.objects() == 3);
    table[0] = nullptr;
    heap.collect();
    CHECK(heap.objects() == 1);
  }
  heap.collect();
  CHECK(heap.objects() == 0);
}

TEST_CASE("ranges are removed as often as they were added", "[gc][range]") {
  ExactHeap heap;
  add_root_range(table, table + 2);
  add_root_range(table, table + 2);
  table[1] = make<Node>();
  CHECK(remove_root_range(table, table + 2));
  heap.collect();
  CHECK(heap.objects() == 1);
  CHECK_FALSE(remove_root_range(table, table + 1));
  CHECK(remove_root_range(table, table + 2));
  CHECK_FALSE(remove_root_range(table, table + 2));
  heap.collect();
  CHECK(heap.objects() == 0);
  table[1] = nullptr;
}

namespace {

// The message of the std::invalid_argument that f() throws.
template <class F>
std::string refusal(F&& f) {
  try {
    f();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "none";
}

}  // namespace

TEST_CASE("a range the wrong way round is refused, and leaves nothing", "[gc][range]") {
  ExactHeap heap;
  heap.collect();
  const std::size_t roots = gc::collector.last_cycle().root_bytes;
  const std::string message = refusal([] { add_root_range(table + 1, table); });
  CHECK(message == fmt::format("gort::add_root_range: begin {} is behind end {}",
                               fmt::ptr(table + 1), fmt::ptr(table)));
  CHECK_FALSE(remove_root_range(table + 1, table));
  add_root_range(table, table);  // empty
  heap.collect();
  CHECK(gc::collector.last_cycle().root_bytes == roots);
  CHECK(remove_root_range(table, table));
}

TEST_CASE("a stack that is not registered is refused by its address", "[gc][fiber]") {
  ExactHeap heap;
  char stack[64];
  char other[64];
  CHECK(refusal([&] { register_stack(stack + 64, stack); }) ==
        fmt::format("gort::register_stack: low {} is not below high {}", fmt::ptr(stack + 64),
                    fmt::ptr(stack)));
  CHECK(refusal([&] { register_stack(stack, stack); }) != "none");
  const StackId id = register_stack(stack, stack + 64);
  const StackId kept = register_stack(other, other + 64);
  unregister_stack(id);
  const auto unknown = [](const void* address) {
    return fmt::format("gort::unregister_stack: {} is not the id of a registered stack", address);
  };
  CHECK(refusal([&] { unregister_stack(id); }) == unknown(id));
  CHECK(refusal([&] { unregister_stack(nullptr); }) != "none");
  // Taken for an id, and no memory of the runtime's.
  gc::FiberStack foreign;
  CHECK(refusal([&] { unregister_stack(&foreign); }) == unknown(&foreign));
  CHECK(gc::ranges.high_end_of(other) == other + 64);
  unregister_stack(kept);
  CHECK(gc::ranges.high_end_of(other) == nullptr);
  heap.collect();
}

// The argument of ranges.h: references move between ranges and the heap while markers run.
TEST_CASE("references that move between a range and the heap during marking", "[gc][range]") {
  gc::CollectorOptions options = with_phases();
  ExactHeap heap(options);
  const Registered registered;
  Root<Node> root(make<Node>());
  holder = &root;
  auto moves = [] {
    Node* in_heap = (*holder)->left;
    Node* in_range = table[0];
    table[0] = in_heap;
    (*holder)->left = nullptr;
    (*holder)->right = in_range;
    table[3] = table[2];
    table[2] = nullptr;
  };
  root->left = make<Node>();
  root->left->value = 1;
  table[0] = make<Node>();
  table[0]->value = 2;
  table[0]->left = make<Node>();
  table[2] = make<Node>();
  table[2]->value = 3;
  SECTION("as marking starts") { at_marking_started = moves; }
  SECTION("when everything is marked") { at_drained = moves; }
  heap.collect();
  CHECK(heap.objects() == 5);
  CHECK(table[0]->value == 1);
  CHECK(root->right->value == 2);
  CHECK(table[3]->value == 3);
  heap.collect();
  CHECK(heap.objects() == 5);
}

#if !GORT_TSAN && !GORT_ASAN  // neither follows a switch of stacks unless it is told

namespace {

// A fiber on a stack of its own, by ucontext.
class Fiber {
 public:
  explicit Fiber(void (*body)(Fiber&)) : stack_(256 * 1024), body_(body) {
    id_ = register_stack(stack_.data(), stack_.data() + stack_.size());
    ::getcontext(&here_);
    here_.uc_stack.ss_sp = stack_.data();
    here_.uc_stack.ss_size = stack_.size();
    here_.uc_link = nullptr;
    const auto self = reinterpret_cast<std::uintptr_t>(this);
    ::makecontext(&here_, reinterpret_cast<void (*)()>(entry), 2, static_cast<unsigned>(self >> 32),
                  static_cast<unsigned>(self));
  }
  ~Fiber() { unregister_stack(id_); }

  /// On a thread's own stack.
  void resume() {
    switch_stack(id_);
    ::swapcontext(&back_, &here_);
  }
  /// In the fiber.
  void suspend() {
    switch_stack(nullptr);
    ::swapcontext(&here_, &back_);
  }
  bool done = false;
  int step = 0;
  Weak<Node> seen;

 private:
  static void entry(unsigned high, unsigned low) {
    auto& self = *reinterpret_cast<Fiber*>(std::uintptr_t{high} << 32 | low);
    self.body_(self);
    self.done = true;
    for (;;) self.suspend();
  }
  std::vector<char> stack_;
  void (*body_)(Fiber&);
  StackId id_ = nullptr;
  ucontext_t here_{};
  ucontext_t back_{};
};

void collect() { gc::collector.collect(gc::CycleReason::forced, true); }

// Holds an object on its stack alone, over suspensions.
GORT_NOINLINE void hold_one(Fiber& fiber) {
  Node* volatile held = make<Node>();
  held->value = 77;
  held->left = make<Node>();
  held->left->value = 78;
  fiber.seen = static_cast<Node*>(held);
  while (fiber.step == 0) fiber.suspend();
  fiber.step = held->value == 77 && held->left->value == 78 ? 2 : -1;
  held = nullptr;
}

GORT_NOINLINE void fill_heap() {
  for (int i = 0; i < 5000; ++i) make<Node>();
}

}  // namespace

TEST_CASE("a suspended fiber's stack is scanned", "[gc][fiber]") {
  SignalHeap heap;
  Fiber fiber(hold_one);
  fiber.resume();
  for (int i = 0; i < 3; ++i) {
    collect();
    fill_heap();
  }
  CHECK_FALSE(fiber.seen.expired());
  fiber.step = 1;
  fiber.resume();
  CHECK(fiber.step == 2);
  CHECK(fiber.done);
}

TEST_CASE("a stack that is not registered any more keeps nothing", "[gc][fiber]") {
  SignalHeap heap;
  Weak<Node> seen;
  {
    Fiber fiber(hold_one);
    fiber.resume();
    seen = std::move(fiber.seen);
    collect();
    CHECK_FALSE(seen.expired());
  }
  collect();
  CHECK(seen.expired());
}

TEST_CASE("a collection on a fiber scans the fiber and the thread's own stack", "[gc][fiber]") {
  SignalHeap heap;
  Node* volatile outer = make<Node>();
  outer->value = 55;
  Fiber fiber([](Fiber& self) {
    Node* volatile inner = make<Node>();
    inner->value = 56;
    for (int i = 0; i < 3; ++i) {
      collect();
      fill_heap();
    }
    self.step = inner->value == 56 ? 2 : -1;
  });
  fiber.resume();
  CHECK(fiber.step == 2);
  CHECK(outer->value == 55);
}

TEST_CASE("a thread is stopped by signal on a fiber", "[gc][fiber]") {
  SignalHeap heap;
  static std::atomic<int> stage{0};
  stage = 0;
  int step = 0;
  std::thread spinner([&] {
    Node* volatile outer = make<Node>();
    outer->value = 91;
    Fiber fiber([](Fiber& self) {
      Node* node = make<Node>();
      node->value = 92;
      stage = 1;
      long wrong = 0;
      while (stage != 2) wrong += node->value != 92;
      self.step = wrong == 0 ? 2 : -1;
    });
    fiber.resume();
    step = outer->value == 91 ? fiber.step : -2;
  });
  while (stage != 1) std::this_thread::yield();
  for (int i = 0; i < 10; ++i) {
    collect();
    fill_heap();
  }
  stage = 2;
  spinner.join();
  CHECK(step == 2);
}

TEST_CASE("a fiber moves from one thread to another", "[gc][fiber]") {
  SignalHeap heap;
  Fiber fiber(hold_one);
  fiber.resume();
  collect();
  int step = 0;
  std::thread([&] {
    gc::world.attach();
    fill_heap();
    collect();
    fiber.step = 1;
    fiber.resume();
    step = fiber.step;
    collect();
  }).join();
  CHECK(step == 2);
}

TEST_CASE("many fibers switch while another thread collects", "[gc][fiber]") {
  SignalHeap heap;
  std::atomic<bool> stop{false};
  std::thread collecting([&] {
    gc::world.attach();
    while (!stop) collect();
  });
  std::vector<std::unique_ptr<Fiber>> fibers;
  for (int i = 0; i < 8; ++i) {
    fibers.push_back(std::make_unique<Fiber>([](Fiber& self) {
      Node* list = nullptr;
      for (long round = 0; round < 300; ++round) {
        Node* node = make<Node>();
        node->value = round;
        node->left = list;
        list = node;
        self.suspend();
      }
      long expected = 299;
      for (const Node* n = list; n != nullptr; n = n->left) {
        if (n->value != expected--) std::abort();
      }
      self.step = expected == -1 ? 2 : -1;
    }));
  }
  for (int round = 0; round < 301; ++round) {
    for (auto& fiber : fibers) {
      if (!fiber->done) fiber->resume();
    }
  }
  stop = true;
  collecting.join();
  for (auto& fiber : fibers) CHECK(fiber->step == 2);
}

#endif
