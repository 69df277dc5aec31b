#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iterator>
#include <thread>
#include <vector>

#include <unistd.h>

#include <gort/base/counters.h>
#include <gort/base/os.h>
#include <gort/gc/cleanups.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/support/child.h>
#include <gort/tests/support/eventually.h>

using namespace gort;
using gort_test::Node;

namespace {

// A thread's work: lists that grow and are dropped, checked as they go.
long build_and_check(int rounds) {
  long errors = 0;
  for (int round = 0; round < rounds; ++round) {
    Root<Node> head;
    for (long i = 0; i < 1000; ++i) {
      Node* node = make<Node>();
      node->left = head.get();
      node->value = i;
      head = node;
    }
    long expected = 999;
    for (const Node* n = head; n != nullptr; n = n->left) errors += n->value != expected--;
    errors += expected != -1;
  }
  return errors;
}

}  // namespace

TEST_CASE("threads allocate and collect together", "[gc][world]") {
  gort_test::ExactHeap heap;
  const std::uint64_t cycles = counters.cycles.load_relaxed();
  std::atomic<long> errors{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) threads.emplace_back([&] { errors += build_and_check(200); });
  gort_test::join(threads);  // this thread must not hold a collection up
  CHECK(errors == 0);
  CHECK(counters.cycles.load_relaxed() > cycles);
  heap.collect();
  CHECK(heap.objects() == 0);
}

TEST_CASE("a thread that allocates is attached, and detached when it ends", "[gc][world]") {
  gort_test::ExactHeap heap;
  const std::size_t before = gc::world.thread_count();
  std::size_t during = 0;
  bool attached_at_first = true;
  std::thread([&] {
    attached_at_first = gc::World::current() != nullptr;
    make<Node>();
    during = gc::world.thread_count();
  }).join();
  CHECK_FALSE(attached_at_first);
  CHECK(during == before + 1);
  CHECK(gc::world.thread_count() == before);
}

TEST_CASE("a thread that ends leaves its slots to others", "[gc][world]") {
  gort_test::ExactHeap heap;
  Root<Node> kept;
  std::thread([&] { kept = make<Node>(); }).join();
  const alloc::Span* span = alloc::span_of(kept.get());
  CHECK_FALSE(span->in_cache);
  CHECK(span->allocated == 1);
}

TEST_CASE("a blocked thread's roots on its stack are scanned", "[gc][world]") {
  gc::CollectorOptions options;
  options.poison = true;
  gc::collector.start(options);
  std::atomic<int> stage{0};
  long seen = 0;
  std::thread sleeper([&] {
    Node* volatile local = make<Node>();
    local->value = 1234;
    gort_test::while_blocking([&stage] {
      stage = 1;
      while (stage != 2) std::this_thread::yield();
    });
    seen = local->value;
  });
  while (stage != 1) std::this_thread::yield();
  for (int i = 0; i < 3; ++i) gc::collector.collect(gc::CycleReason::forced, true);
  stage = 2;
  sleeper.join();
  CHECK(seen == 1234);
  gc::collector.shutdown();
}

TEST_CASE("threads come and go while others collect", "[gc][world]") {
  gort_test::ExactHeap heap;
  std::atomic<bool> stop{false};
  std::thread collecting([&] {
    gc::world.attach();
    while (!stop) heap.collect();
  });
  long errors = 0;
  gort_test::while_blocking([&] {
    for (int i = 0; i < 50; ++i) {
      std::atomic<long> inner{0};
      std::thread a([&] { inner += build_and_check(2); });
      std::thread b([&] { inner += build_and_check(2); });
      a.join();
      b.join();
      errors += inner;
    }
    stop = true;
    collecting.join();
  });
  CHECK(errors == 0);
}

