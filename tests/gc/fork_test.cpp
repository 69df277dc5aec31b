// A child of fork can use the heap, whatever the other threads were doing. Each child has a bound
// in time: what these tests look for shows as a hang.
//
// Under AddressSanitizer it is not quite "whatever". The C library takes the locks of its malloc
// over a fork; the sanitizer's runtime (of gcc 12 and clang 14) does not do so with those of its
// own, so a thread that is inside malloc at the fork leaves them locked in the child for ever. A
// thread that is starting is inside malloc: the sanitizer asks for its stack's limits, which calls
// calloc. So before they fork, these tests wait until all threads, the runtime's too, have begun.

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include <pthread.h>
#include <unistd.h>

#include <gort/base/counters.h>
#include <gort/gc/cleanup.h>
#include <gort/gc/weak.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/support/child.h>

#if !GORT_TSAN  // it ends the child of a process that has threads

using namespace gort;
using gort_test::Node;

namespace {

// The program's handler, which has been registered before any start(): it comes before ours.
void (*first_in_child)() = nullptr;
[[maybe_unused]] const int registered = ::pthread_atfork(nullptr, nullptr, [] {
  if (first_in_child != nullptr) first_in_child();
});

// Lists that are checked as they grow; 0 if all is well.
long build_and_check(int rounds) {
  long wrong = 0;
  for (int round = 0; round < rounds; ++round) {
    Node* head = nullptr;
    for (long i = 0; i < 500; ++i) {
      Node* node = make<Node>();
      wrong += node->left != nullptr || node->value != 0;
      node->left = head;
      node->value = i;
      head = node;
      char* text = make_array<char>(static_cast<std::size_t>(i % 40 + 1));
      for (long k = 0; k <= i % 40; ++k) wrong += text[k] != 0;
      text[0] = 'x';
    }
    long expected = 499;
    for (const Node* n = head; n != nullptr; n = n->left) wrong += n->value != expected--;
    wrong += expected != -1;
  }
  return wrong;
}

// The child runs f() and exits with what it returns, or dies of SIGALRM.
template <class F>
int child(F&& f) {
  const gort_test::ChildResult result = gort_test::in_child([&f] {
    ::alarm(60);
    ::_exit(static_cast<int>(f()));
  });
  std::fputs(result.errors.c_str(), stderr);
  return result.signal == 0 ? result.exit_code : 1000 + result.signal;
}

void collect() { gc::collector.collect(gc::CycleReason::forced, true); }

struct Mourned {
  Ref<Node> node;
  static std::atomic<int> dead;
  ~Mourned() { ++dead; }
  GORT_FIELDS(Mourned, node);
};
std::atomic<int> Mourned::dead{0};

// Ten die, if not at once; when the first has, the threads are there.
void begin_threads_of_runtime() {
  Mourned::dead = 0;
  for (int i = 0; i < 10; ++i) make<Mourned>();
  for (int i = 0; Mourned::dead == 0 && i < 1000; ++i) collect();
}

}  // namespace

#if !GORT_ASAN  // threads are stopped inside malloc, which is also the runtime's own there
TEST_CASE("children work while two threads allocate and collections run", "[gc][fork]") {
  gc::collector.start(gort_test::with_signals());
  std::atomic<bool> stop{false};
  std::atomic<long> wrong{0};
  auto work = [&] {
    while (!stop) {
      wrong += build_and_check(1);
      std::vector<Root<Node>> some(20, make<Node>());
      Weak<Node> weak(some[3].get());
      make<Mourned>();
      std::vector<char> malloced(1000);  // the C library's locks are busy, too
      wrong += weak.get() != some[4].get();
    }
  };
  std::thread a(work);
  std::thread b(work);
  std::thread c([&] {
    gc::world.attach();
    while (!stop) collect();
  });
  Root<Node> kept(make<Node>());
  kept->value = 31;
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t cycles = counters.cycles.load_relaxed();
    const int result = child([&] {
      if (gc::world.thread_count() != 1) return 2L;
      long bad = build_and_check(3);
      collect();
      bad += build_and_check(1);
      collect();
      if (counters.cycles.load_relaxed() < cycles + 2) return 3L;
      if (kept->value != 31) return 4L;
      std::thread t([&] { bad += build_and_check(2); });  // and threads of its own
      t.join();
      if (i % 10 == 0) gc::collector.shutdown();
      return bad == 0 ? 0L : 5L;
    });
    REQUIRE(result == 0);
  }
  stop = true;
  a.join();
  b.join();
  c.join();
  CHECK(wrong == 0);
  CHECK(kept->value == 31);
  kept = nullptr;
  gc::collector.shutdown();
}
#endif

