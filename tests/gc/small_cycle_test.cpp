// Cycles of a heap with few objects are done in one stop, by the thread that reaches the trigger.

#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>
#include <vector>

#include <unistd.h>

#include <gort/base/counters.h>
#include <gort/base/os.h>
#include <gort/gc/cleanup.h>
#include <gort/gc/weak.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/support/child.h>
#include <gort/tests/support/scale.h>

using namespace gort;
using gort_test::ExactHeap;
using gort_test::join;
using gort_test::Node;
using gort_test::while_blocking;

namespace {

constexpr std::size_t kMinimum = gc::kMinimumHeap;

int destroyed = 0;
struct Noisy {
  long value = 1;
  ~Noisy() { ++destroyed; }
  GORT_POINTER_FREE();
};

// With more behind it than is marked between two looks at who else could mark.
struct Hoard {
  Ref<Ref<Node>> many;
  ~Hoard() { ++destroyed; }
  GORT_FIELDS(Hoard, many);
};

struct Cell {
  Ref<Cell> unused;
  long number = 0;
  GORT_FIELDS(Cell, unused);
};

// A list behind `root`; its values count down from n - 1.
void build_list(Root<Node>& root, long n) {
  for (long i = 0; i < n; ++i) {
    Node* node = make<Node>();
    node->left = root.get();
    node->value = i;
    root = node;
  }
}

long length_of(const Root<Node>& root) {
  long n = 0;
  long expected = root == nullptr ? 0 : root->value;
  for (const Node* node = root.get(); node != nullptr; node = node->left, ++n) {
    if (node->value != expected--) return -1;
  }
  return n;
}

// Garbage enough for `cycles` cycles of a heap that is nearly empty.
void make_garbage(std::size_t cycles) {
  for (std::size_t bytes = 0; bytes < cycles * kMinimum; bytes += sizeof(Node)) make<Node>();
}

}  // namespace

TEST_CASE("a heap of few objects is collected in one stop", "[gc][small_cycle]") {
  ExactHeap heap;
  Root<Node> root;
  build_list(root, 1000);
  const std::uint64_t before = counters.one_stop_cycles.load_relaxed();
  make_garbage(4);
  CHECK(counters.one_stop_cycles.load_relaxed() >= before + 3);
  const gc::CycleRecord last = gc::collector.last_cycle();
  CHECK(last.stops == 1);
  CHECK(last.reason == gc::CycleReason::heap_goal);
  CHECK(last.marked == 1000 * sizeof(Node));
  CHECK(length_of(root) == 1000);
  heap.collect();
  CHECK(heap.objects() == 1000);
}

TEST_CASE("what takes too long for one stop is marked beside the program", "[gc][small_cycle]") {
  ExactHeap heap;
  Root<Node> root;
  heap.collect();
  // The cycle's thread may not be quite done with it; then it would have the next one as well.
  gc::Thread& self = *gc::World::current();
  gc::collector.hold_cycles(self);
  gc::collector.release_cycles();
  const std::uint64_t cycles = gc::collector.last_cycle().number;
  const std::uint64_t given_up = counters.given_up_cycles.load_relaxed();
  // Nobody knows before the first cycle that there are so many.
  build_list(root, static_cast<long>(kMinimum / sizeof(Node)));
  while (gc::collector.last_cycle().number == cycles) make<Node>();
  CHECK(gc::collector.last_cycle().reason == gc::CycleReason::heap_goal);
  CHECK(counters.given_up_cycles.load_relaxed() == given_up + 1);
  CHECK(gc::collector.last_cycle().stops >= 2);
  CHECK(length_of(root) == static_cast<long>(kMinimum / sizeof(Node)));
  // Then it is known.
  while (gc::collector.last_cycle().number == cycles + 1) make<Node>();
  CHECK(counters.given_up_cycles.load_relaxed() == given_up + 1);
  // And what it had marked in vain is no longer marked: all of it dies at the next cycle.
  root = nullptr;
  heap.collect();
  CHECK(heap.objects() == 0);
}

