#pragma once

// The pacer: when to collect. Pure functions of numbers; no state, no clock, no heap.
//
// The goal is the heap size at which a cycle should be finished (Go, src/runtime/mgcpacer.go):
//
//     goal = marked + (marked + roots) * percent / 100,
//            at least 4 MiB * percent / 100 for each thread that allocates
//     with a memory limit also:  limit - metadata - 1 MiB;  the smaller wins, but never below
//     marked
//
// Marking runs beside the program, which allocates meanwhile, so a cycle must begin before the
// goal:
//
//     runway  = what the program is expected to allocate while markers run
//     trigger = goal - runway, kept within [marked + 0.7 grow, marked + 0.95 grow]
//     grow    = goal - marked
//
// The expectation is the last cycle's: bytes allocated per byte marked, times the bytes that are
// marked in a cycle. If it was too low, allocating threads help marking: each byte that they
// allocate obliges them to mark
//
//     assist ratio = bytes left to mark / bytes left to the goal
//
// less what the collector's own thread has marked for them.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <gort/base/units.h>

namespace gort::gc {

inline constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();
/// For each thread that allocates. Go has one of 4 MiB for all; but what a small heap's cycle costs
/// is stopping threads, scanning their stacks and what they hold: with one minimum, two threads
/// would pay all of that twice for each byte, one after the other, and be no faster than one.
inline constexpr std::size_t kMinimumHeap = std::size_t{4} << 20;
inline constexpr std::size_t kLimitHeadroom = std::size_t{1} << 20;

struct PacerInput {
  std::size_t marked = 0;         ///< bytes the last cycle marked
  std::size_t roots = 0;          ///< bytes of stacks and roots it scanned
  std::int64_t gc_percent = 100;  ///< below 0: only the limit triggers
  std::size_t threads = 1;        ///< that have allocated of late, up to the processors
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
    const unsigned __int128 least =
        kMinimumHeap * std::max<std::size_t>(in.threads, 1) * percent / 100;
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

/// Bytes that the program will probably allocate while `expected_marked` bytes are marked without
/// its help, if it allocated `allocated` bytes during the last marking of `marked` bytes, of which
/// it marked `assisted` itself; a tenth more. Without its help that marking would have taken
/// longer, and the program would have had the time of the help too: so those bytes are what it
/// allocates while `marked - 2 * assisted` are marked. That is for one thread; of more, each loses
/// less time.
constexpr std::size_t mark_runway(std::size_t allocated, std::size_t marked, std::size_t assisted,
                                  std::size_t expected_marked) {
  if (marked == 0) return 0;
  const std::size_t least = marked / 8 + 1;
  const std::size_t alone = assisted < marked / 2 ? marked - 2 * assisted : 0;
  const unsigned __int128 runway = static_cast<unsigned __int128>(allocated) * expected_marked /
                                   std::max(alone, least) * 11 / 10;
  return runway > kNoLimit ? kNoLimit : static_cast<std::size_t>(runway);
}

/// Bytes of heap at which to begin the next cycle; kNoLimit for never.
constexpr std::size_t heap_trigger(std::size_t marked, std::size_t goal, std::size_t runway) {
  if (goal == kNoLimit) return kNoLimit;
  const std::size_t grow = goal > marked ? goal - marked : 0;
  const std::size_t earliest = goal - grow / 10 * 3;
  const std::size_t latest = goal - grow / 20;
  return std::clamp(goal > runway ? goal - runway : 0, earliest, latest);
}

/// Bytes to mark for each byte that is allocated, in units of 1/kAssistUnit.
inline constexpr std::uint64_t kAssistUnit = 1024;
constexpr std::uint64_t assist_ratio(std::size_t left_to_mark, std::size_t left_to_goal) {
  constexpr std::uint64_t kMost = 64 * kAssistUnit;
  if (left_to_goal == 0) return kMost;
  const unsigned __int128 ratio =
      static_cast<unsigned __int128>(left_to_mark) * kAssistUnit / left_to_goal;
  return ratio > kMost ? kMost : static_cast<std::uint64_t>(ratio);
}

/// Bytes that a marking probably still has to mark, if the last heap was `expected` bytes and
/// `done` are marked. Beyond the expectation, assume that a quarter more is left.
constexpr std::size_t left_to_mark(std::size_t expected, std::size_t done) {
  return expected > done ? expected - done : done / 4;
}

/// Bytes of heap above which allocating threads do not go on before the cycle has ended: they help,
/// and sleep while there is nothing to help with.
constexpr std::size_t hard_limit(std::size_t goal) {
  constexpr std::size_t kLeast = std::size_t{1} << 20;
  const std::size_t slack = goal / 10 + kLeast;
  return goal > kNoLimit - slack ? kNoLimit : goal + slack;
}

}  // namespace gort::gc
