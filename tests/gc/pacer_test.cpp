#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include <gort/base/units.h>
#include <gort/gc/pacer.h>

// The pacer's functions in a simulated heap: a program that allocates at some rate, one thread that
// marks beside it, and assists as the collector takes them. No threads, no clock: the unit of time
// is what the marking thread needs for one byte.

using namespace gort;
using namespace gort::gc;

namespace {

struct Program {
  double rate = 0.2;          ///< bytes allocated while one byte is marked
  std::size_t live = 64_MiB;  ///< bytes reachable at the begin of the cycle
  std::int64_t gc_percent = 100;
  std::size_t memory_limit = kNoLimit;
};

struct Result {
  std::size_t goal;      ///< that the cycle had to keep
  std::size_t heap_end;  ///< when it had marked
  std::size_t traced;
  std::size_t assisted;
  double over() const {  // what the heap was over its goal, as a share
    return goal == 0 ? 0 : static_cast<double>(heap_end) / static_cast<double>(goal) - 1;
  }
  double assists() const {
    return static_cast<double>(assisted) / static_cast<double>(std::max<std::size_t>(traced, 1));
  }
};

class Heap {
 public:
  explicit Heap(const Program& program) { update_goal(program); }

  Result cycle(const Program& program) {
    const std::size_t goal = goal_;
    std::size_t heap = std::max(marked_, trigger_);
    // What is reachable is in the heap.
    const std::size_t to_trace = std::min(program.live, heap);
    const std::size_t heap_start = heap;
    std::size_t traced = 0;
    std::size_t assisted = 0;
    std::int64_t credit = 0;
    std::int64_t debt = 0;
    double time = 0;  // of the program's, not spent yet
    while (traced < to_trace) {
      constexpr std::size_t kStep = std::size_t{32} << 10;
      traced += kStep;
      credit += kStep;
      const std::uint64_t ratio =
          assist_ratio(left_to_mark(marked_, traced), goal > heap ? goal - heap : 0);
      time += static_cast<double>(kStep);
      while (time > 0) {
        if (heap > hard_limit(goal)) {
          traced += static_cast<std::size_t>(time);
          assisted += static_cast<std::size_t>(time);
          time = 0;
          break;
        }
        constexpr std::size_t kRun = std::size_t{16} << 10;
        heap += kRun;
        time -= kRun / program.rate;
        debt += static_cast<std::int64_t>(kRun * ratio / kAssistUnit);
        const std::int64_t used = std::min(credit, debt);
        credit -= used;
        debt -= used;
        if (debt < std::int64_t{16} << 10) continue;
        const auto help = static_cast<std::size_t>(std::min<std::int64_t>(debt, 65536));
        debt = 0;
        traced += help;
        assisted += help;
        time -= static_cast<double>(help);
      }
    }
    // Born marked: what was allocated since the start.
    marked_ = to_trace + (heap - heap_start);
    runway_ = mark_runway(heap - heap_start, to_trace, assisted, marked_);
    update_goal(program);
    return {goal, heap, to_trace, assisted};
  }
  std::size_t goal() const { return goal_; }
  std::size_t trigger() const { return trigger_; }
  std::size_t marked() const { return marked_; }

 private:
  void update_goal(const Program& program) {
    PacerInput in;
    in.marked = marked_;
    in.gc_percent = program.gc_percent;
    in.memory_limit = program.memory_limit;
    goal_ = heap_goal(in);
    trigger_ = heap_trigger(marked_, goal_, runway_);
  }

  std::size_t marked_ = 0;
  std::size_t runway_ = 0;
  std::size_t goal_ = 0;
  std::size_t trigger_ = 0;
};

// `n` cycles; `change(program, i)` before the i-th.
std::vector<Result> run(
    Program program, int n,
    const std::function<void(Program&, int)>& change = [](Program&, int) {}) {
  Heap heap(program);
  std::vector<Result> results;
  for (int i = 0; i < n; ++i) {
    change(program, i);
    results.push_back(heap.cycle(program));
  }
  return results;
}

// What no cycle may do, whatever the program does.
void check_bounds(const std::vector<Result>& results) {
  for (const Result& r : results) {
    CAPTURE(r.goal, r.heap_end, r.traced, r.assisted);
    // One run of each thread may come after the look.
    CHECK(r.heap_end <= std::max(hard_limit(r.goal), r.traced) + 64_KiB);
  }
}

}  // namespace