TEST_CASE("destructors and weak references see small cycles", "[gc][small_cycle]") {
  destroyed = 0;
  gc::CollectorOptions options;
  options.cleanup_thread = false;
  ExactHeap heap(options);
  Weak<Noisy> weak(make<Noisy>());
  make_garbage(2);
  REQUIRE(gc::collector.last_cycle().stops == 1);
  CHECK(weak.get() == nullptr);
  run_cleanups();
  CHECK(destroyed == 1);
}

// Making one, it would wait for the end of the stop that it is itself.
TEST_CASE("a small cycle makes no threads", "[gc][small_cycle]") {
  const gort_test::ChildResult child = gort_test::in_child([] {
    ::alarm(60);
    destroyed = 0;
    gc::CollectorOptions options;
    options.cleanup_thread = false;
    options.markers = 2;
    const ExactHeap heap(options);
    Root<Hoard> hoard(make<Hoard>());
    hoard->many = make_array<Ref<Node>>(400'000);
    hoard = nullptr;
    const std::uint64_t before = counters.one_stop_cycles.load_relaxed();
    make_garbage(4);
    if (counters.one_stop_cycles.load_relaxed() == before) ::_exit(1);
    run_cleanups();
    if (destroyed != 1) ::_exit(2);
  });
  CHECK(child.signal == 0);
  CHECK(child.exit_code == 0);
}

// In the stop they would cost a third of a microsecond each.
TEST_CASE("many destructors are left to the collector's thread", "[gc][small_cycle]") {
  destroyed = 0;
  gc::CollectorOptions options;
  options.cleanup_thread = false;
  ExactHeap heap(options);
  const auto stops_of_next_cycle = [] {
    // The collector's thread may not be quite done with the last one.
    gc::collector.hold_cycles(*gc::World::current());
    gc::collector.release_cycles();
    const std::uint64_t cycles = gc::collector.last_cycle().number;
    while (gc::collector.last_cycle().number == cycles) make<Node>();
    return gc::collector.last_cycle().stops;
  };
  CHECK(stops_of_next_cycle() == 1);
  const std::uint64_t given_up = counters.given_up_cycles.load_relaxed();
  for (int i = 0; i < 2000; ++i) make<Noisy>();
  CHECK(stops_of_next_cycle() >= 2);
  CHECK(counters.given_up_cycles.load_relaxed() == given_up + 1);
  CHECK(run_cleanups() == 2000);
  CHECK(destroyed == 2000);
  // Now that it is known, nobody tries; then they are few again.
  CHECK(stops_of_next_cycle() >= 2);
  CHECK(counters.given_up_cycles.load_relaxed() == given_up + 1);
  CHECK(stops_of_next_cycle() == 1);
  // So many are not even looked at.
  for (int i = 0; i < 20'000; ++i) make<Noisy>();
  CHECK(stops_of_next_cycle() >= 2);
  CHECK(counters.given_up_cycles.load_relaxed() == given_up + 1);
}

// Small cells: the fewer slow paths, the likelier a thread is stopped by a signal, in the middle of
// an allocation. A cell that is given away twice loses its number.
TEST_CASE("threads stopped by a small cycle lose nothing", "[gc][small_cycle]") {
  gort_test::SignalHeap heap;
  const std::uint64_t before = counters.one_stop_cycles.load_relaxed();
  std::atomic<long> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([t, &wrong] {
      std::array<Cell*, 2048> last{};
      for (long i = 0; i < 6'000'000; ++i) {
        Cell*& slot = last[static_cast<std::size_t>(i) % last.size()];
        if (slot != nullptr && slot->number != 3 * (i - 2048) + t) ++wrong;
        slot = make<Cell>();
        if (slot->number != 0) ++wrong;
        slot->number = 3 * i + t;
      }
      gc::world.detach();
    });
  }
  join(threads);
  CHECK(wrong == 0);
  CHECK(counters.one_stop_cycles.load_relaxed() > before);
}

// Each has a list that its stack alone refers to. One is long, so that the other's thread, when it
// runs the cycle, has something to wait for.
TEST_CASE("threads mark from their own stacks while they are stopped", "[gc][small_cycle]") {
  if (os::processors() < 2) {
    WARN("not tested: one processor, nobody is awake in a stop");
    return;
  }
  gc::CollectorOptions options = gort_test::with_signals();
  options.verify = true;
  gc::collector.start(options);
  const auto helped = [before = counters.helped_scans.load_relaxed()] {
    return counters.helped_scans.load_relaxed() - before;
  };
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  std::atomic<bool> broken{false};
  std::vector<std::thread> threads;
  for (const long length : {10L, 5000L}) {
    threads.emplace_back([&, length] {
      // On a busy machine a stopped thread has no processor to help with.
      for (int round = 0; helped() < (round < gort_test::scaled(200) ? 100U : 1U); ++round) {
        if (broken || std::chrono::steady_clock::now() > end) break;
        Node* list = nullptr;
        for (long i = 0; i < length; ++i) {
          Node* node = make<Node>();
          node->left = list;
          node->value = i;
          list = node;
        }
        make_garbage(4);
        long expected = length;
        for (const Node* node = list; node != nullptr; node = node->left) {
          if (node->value != --expected) broken = true;
        }
        if (expected != 0) broken = true;
      }
      gc::world.detach();
    });
  }
  join(threads);
  CHECK_FALSE(broken);
  CHECK(helped() > 0);
  gc::collector.shutdown();
}

#if !GORT_TSAN  // there, threads stop at polls alone

// It might be about to take it, and nothing else refers to it.
TEST_CASE("an interrupted thread keeps its next slot", "[gc][small_cycle]") {
  const gort_test::SignalHeap heap;
  std::atomic<int> stage{0};
  Cell* first = nullptr;
  Cell* next = nullptr;
  std::thread interrupted([&] {
    first = make<Cell>();
    // So that the address of the next one is in no register any more, nor on the stack.
    for (int i = 0; i < 10'000; ++i) make_array<char>(static_cast<std::size_t>(16 + i % 7 * 16));
    stage = 1;
    while (stage != 2) {
    }
    next = make<Cell>();
    stage = 3;
    while (stage != 4) {
    }
    gc::world.detach();
  });
  while (stage != 1) std::this_thread::yield();
  const std::uint64_t before = counters.one_stop_cycles.load_relaxed();
  while (counters.one_stop_cycles.load_relaxed() == before) make<Node>();
  while (alloc::heap.sweep_one()) {
  }
  stage = 2;
  while (stage != 3) std::this_thread::yield();
  CHECK(next == first + 1);
  CHECK(next->number == 0);
  const alloc::Span* span = alloc::span_of(next);
  CHECK(span->is_allocated(span->slot_of(reinterpret_cast<std::uintptr_t>(next))));
  stage = 4;
  join(interrupted);
}

// It may have been interrupted within malloc, which marking may need.
TEST_CASE("a thread that a signal interrupted does not help", "[gc][small_cycle]") {
  const gort_test::SignalHeap heap;
  const std::uint64_t before = counters.helped_scans.load_relaxed();
  const std::uint64_t cycles = counters.one_stop_cycles.load_relaxed();
  std::atomic<bool> running{false};
  std::atomic<bool> done{false};
  std::thread spinning([&] {
    make<Node>();  // attaches it
    running = true;
    while (!done) {
    }
    gc::world.detach();
  });
  while (!running) {
  }
  make_garbage(40);
  done = true;
  join(spinning);
  CHECK(counters.one_stop_cycles.load_relaxed() >= cycles + 10);
  CHECK(counters.helped_scans.load_relaxed() == before);
}

#endif

TEST_CASE("who asks for a cycle gets one that begins afterwards", "[gc][small_cycle]") {
  gc::CollectorOptions options;
  options.cleanup_thread = false;
  ExactHeap heap(options);
  std::atomic<bool> done{false};
  std::thread allocating([&done] {
    while (!done) make_garbage(1);
    gc::world.detach();
  });
  for (int i = 0; i < 100; ++i) {
    Weak<Node> weak(make<Node>());
    heap.collect();
    REQUIRE(weak.get() == nullptr);
  }
  done = true;
  join(allocating);
}

// The processor may be taken from a thread in the middle of its small cycle, here behind the moment
// when the cycle is said to be over: another thread goes on meanwhile, and waits when the heap has
// reached the hard limit. Neither needs the collector's thread.
TEST_CASE("a small cycle that is held up wakes nobody", "[gc][small_cycle]") {
  static std::atomic<std::thread::id> holder;
  static std::atomic<bool> held{false};
  static std::atomic<bool> go_on{false};
  holder = std::thread::id();
  held = go_on = false;
  gc::CollectorOptions options;
  options.cpu_times = [] {
    // A cycle's thread looks when it begins, when marking is over, and last.
    static thread_local int looks = 0;
    if (holder == std::this_thread::get_id() && ++looks % 3 == 0 && !held.exchange(true)) {
      while (!go_on) std::this_thread::yield();
    }
    return gc::CpuTimes{};
  };
  ExactHeap heap(options);
  static std::atomic<gc::Thread*> other_thread{nullptr};
  other_thread = nullptr;
  std::atomic<std::uint64_t> small_meanwhile{0};
  std::atomic<bool> other_done{false};
  const std::uint64_t cycles = counters.cycles.load_relaxed();
  const std::uint64_t small = counters.one_stop_cycles.load_relaxed();
  std::thread first([] {
    holder = std::this_thread::get_id();
    gc::world.attach();
    while (!held) make_garbage(1);
    gc::world.detach();
  });
  std::thread other([&small_meanwhile, &other_done] {
    gc::Thread& self = gc::world.attach();
    while (!held) gc::world.poll(self);
    const std::uint64_t before = counters.one_stop_cycles.load_relaxed();
    const std::size_t limit = gc::hard_limit(gc::collector.goal());
    while (alloc::heap.heap_live.load_relaxed() <= limit) make<Node>();
    small_meanwhile = counters.one_stop_cycles.load_relaxed() - before;
    other_thread = &self;
    make_garbage(10);
    other_done = true;
    while (!go_on) gc::world.poll(self);
    gc::world.detach();
  });
  std::size_t over_limit = 0;
  while_blocking([&] {
    // Until it sleeps, which one look does not show.
    for (int asleep = 0; asleep < 1000 && !other_done; std::this_thread::yield()) {
      const gc::Thread* thread = other_thread;
      asleep = thread != nullptr && thread->blocking.load_relaxed() ? asleep + 1 : 0;
    }
    over_limit = alloc::heap.heap_live.load_relaxed() - gc::hard_limit(gc::collector.goal());
    go_on = true;
  });
  join(first);
  join(other);
  CHECK(small_meanwhile == 0);
  CHECK(over_limit < 1_MiB);
  CHECK(counters.cycles.load_relaxed() - cycles >= 3);
  CHECK(counters.cycles.load_relaxed() - cycles == counters.one_stop_cycles.load_relaxed() - small);
}

TEST_CASE("who waits for a sweep gets it from a small cycle that was just beginning",
          "[gc][small_cycle]") {
  // The other thread asks when the small cycle has been announced and has not stopped the world
  // yet: so it is the one that it waits for, and its own thread must do the sweeping.
  static std::atomic<gc::Thread*> other_thread{nullptr};
  static std::atomic<bool> ask{false};
  static std::atomic<bool> asked{false};
  other_thread = nullptr;
  ask = asked = false;
  gc::CollectorOptions options;
  options.background_sweep = false;
  options.on_event = [](const gc::CycleEvent& event, void*) {
    if (event.kind != gc::CycleEvent::cycle_begun || asked.exchange(true)) return;
    ask = true;
    while (other_thread.load()->state.load_seq_cst() != gc::Thread::parked) {
      std::this_thread::yield();
    }
  };
  ExactHeap heap(options);
  std::uint64_t unswept = 0;
  std::thread other([&unswept] {
    other_thread = &gc::world.attach();
    while (!ask) gc::world.poll(*other_thread);
    ExactHeap::collect();
    while (alloc::heap.sweep_one()) ++unswept;
    gc::world.detach();
  });
  while (other_thread == nullptr) std::this_thread::yield();
  const std::uint64_t small = counters.one_stop_cycles.load_relaxed();
  while (!asked) make<Node>();
  join(other);
  CHECK(counters.one_stop_cycles.load_relaxed() == small + 1);
  CHECK(unswept == 0);
}