TEST_CASE("a child collects by itself when its heap grows", "[gc][fork]") {
  gc::collector.start(gort_test::with_signals());
  build_and_check(100);
  collect();  // the collector's thread has begun
  const std::uint64_t cycles = counters.cycles.load_relaxed();
  CHECK(child([&] {
          const long bad = build_and_check(3000);
          return bad == 0 && counters.cycles.load_relaxed() > cycles + 2 ? 0 : 1;
        }) == 0);
  gc::collector.shutdown();
}

// The program's part of that is most of its time: it holds up no fork.
TEST_CASE("what another thread was zeroing is free memory in the child", "[gc][fork]") {
  gc::collector.start(gort_test::with_signals());
  constexpr std::size_t kBytes = std::size_t{96} << 20;
  // Pages that are in no span; a thread's cache holds no more than half a megabyte.
  static const auto without_span = [] {
    return alloc::heap.pages.used() - alloc::heap.span_bytes();
  };
  static bool zeroing_at_fork = false;
  first_in_child = [] { zeroing_at_fork = without_span() >= kBytes; };
  std::atomic<bool> stop{false};
  std::thread zeroing([&] {
    while (!stop) {
      char* const bytes = make_array<char>(kBytes);
      for (std::size_t i = 0; i < kBytes; i += 4096) bytes[i] = 1;
    }
    gc::world.detach();
  });
  // The thread goes on until the fork stops it, so it may be done by then.
  constexpr int kZeroing = 2;
  int hits = 0;
  for (int i = 0; i < 1000 && hits < 5; ++i) {
    // The two counts are read one after the other: a small difference is none.
    while (without_span() < kBytes || without_span() > 2 * kBytes) std::this_thread::yield();
    const int result = child([&] {
      collect();
      collect();
      const bool ok = without_span() < (std::size_t{1} << 20) &&
                      alloc::heap.heap_live.load_relaxed() < (std::size_t{1} << 20);
      return !ok ? 1 : zeroing_at_fork ? kZeroing : 0;
    });
    CHECK((result == 0 || result == kZeroing));
    if (result == kZeroing) ++hits;
  }
  CHECK(hits > 0);
  first_in_child = nullptr;
  stop = true;
  gort_test::while_blocking([&] { zeroing.join(); });
  gc::collector.shutdown();
}

TEST_CASE("a cycle that has been asked for by a thread that is gone", "[gc][fork]") {
  // The collector is kept busy by threads that ask all the time.
  gc::collector.start(gort_test::with_signals());
  std::atomic<bool> stop{false};
  std::atomic<int> begun{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      gc::world.attach();
      collect();
      ++begun;
      while (!stop) collect();
    });
  }
  while (begun < 3) std::this_thread::yield();
  for (int i = 0; i < 30; ++i) {
    REQUIRE(child([] {
              collect();
              return build_and_check(2);
            }) == 0);
  }
  stop = true;
  for (std::thread& t : threads) t.join();
  gc::collector.shutdown();
}

TEST_CASE("a thread that is not attached, and one in a Blocking region, may fork", "[gc][fork]") {
  gc::collector.start(gort_test::with_signals());
  make<Node>();
  int outside = -1;
  std::thread([&] { outside = child([] { return build_and_check(2); }); }).join();
  CHECK(outside == 0);
  gc::Thread& self = gc::world.attach();
  gc::world.enter_blocking(self);
  const int blocking = child([&] {
    gc::world.leave_blocking(self);
    collect();
    return build_and_check(2);
  });
  // Still parked: a collection does not wait for this thread.
  std::thread([] {
    gc::world.attach();
    collect();
  }).join();
  gc::world.leave_blocking(self);
  CHECK(blocking == 0);
  CHECK(gc::world.thread_count() == 1);
  gc::collector.shutdown();
}

