#pragma once

// The pacer: when to collect. Pure functions of numbers; no state, no clock, no heap.
//
// The goal is the heap size at which a cycle should be finished (Go, src/runtime/mgcpacer.go):
//
//     goal = marked + (marked + roots) * percent / 100,  at least 4 MiB * percent / 100
//     with a memory limit also:  limit - metadata - 1 MiB;  the smaller wins, but never below
//     marked
//
// As marking happens with the world stopped, a cycle takes no heap while it runs, and the trigger
// is the goal itself.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <gort/base/units.h>

namespace gort::gc {

inline constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();
inline constexpr std::size_t kMinimumHeap = std::size_t{4} << 20;
inline constexpr std::size_t kLimitHeadroom = std::size_t{1} << 20;

struct PacerInput {
  std::size_t marked = 0;         ///< bytes the last cycle marked
  std::size_t roots = 0;          ///< bytes of stacks and roots it scanned
  std::int64_t gc_percent = 100;  ///< below 0: only the limit triggers
  std::size_t memory_limit = kNoLimit;
  std::size_t metadata = 0;  ///< bytes of the runtime's own
};

/// Bytes of heap at which to collect next; kNoLimit for never.
constexpr std::size_t heap_goal(const PacerInput& in) {
  std::size_t goal = kNoLimit;
  if (in.gc_percent >= 0) {
    const auto percent = static_cast<unsigned __int128>(in.gc_percent);
    const unsigned __int128 grown =
        in.marked + (static_cast<unsigned __int128>(in.marked) + in.roots) * percent / 100;
    const unsigned __int128 least = kMinimumHeap * percent / 100;
    const unsigned __int128 wanted = std::max(grown, least);
    goal = wanted > kNoLimit ? kNoLimit : static_cast<std::size_t>(wanted);
  }
  if (in.memory_limit != kNoLimit) {
    const std::size_t overhead = in.metadata + kLimitHeadroom;
    const std::size_t by_limit = in.memory_limit > overhead ? in.memory_limit - overhead : 0;
    goal = std::max(in.marked, std::min(goal, by_limit));
  }
  return goal;
}

}  // namespace gort::gc