TEST_CASE("a steady program: the goal is kept and nobody helps", "[gc][pacer]") {
  for (const double rate : {0.01, 0.05, 0.1, 0.2}) {
    CAPTURE(rate);
    const std::vector<Result> results = run({.rate = rate}, 50);
    check_bounds(results);
    for (std::size_t i = 10; i < results.size(); ++i) {
      CAPTURE(i, results[i].over(), results[i].assists());
      CHECK(results[i].over() <= 0.01);
      CHECK(results[i].assists() <= 0.02);
      // Nor does it begin much too early.
      CHECK(results[i].over() >= -0.06);
      // Live bytes and what is born marked.
      CHECK(results[i].goal >= 128_MiB);
      CHECK(static_cast<double>(results[i].goal) <=
            static_cast<double>(128_MiB) * (1 + rate) * 1.1);
    }
  }
}

TEST_CASE("a fast program helps, and the goal is kept", "[gc][pacer]") {
  for (const double rate : {0.5, 1.0, 4.0}) {
    CAPTURE(rate);
    const std::vector<Result> results = run({.rate = rate}, 50);
    check_bounds(results);
    for (std::size_t i = 5; i < results.size(); ++i) {
      CAPTURE(i, results[i].over(), results[i].assists());
      CHECK(results[i].over() <= 0.01);
      CHECK(results[i].assists() < 0.5);  // the collector's thread does more
    }
  }
}

TEST_CASE("a step in the rate is learned in one cycle", "[gc][pacer]") {
  const std::vector<Result> results = run({.rate = 0.05}, 30, [](Program& program, int i) {
    if (i == 10) program.rate = 0.2;
    if (i == 20) program.rate = 0.05;
  });
  check_bounds(results);
  CHECK(results[9].assists() <= 0.02);
  CHECK(results[10].assists() >= 0.1);  // it had begun too late
  CHECK(results[10].over() <= 0.03);    // and helping made up for it
  for (std::size_t i = 11; i < 30; ++i) {
    CAPTURE(i, results[i].over(), results[i].assists());
    CHECK(results[i].over() <= 0.01);
    CHECK(results[i].assists() <= 0.02);
  }
  CHECK(results[29].goal == results[9].goal);
}

TEST_CASE("a heap that grows by a tenth each cycle keeps its goals", "[gc][pacer]") {
  const std::vector<Result> results =
      run({.rate = 0.1, .live = 8_MiB}, 40, [](Program& program, int i) {
        if (i > 5) program.live = program.live / 10 * 11;
      });
  check_bounds(results);
  for (std::size_t i = 6; i < results.size(); ++i) {
    CAPTURE(i, results[i].over(), results[i].assists());
    CHECK(results[i].over() <= 0.01);
    CHECK(results[i].assists() <= 0.02);
    if (i > 6) CHECK(results[i].goal > results[i - 1].goal);
  }
}

TEST_CASE("more to mark than expected makes threads help until the goal fits", "[gc][pacer]") {
  const std::vector<Result> results =
      run({.rate = 0.1, .live = 20_MiB}, 25, [](Program& program, int i) {
        if (i == 10) program.live = 200_MiB;
      });
  check_bounds(results);
  for (std::size_t i = 10; i < results.size(); ++i) {
    CAPTURE(i, results[i].over(), results[i].assists());
    CHECK(results[i].over() <= 0.03);
    CHECK(results[i].assists() <= (i < 14 ? 0.15 : 0.02));
  }
  CHECK(results.back().goal >= 400_MiB);
}

TEST_CASE("a live heap that falls takes the goal with it at once", "[gc][pacer]") {
  const std::vector<Result> results = run({.rate = 0.1}, 20, [](Program& program, int i) {
    if (i == 10) program.live = 8_MiB;
  });
  check_bounds(results);
  CHECK(results[10].goal >= 128_MiB);
  CHECK(results[10].heap_end <= results[10].goal);
  for (std::size_t i = 12; i < results.size(); ++i) {
    CAPTURE(i, results[i].over(), results[i].assists());
    CHECK(results[i].goal < 20_MiB);
    CHECK(results[i].over() <= 0.01);
    CHECK(results[i].assists() <= 0.02);
  }
}