// The fork runs through handlers that stop the world and may park, which records the stack anew.
TEST_CASE("what a Blocking region's frames held in registers is known after a fork in it",
          "[gc][fork]") {
  const gort_test::SignalHeap heap;
  gc::Thread& self = gc::world.attach();
  gc::world.enter_blocking(self);
  const gc::StackRecord before = self;
  const auto as_before = [&] {
    return self.state.load_relaxed() == gc::Thread::parked &&
           self.stack_pointer == before.stack_pointer &&
           self.alternate_high == before.alternate_high && self.kept_words == before.kept_words &&
           std::equal(self.kept, self.kept + self.kept_words, before.kept) &&
           std::equal(std::begin(self.registers), std::end(self.registers), before.registers);
  };
  const int in_child = child([&] { return as_before() ? 0 : 1; });
  const bool in_parent = as_before();
  gc::world.leave_blocking(self);
  CHECK(in_child == 0);
  CHECK(in_parent);
}

TEST_CASE("destructors run in the child, and in the parent", "[gc][fork]") {
  gc::collector.start(gort_test::with_signals());
  begin_threads_of_runtime();
  const int before = Mourned::dead;
  CHECK(child([&] {
          Mourned::dead = before;
          for (int i = 0; i < 100; ++i) make<Mourned>();
          collect();
          // On the child's own thread for cleanups: this one runs none before the shutdown. A few
          // may be kept by stale words on the stack.
          while (Mourned::dead < before + 50) std::this_thread::yield();
          gc::collector.shutdown();
          return Mourned::dead >= 100 ? 0 : 1;
        }) == 0);
  gc::collector.shutdown();
  CHECK(Mourned::dead == 10);
}

TEST_CASE("a cleanup may fork", "[gc][fork]") {
  gc::collector.start(gort_test::with_signals());
  begin_threads_of_runtime();
  static std::atomic<int> result{-1};
  result = -1;
  add_cleanup(make<Node>(), [] {
    result = child([] {
      collect();
      return build_and_check(2);
    });
  });
  for (int i = 0; i < 50 && result < 0; ++i) {
    build_and_check(1);
    collect();
    run_cleanups();
  }
  gc::collector.shutdown();
  CHECK(result == 0);
}

TEST_CASE("a fork handler that uses the heap before ours has let it go is told so", "[gc][fork]") {
  for (void (*const handler)() : {+[] { build_and_check(100); }, +[] { collect(); },
                                  +[] { gc::with_world_stopped([] {}); }}) {
    const gort_test::ChildResult result = gort_test::in_child([handler] {
      static void (*uses_heap)() = nullptr;
      uses_heap = handler;
      gc::collector.start(gort_test::with_signals());
      collect();     // so that the child takes the collector's thread to be there
      make<Node>();  // its layout is known then: debug builds would complain of that lock first
      first_in_child = [] {
        ::alarm(20);
        uses_heap();
      };
      ::_exit(child([] { return 0; }) == 1000 + SIGABRT ? 0 : 1);
    });
    CHECK(result.exit_code == 0);
    CHECK(result.errors.find("after gort::start()") != std::string::npos);
  }
}

TEST_CASE("threads that stop at polls alone are parked over a fork", "[gc][fork]") {
  gort_test::ExactHeap heap;
  heap.collect();  // the collector's thread has begun
  std::atomic<bool> stop{false};
  std::atomic<bool> begun{false};
  std::thread a([&] {
    while (!stop) {
      Root<Node> node(make<Node>());
      node->left = make<Node>();
      begun = true;
    }
  });
  while (!begun) std::this_thread::yield();
  for (int i = 0; i < 30; ++i) {
    REQUIRE(child([&] {
              heap.collect();
              Root<Node> node(make<Node>());
              heap.collect();
              return 0;
            }) == 0);
  }
  stop = true;
  gort_test::join(a);  // a collection that it asks for must not wait for us
}

#endif