TEST_CASE("nobody leaves a Blocking region while the world is stopped", "[gc][world]") {
  gort_test::ExactHeap heap;
  Atomic<std::uint64_t> steps{0};
  Atomic<bool> end{false};
  std::thread other([&] {
    gc::Thread& self = gc::world.attach();
    while (!end.load_relaxed()) {
      gc::world.enter_blocking(self);
      gc::world.leave_blocking(self);
      steps.owner_add_relaxed(1);
    }
    gc::world.detach();
  });
  int moved = 0;
  for (int i = 0; i < 20'000 || steps.load_relaxed() == 0; ++i) {
    for (int k = 0; k < i % 512; ++k) compiler_barrier();  // so that it is anywhere in its round
    gc::with_world_stopped([&] {
      const std::uint64_t before = steps.load_relaxed();
      for (int k = 0; k < 200; ++k) {
        if (steps.load_relaxed() != before) ++moved;
      }
    });
  }
  end.store_relaxed(true);
  gort_test::join(other);
  CHECK(moved == 0);
}

// Whatever the thread does in it, what its frames held when it was entered is known afterwards, and
// nobody waits for the thread.
TEST_CASE("a blocking region goes on after the thread has stopped the world in it", "[gc][world]") {
  const gort_test::ChildResult child = gort_test::in_child([] {
    ::alarm(60);
    gc::collector.start(gort_test::with_signals());
    gc::Thread& self = gc::world.attach();
    gc::world.enter_blocking(self);
    const gc::StackRecord before = self;
    const auto check = [&](int what) {
      if (self.state.load_relaxed() != gc::Thread::parked || !self.blocking.load_relaxed() ||
          self.stack_pointer != before.stack_pointer || self.kept_words != before.kept_words ||
          !std::equal(self.kept, self.kept + self.kept_words, before.kept) ||
          !std::equal(std::begin(self.registers), std::end(self.registers), before.registers)) {
        ::_exit(what);
      }
    };
    gc::collector.collect(gc::CycleReason::forced, true);
    check(1);
    gc::with_world_stopped([] {});
    check(2);
    gc::cleanups.run();
    check(3);
    std::atomic<bool> done{false};
    std::thread other([&done] {
      gc::world.attach();
      for (int i = 0; i < 1000; ++i) gc::with_world_stopped([] {});
      gc::world.detach();
      done = true;
    });
    while (!done) gc::world.poll(self);
    check(4);
    other.join();
    gc::world.leave_blocking(self);
    gc::collector.shutdown();
  });
  CHECK(child.signal == 0);
  CHECK(child.exit_code == 0);
}

TEST_CASE("the world goes on when nobody helps any more", "[gc][world]") {
  if (os::processors() < 2) {
    WARN("not tested: one processor, nobody is awake in a stop");
    return;
  }
  gort_test::ExactHeap heap;
  static std::atomic<bool> helping{false};
  static std::atomic<bool> dismissed{false};
  static std::atomic<bool> too_early{false};
  helping = dismissed = too_early = false;
  std::atomic<bool> end{false};
  std::thread other([&end] {
    gc::Thread& self = gc::world.attach();
    while (!end) gc::world.poll(self);
    gc::world.detach();
  });
  while (gc::world.thread_count() < 2) std::this_thread::yield();
  // Who is stopped helps if it is awake, which it is for a while if it has a processor.
  const bool helped = gort_test::eventually(std::chrono::seconds(30), [] {
    gc::with_world_stopped([] {
      gc::world.call_help([](gc::Thread&) {
        helping = true;
        for (int ms = 0; ms < 50 && !dismissed; ++ms) {
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        too_early = dismissed.load();
      });
      for (int spin = 0; spin < 1000 && !helping; ++spin) compiler_barrier();
      gc::world.dismiss_help();
      dismissed = helping.load();
    });
    return helping.load();
  });
  end = true;
  gort_test::join(other);
  REQUIRE(helped);
  CHECK_FALSE(too_early);
}

TEST_CASE("allocation before the start says what to do", "[gc][world]") {
  CHECK_THROWS_WITH(make<Node>(), Catch::Contains("gort::start()"));
}