TEST_CASE("a limit that is approached is kept", "[gc][pacer]") {
  const std::vector<Result> results =
      run({.rate = 0.1, .live = 20_MiB, .memory_limit = 100_MiB}, 40, [](Program& program, int i) {
        if (i >= 5 && i < 12) program.live += 8_MiB;
      });
  check_bounds(results);
  for (std::size_t i = 6; i < results.size(); ++i) {
    CAPTURE(i, results[i].goal, results[i].over(), results[i].assists());
    CHECK(results[i].heap_end <= 100_MiB);
  }
  CHECK(results.back().goal == 99_MiB);
  CHECK(results.back().assists() <= 0.2);
}

TEST_CASE("a limit below the live heap is passed by what cannot be helped", "[gc][pacer]") {
  const std::vector<Result> results = run({.rate = 0.1, .memory_limit = 32_MiB}, 60);
  check_bounds(results);
  // The goal is what was marked: what lives, and a little that was born marked.
  CHECK(results.back().goal >= 64_MiB);
  CHECK(results.back().goal <= 70_MiB);
  CHECK(results.back().heap_end <= 76_MiB);
}

TEST_CASE("gc_percent scales the heap and the number of cycles, not the overshoot", "[gc][pacer]") {
  for (const std::int64_t percent : {10, 50, 400}) {
    CAPTURE(percent);
    const std::vector<Result> results = run({.rate = 0.02, .gc_percent = percent}, 100);
    check_bounds(results);
    const auto goal = static_cast<double>(results.back().goal) / static_cast<double>(64_MiB);
    CHECK(goal >= 1 + static_cast<double>(percent) / 100);
    CHECK(goal <= (1 + static_cast<double>(percent) / 100) * 1.03);
    CHECK(results.back().over() <= 0.01);
  }
}

TEST_CASE("each thread that allocates has a minimum heap of its own", "[gc][pacer]") {
  for (const std::size_t threads : {1u, 2u, 3u, 16u}) {
    CHECK(heap_goal({.threads = threads}) == threads * kMinimumHeap);
    CHECK(heap_goal({.gc_percent = 50, .threads = threads}) == threads * kMinimumHeap / 2);
    CHECK(heap_goal({.gc_percent = -1, .threads = threads}) == kNoLimit);
  }
  CHECK(heap_goal({.threads = 0}) == kMinimumHeap);
  // It is a minimum: not added to what a larger heap grows by, and no way past the limit.
  CHECK(heap_goal({.marked = 20_MiB, .threads = 4}) == 40_MiB);
  CHECK(heap_goal({.marked = 3_MiB, .roots = 1_MiB, .threads = 4}) == 16_MiB);
  CHECK(heap_goal({.threads = 4, .memory_limit = 10_MiB, .metadata = 1_MiB}) == 8_MiB);
}

TEST_CASE("the extremes of the pacer's functions", "[gc][pacer]") {
  CHECK(heap_goal({.marked = 1_GiB, .gc_percent = -1}) == kNoLimit);
  CHECK(heap_goal({.marked = kNoLimit / 2, .gc_percent = 1'000'000'000}) == kNoLimit);
  CHECK(heap_goal({}) == kMinimumHeap);
  CHECK(heap_goal({.gc_percent = 0}) == 0);
  CHECK(heap_goal({.marked = 5_MiB, .memory_limit = 1_MiB, .metadata = 2_MiB}) == 5_MiB);
  CHECK(heap_trigger(1_MiB, kNoLimit, 0) == kNoLimit);
  CHECK(heap_trigger(5_MiB, 5_MiB, 100_MiB) == 5_MiB);
  CHECK(mark_runway(1_MiB, 0, 0, 1_MiB) == 0);
  CHECK(mark_runway(kNoLimit, 1, 1, kNoLimit) == kNoLimit);
  CHECK(assist_ratio(1_GiB, 0) == 64 * kAssistUnit);
  CHECK(assist_ratio(0, 1_GiB) == 0);
  CHECK(hard_limit(kNoLimit) == kNoLimit);
}
