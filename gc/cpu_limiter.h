#pragma once

// The CPU limiter: keeps collections from taking more than half of the processor time. Pure: fed
// with times, it knows no clock and no thread.
//
// With a memory limit below the live heap every allocation is past the goal: cycles would follow
// each other without a pause, and threads would spend their time helping. A program that uses more
// memory than it was told to is a smaller evil than one that makes no progress. The limiter is a
// leaky bucket of processor time (Go, src/runtime/mgclimit.go):
//
//     level := max(0, level + time spent collecting - time the program has run)
//     limiting  <=>  level >= capacity         capacity: one second of each processor
//
// While it is limiting,
//     allocating threads neither help marking nor wait for it;
//     no cycle begins for the memory limit's sake; one for gc_percent's sake does.
//
// So a cycle that the limit has started begins below the capacity, whence
//
//     collecting <= running + capacity + one cycle            at any time
//
// Go's bucket does not fill above its capacity, as its limiter takes effect in the middle of a
// cycle, whose workers have a quarter of the processors and no more. Here a cycle once begun runs
// to its end, and what it costs beyond the capacity is paid back before the next. Cycles for
// gc_percent's sake begin above the capacity too; each can leave the level at the capacity and its
// own cost at most, so that a time with many of them does not count for ever.
//
// Cycles that the program has asked for (collect(), out of memory, gcevery) do not count: their
// time is the program's choice.

#include <algorithm>
#include <cstdint>

namespace gort::gc {

/// Processor time since some moment in the past, in nanoseconds.
struct CpuTimes {
  std::int64_t collecting = 0;  ///< by the collector's thread and by threads that help it
  std::int64_t running = 0;     ///< by the rest of the process, but for workers on idle processors
};

class CpuLimiter {
 public:
  constexpr CpuLimiter() = default;
  constexpr CpuLimiter(std::int64_t capacity, const CpuTimes& now)
      : capacity_(capacity), last_(now) {}

  constexpr void begin_cycle(const CpuTimes& now, bool counts) {
    update(now);
    counts_ = counts;
    cycle_began_at_ = now.collecting;
  }
  constexpr void end_cycle(const CpuTimes& now) {
    update(now);
    if (counts_) level_ = std::min(level_, capacity_ + now.collecting - cycle_began_at_);
    counts_ = true;
  }
  /// At any time, and the more often the more exact.
  constexpr void update(const CpuTimes& now) {
    const std::int64_t collecting = counts_ ? now.collecting - last_.collecting : 0;
    level_ = std::max<std::int64_t>(0, level_ + collecting - (now.running - last_.running));
    last_ = now;
  }

  constexpr bool limiting() const { return level_ >= capacity_; }
  /// Processor time that the program has to run before it is not limiting any more.
  constexpr std::int64_t time_to_run() const { return limiting() ? level_ - capacity_ + 1 : 0; }
  constexpr std::int64_t level() const { return level_; }

 private:
  std::int64_t capacity_ = 1;
  std::int64_t level_ = 0;
  CpuTimes last_;
  bool counts_ = true;
  std::int64_t cycle_began_at_ = 0;
};

}  // namespace gort::gc
