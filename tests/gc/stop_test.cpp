// Threads are stopped wherever they are: in a loop without allocation, in a system call, waiting
// for a lock. A collector that waits for a poll would wait for ever: the threads here never poll
// until they are told to end. So the bound on the length of a stop is a generous one.

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <mutex>
#include <thread>

#include <unistd.h>

#include <gort/base/counters.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/support/child.h>

#if !GORT_TSAN  // there, threads stop at polls alone

using namespace gort;
using gort_test::Node;
using gort_test::SignalHeap;

namespace {

void collect_without_delay() {
  SignalHeap::collect();
  CHECK(gc::collector.last_cycle().longest_stop_ns < 5'000'000'000);
}

}  // namespace

TEST_CASE("a loop that never allocates is stopped, and its registers are roots", "[gc][stop]") {
  SignalHeap heap;
  std::atomic<int> stage{0};
  long wrong = 0;
  std::thread spinner([&] {
    Node* node = make<Node>();
    node->value = 4711;
    node->left = make<Node>();
    node->left->value = 4712;
    stage = 1;
    // Nothing but loads: the pointer may be in a register alone.
    while (stage.load() != 2) {
      if (node->value != 4711 || node->left->value != 4712) ++wrong;
    }
  });
  while (stage != 1) std::this_thread::yield();
  for (int i = 0; i < 20; ++i) {
    collect_without_delay();
    for (int k = 0; k < 1000; ++k) make<Node>();  // reuses what was freed
  }
  stage = 2;
  spinner.join();
  CHECK(wrong == 0);
}

TEST_CASE("a thread in read() is stopped, and the read goes on", "[gc][stop]") {
  SignalHeap heap;
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  std::atomic<bool> reading{false};
  ssize_t got = -2;
  long value = 0;
  std::thread reader([&] {
    Node* node = make<Node>();
    node->value = 99;
    char byte = 0;
    reading = true;
    got = ::read(ends[0], &byte, 1);
    value = node->value;
  });
  while (!reading) std::this_thread::yield();
  for (int i = 0; i < 10; ++i) collect_without_delay();
  REQUIRE(::write(ends[1], "x", 1) == 1);
  reader.join();
  CHECK(got == 1);  // not -1 with EINTR: SA_RESTART
  CHECK(value == 99);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("a thread that waits for a mutex of a stopped one delays nothing", "[gc][stop]") {
  SignalHeap heap;
  std::mutex mutex;
  std::atomic<int> stage{0};
  std::thread waiter;
  std::thread holder([&] {
    make<Node>();
    const std::lock_guard guard(mutex);
    stage = 1;
    while (stage.load() != 3) {
    }
  });
  while (stage != 1) std::this_thread::yield();
  waiter = std::thread([&] {
    Node* node = make<Node>();
    stage = 2;
    const std::lock_guard guard(mutex);
    node->value = 1;
  });
  while (stage != 2) std::this_thread::yield();
  for (int i = 0; i < 10; ++i) collect_without_delay();
  stage = 3;
  holder.join();
  waiter.join();
}

TEST_CASE("a signal of that number that is not ours reaches the handler before us", "[gc][stop]") {
  static std::atomic<int> seen{0};
  const auto result = gort_test::in_child([] {
    struct sigaction action {};
    action.sa_handler = [](int) { ++seen; };
    ::sigaction(SIGUSR2, &action, nullptr);
    gc::CollectorOptions options;
    options.stop_signal = SIGUSR2;
    gc::collector.start(options);
    std::atomic<int> stage{0};
    std::thread spinner([&] {
      make<Node>();
      stage = 1;
      while (stage.load() != 2) {
      }
    });
    while (stage != 1) {
    }
    for (int i = 0; i < 5; ++i) gc::collector.collect(gc::CycleReason::forced, true);
    const int by_us = seen;
    ::kill(::getpid(), SIGUSR2);
    while (seen == by_us) {
    }
    stage = 2;
    spinner.join();
    gc::collector.shutdown();
    if (by_us != 0 || seen != 1) std::abort();
  });
  CHECK(result.exit_code == 0);
  CHECK(result.signal == 0);
}

TEST_CASE("allocating threads are stopped between any two instructions", "[gc][stop]") {
  // Two threads build and check lists while a third does nothing but stop them. Every list is
  // checked word by word; verify looks at the marks, poison shows what was freed too early.
  SignalHeap heap;
  std::atomic<bool> stop{false};
  std::atomic<long> wrong{0};
  std::atomic<long> lists{0};
  auto build = [&] {
    while (!stop) {
      Node* head = nullptr;
      for (long i = 0; i < 2000; ++i) {
        Node* node = make<Node>();
        node->value = i;
        node->left = head;
        node->right = make<Node>();
        node->right->value = -i;
        char* text = make_array<char>(static_cast<std::size_t>(i % 13 + 1));
        for (long k = 0; k <= i % 13; ++k) wrong += text[k] != 0;
        head = node;
      }
      long expected = 1999;
      for (const Node* n = head; n != nullptr; n = n->left, --expected) {
        wrong += n->value != expected || n->right->value != -expected;
      }
      wrong += expected != -1;
      ++lists;
    }
  };
  std::thread a(build);
  std::thread b(build);
  const std::uint64_t before = counters.cycles.load_relaxed();
  for (int i = 0; i < 100 || lists < 4; ++i) heap.collect();
  for (int i = 0; i < 2000; ++i) gc::with_world_stopped([] {});
  stop = true;
  a.join();
  b.join();
  CHECK(wrong == 0);
  CHECK(counters.cycles.load_relaxed() >= before + 100);
}

// The region may be that of a handler's barrier, and what the handler interrupted a fast path.
TEST_CASE("who leaves a runtime region for a stop counts as interrupted", "[gc][stop]") {
  SignalHeap heap;
  std::atomic<int> stage{0};
  gc::Thread* leaving = nullptr;
  std::thread thread([&] {
    leaving = &gc::world.attach();
    gc::World::enter_runtime(*leaving);
    stage = 1;
    while (!gc::world.stop_requested()) {
    }
    gc::world.leave_runtime(*leaving);
  });
  while (stage != 1) std::this_thread::yield();
  bool interrupted = false;
  gc::with_world_stopped([&] { interrupted = leaving->interrupted; });
  thread.join();
  CHECK(interrupted);
}

#endif
