#pragma once

#include <catch2/catch.hpp>

#include <csignal>
#include <cstdint>
#include <thread>
#include <vector>

#include <gort/alloc/heap.h>
#include <gort/gc/allocate.h>
#include <gort/gc/collector.h>
#include <gort/gc/ref.h>
#include <gort/gc/root.h>

namespace gort_test {

/// Options of a heap as users have it (stacks are scanned, threads are stopped by signal), checked.
inline gort::gc::CollectorOptions with_signals() {
  gort::gc::CollectorOptions options;
  options.stop_signal = SIGURG;
  options.verify = true;
  options.poison = true;
  return options;
}

/// Such a heap for a scope.
struct SignalHeap {
  explicit SignalHeap(const gort::gc::CollectorOptions& options = with_signals()) {
    gort::gc::collector.start(options);
  }
  ~SignalHeap() { gort::gc::collector.shutdown(); }
  static void collect() { gort::gc::collector.collect(gort::gc::CycleReason::forced, true); }
};

/// Objects that were allocated and not freed since the process began, of heaps that are gone.
inline std::uint64_t unfreed_objects() {
  using namespace gort::alloc;
  std::uint64_t n = 0;
  for (std::size_t c = 0; c < span_class_limit(); ++c) {
    const auto span_class = static_cast<SpanClass>(c);
    n += heap.allocated_objects(span_class) - heap.freed_objects(span_class);
  }
  return n;
}

/// f(), in which the calling thread touches no reference: no collection waits for it.
template <class F>
void while_blocking(F&& f) {
  gort::gc::Thread& self = gort::gc::world.attach();
  gort::gc::world.enter_blocking(self);
  f();
  gort::gc::world.leave_blocking(self);
}

inline void join(std::vector<std::thread>& threads) {
  while_blocking([&threads] {
    for (std::thread& thread : threads) thread.join();
  });
}
inline void join(std::thread& thread) {
  while_blocking([&thread] { thread.join(); });
}

/// A heap whose only roots are Root<T>: what a test does not root is garbage, exactly.
struct ExactHeap {
  explicit ExactHeap(gort::gc::CollectorOptions options = {}) {
    options.conservative_stacks = false;
    options.verify = true;
    options.poison = true;
    gort::gc::collector.start(options);
  }
  ~ExactHeap() {
    gort::gc::collector.shutdown();
    CHECK(unfreed_objects() == 0);
  }
  static void collect() { gort::gc::collector.collect(gort::gc::CycleReason::forced, true); }
  /// Objects that are allocated now.
  static std::uint64_t objects() {
    std::uint64_t n = 0;
    gort::gc::with_world_stopped([&n] {
      using namespace gort::alloc;
      n = unfreed_objects();
      for (std::size_t c = 0; c < span_class_limit(); ++c) {
        heap.for_each_cache(
            [&](ThreadCache& cache) { n += cache.uncounted(static_cast<SpanClass>(c)); });
      }
    });
    return n;
  }
};

// Of its own: other rooms' tests, which use this fixture too, have a Node that is another one.
inline namespace heap_fixture {

struct Node {
  gort::Ref<Node> left, right;
  long value = 0;
  GORT_FIELDS(Node, left, right);
};

}  // namespace heap_fixture
}  // namespace gort_test
