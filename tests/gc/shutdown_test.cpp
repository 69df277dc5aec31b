// The end of a heap while the threads of the collector are at work.

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <thread>

#include <unistd.h>

#include <gort/gc/cleanup.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/support/child.h>

using namespace gort;

namespace {

std::atomic<gc::Thread*> ending{nullptr};
std::atomic<bool> marking{false};
std::atomic<bool> dying{false};
std::atomic<int> destroyed{0};
bool collects = false;  // so a Parent does

struct Child {
  long value = 0;
  ~Child() { ++destroyed; }
  GORT_POINTER_FREE();
};

struct Parent {
  long value = 0;
  ~Parent() {
    dying = true;
    if (collects) {
      gc::collector.collect(gc::CycleReason::forced, true);
    } else {  // whoever does not wait for this gets far meanwhile
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    make<Child>();
    ++destroyed;
  }
  GORT_POINTER_FREE();
};

// Marking has begun when the shutdown begins, and finds a Parent dead, whose destructor runs when
// the shutdown goes on.
void hold_cycle(gc::Phase phase) {
  if (phase == gc::Phase::marking_started) {
    marking = true;
    // Until it waits for the end of this cycle, which one look does not show.
    for (int asleep = 0; asleep < 1000; std::this_thread::yield()) {
      const gc::Thread* const thread = ending;
      asleep = thread != nullptr && thread->blocking.load_relaxed() ? asleep + 1 : 0;
    }
  }
  if (phase == gc::Phase::swept) {
    while (!dying) std::this_thread::yield();
    // Until it has asked for the next cycle, if it collects.
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

// In a child process.
void shut_down_in_cycle() {
  ::alarm(60);
  gc::CollectorOptions options;
  options.conservative_stacks = false;
  options.on_phase = hold_cycle;
  gc::collector.start(options);
  gc::Thread& self = *gc::World::current();
  make<Parent>();
  make_array<char>(gc::kMinimumHeap);  // asks for a cycle, and does not wait for it
  while (!marking) gc::world.poll(self);
  ending = &self;
  gc::collector.shutdown();
  ::_exit(destroyed);
}

}  // namespace

TEST_CASE("what a destructor makes that a shutdown finds running is destroyed", "[gc][cleanup]") {
  collects = false;
  const gort_test::ChildResult child = gort_test::in_child(shut_down_in_cycle);
  CHECK(child.signal == 0);
  CHECK(child.exit_code == 2);
}

TEST_CASE("a destructor that a shutdown finds running may collect", "[gc][cleanup]") {
  collects = true;
  const gort_test::ChildResult child = gort_test::in_child(shut_down_in_cycle);
  CHECK(child.signal == 0);
  CHECK(child.exit_code == 2);
}
