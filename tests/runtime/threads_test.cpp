#include <catch2/catch.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include <gort/alloc/heap.h>
#include <gort/gc/collector.h>
#include <gort/gc/world.h>
#include <gort/tests/runtime/fixture.h>

// Threads come and go: whatever they were doing, nothing of theirs stays behind.

using namespace gort;
using gort_test::make_list;
using gort_test::quiet;
using gort_test::Runtime;
using gort_test::wrong_in;
using Node = gort_test::ListNode;

namespace {

// A meeting place that threads wait at with a lock of the C++ library.
class Gate {
 public:
  void open() {
    const std::lock_guard guard(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [this] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

// Shared lists that some fill and some empty.
struct Board {
  std::mutex mutex;
  Root<Node> lists[8];
  long wrong = 0;

  // The wait for it delays no collection; who holds it touches references, and so is not Blocking.
  std::unique_lock<std::mutex> locked() {
    const Blocking blocking;
    return std::unique_lock(mutex);
  }
  void put(std::size_t at, const Root<Node>& list) {
    const auto guard = locked();
    lists[at] = list;
  }
  Root<Node> take(std::size_t at) {
    const auto guard = locked();
    Root<Node> list = lists[at];
    lists[at] = nullptr;
    return list;
  }
};

void allocate_only(Board&, std::size_t) {
  for (std::size_t i = 0; i < 3000; ++i) {
    make_array<char>(i % 700 + 1);
    if (i % 1000 == 0) make_array<char>(50'000);
    make<Node>();
  }
}
void leave_to_others(Board& board, std::size_t i) {
  for (std::size_t k = 0; k < 10; ++k) board.put((i + k) % 8, make_list(200));
}
// All that this thread does is to drop what others have made.
void free_only(Board& board, std::size_t i) {
  for (std::size_t k = 0; k < 20; ++k) {
    const Root<Node> list = board.take((i + k) % 8);
    const long wrong = list.get() == nullptr ? 0 : wrong_in(list, 200);
    const auto guard = board.locked();
    board.wrong += wrong;
  }
}

std::size_t caches() {
  std::size_t n = 0;
  gc::with_world_stopped([&n] { alloc::heap.for_each_cache([&n](alloc::ThreadCache&) { ++n; }); });
  return n;
}

}  // namespace

TEST_CASE("64 threads come and go and leave nothing behind", "[runtime][threads]") {
  Runtime runtime(quiet());
  collect();  // the collector's own thread is there
  const std::size_t caches_before = caches();
  {
    Board board;
    Gate end;
    std::atomic<std::size_t> asleep{0};
    std::vector<std::thread> sleepers;
    std::vector<std::thread> others;
    for (std::size_t i = 0; i < 64; ++i) {
      if (i % 4 == 0) {
        // Attached, with objects of several sizes and spans in its cache; then it only sleeps.
        sleepers.emplace_back([&board, &end, &asleep, i] {
          const AttachThread attach;
          allocate_only(board, i);
          const Blocking blocking;
          ++asleep;
          end.wait();
        });
      } else {
        others.emplace_back([&board, i] {
          const AttachThread attach;
          (i % 4 == 1 ? allocate_only : i % 4 == 2 ? leave_to_others : free_only)(board, i);
        });
      }
      if (i % 16 == 15) collect();
    }
    {
      const Blocking blocking;
      for (std::thread& t : others) t.join();
      while (asleep < sleepers.size()) std::this_thread::yield();
    }
    CHECK(board.wrong == 0);
    for (Root<Node>& list : board.lists) list = nullptr;
    // The sleepers hold nothing back: neither slots nor a collection.
    collect();
    const Ledger l = ledger();
    CHECK(l[Place::live] == 0);
    CHECK(l[Place::span_free] == 0);
    CHECK(alloc::heap.span_count() == 0);
    end.open();
    const Blocking blocking;
    for (std::thread& t : sleepers) t.join();
  }
  CHECK(gc::world.thread_count() == 1);
  CHECK(caches() == caches_before);
  release_os_memory();
  const Ledger l = ledger();
  CHECK(l[Place::page_free] == 0);
  CHECK(mem_stats().HeapInuse == 0);
  CHECK(mem_stats().HeapObjects == 0);
}

#if !GORT_ASAN && !GORT_TSAN  // no signals there: a sleeper must be in a Blocking region
TEST_CASE("a thread that sleeps without a word keeps one slot a class, until it ends",
          "[runtime][threads]") {
  Runtime runtime({.background_scavenger = false});
  Gate end;
  std::atomic<bool> asleep{false};
  std::thread sleeper([&] {
    const AttachThread attach;
    for (int i = 0; i < 10'000; ++i) {
      make_array<char>(64);
      make_array<char>(400);
    }
    asleep = true;
    end.wait();
  });
  while (!asleep) std::this_thread::yield();
  for (int i = 0; i < 3; ++i) collect();
  // Stopped by signal, it may have been about to take the slot at its bump pointer, so that stays
  // (thread_cache.h, "Stops"); and its stack may still point at some of its objects.
  CHECK(ledger()[Reason::cached_by_thread] <= 64 + 416);
  CHECK(alloc::heap.span_count() <= 8);
  end.open();
  sleeper.join();
  collect();
  const Ledger l = ledger();
  CHECK(l[Reason::cached_by_thread] == 0);
  CHECK(l[Reason::span_in_cache] == 0);
}
#endif

TEST_CASE("a thread that ends in the middle of a run gives the rest of it back",
          "[runtime][threads]") {
  Runtime runtime(quiet());
  Root<Node> kept;
  for (int i = 0; i < 200; ++i) {
    std::thread([&kept] {
      const AttachThread attach;
      Root<Node> node(make<Node>());
      node->next = kept.get();
      kept = node;
    }).join();
  }
  // Each took its slot beside those of the threads before it.
  collect();
  CHECK(alloc::heap.span_count() == 1);
  CHECK(mem_stats().HeapObjects == 200);
}
