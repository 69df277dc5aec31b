#pragma once

// When the background scavenger gives memory back, how much, and how fast. Pure arithmetic on
// numbers and times that are handed in: no thread, no lock, no clock, no heap. The thread that does
// what is decided here is in scavenger.h; the tests run this file against a simulated heap.
//
// Two goals, both on `retained`, the heap's resident bytes (used + idle pages). The lower one
// counts:
//
//   A  what the next cycle will need, and a tenth more:
//          1.1 * in_use * heap_goal / last_heap_goal
//      where in_use is the bytes in spans at the end of the last cycle, before anything was swept:
//      what the heap grew to for a goal of last_heap_goal, fragmentation and all. No goal before
//      the second cycle: before that, the quotient says nothing.
//   B  the memory limit: 95 % of it, less what is not heap.
//
// (Go, src/runtime/mgcscavenge.go. Goal B of Go 1.19 to 1.21.0 is computed as limit * 95 and never
// works, golang/go issue 62449; here it is limit * 95 / 100.)
//
// Pace. The scavenger may use 1 % of the processors' time, its `share` of one processor's. After
// work of w nanoseconds it is quiet for w / share - w, on one processor 99 w; time that it slept
// too long counts for the next pause, but at most kBurst of it (the generic cell rate algorithm of
// ATM networks; Go approaches the same with a PI controller on the ratio of sleep to work). So over
// any time t:
//
//     work(t) <= share * (t + kBurst) + one quantum + one release

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <gort/alloc/config.h>
#include <gort/base/ledger.h>

namespace gort::alloc {

inline constexpr std::size_t kNoGoal = std::numeric_limits<std::size_t>::max();

/// What the goals are computed from.
struct ScavengeInput {
  std::uint64_t cycles = 0;         ///< collections finished
  std::size_t in_use = 0;           ///< bytes in spans at the end of the last one
  std::size_t last_heap_goal = 0;   ///< the goal that it kept to
  std::size_t heap_goal = kNoGoal;  ///< of the next one
  std::size_t memory_limit = kNoGoal;
  std::size_t not_heap = 0;  ///< resident bytes of the runtime's own
};

/// More than this the next cycle will not need; kNoGoal: nobody knows.
constexpr std::size_t next_cycle_goal(const ScavengeInput& in) {
  constexpr double kTop = static_cast<double>(std::size_t{1} << 62);
  if (in.cycles < 2 || in.last_heap_goal == 0) return kNoGoal;
  const double growth = static_cast<double>(in.heap_goal) / static_cast<double>(in.last_heap_goal);
  const double bytes = static_cast<double>(in.in_use) * growth * (1 + kRetainShare);
  return bytes < kTop ? static_cast<std::size_t>(bytes) : kNoGoal;
}

/// More than this the memory limit does not allow; kNoGoal: there is none.
constexpr std::size_t limit_goal(const ScavengeInput& in) {
  constexpr double kTop = static_cast<double>(std::size_t{1} << 62);
  if (in.memory_limit == kNoGoal) return kNoGoal;
  const double bytes = static_cast<double>(in.memory_limit) * kLimitShare;
  const auto wanted = static_cast<std::size_t>(std::min(bytes, kTop));
  return wanted > in.not_heap ? wanted - in.not_heap : 0;
}

/// Resident heap bytes above which idle memory goes back; kNoGoal: none does.
constexpr std::size_t retained_goal(const ScavengeInput& in) {
  return std::min(next_cycle_goal(in), limit_goal(in));
}

/// Why what is above the goal goes back.
constexpr ReleaseReason release_reason(const ScavengeInput& in) {
  return limit_goal(in) < next_cycle_goal(in) ? ReleaseReason::memory_limit
                                              : ReleaseReason::next_cycle;
}

/// Keeps the work down to its share of the time.
class ScavengePacer {
 public:
  /// `share` of one processor's time; 0.02 is 1 % of two.
  constexpr explicit ScavengePacer(double share) : share_(share) {}

  /// Nanoseconds until work may go on; 0: now.
  constexpr std::int64_t wait(std::int64_t now) const {
    return std::max<std::int64_t>(0, next_ - now);
  }

  /// `worked` nanoseconds of processor time have just been used.
  constexpr void charge(std::int64_t now, std::int64_t worked) {
    next_ = std::max(next_, now - kBurst) +
            static_cast<std::int64_t>(static_cast<double>(worked) / share_);
  }

  static constexpr std::int64_t kBurst = 100'000'000;

 private:
  double share_;
  std::int64_t next_ = std::numeric_limits<std::int64_t>::min() / 2;
};

/// What to do next. The states of the scavenger:
///
///     retained <= goal            rest until retained rises above the goal, or the goal falls
///     nothing idle to give back   rest until pages become idle, or the goal changes
///     quantum of work used up     pause
///     else                        release a piece
class ScavengePolicy {
 public:
  enum class Action : std::uint8_t { release, pause, rest_at_goal, rest_until_idle };
  struct Step {
    Action action;
    std::size_t bytes = 0;  ///< release: about so much
    std::int64_t ns = 0;    ///< pause: for so long
  };

  constexpr explicit ScavengePolicy(double share) : pacer_(share) {}

  constexpr Step next(std::int64_t now, std::size_t retained, std::size_t goal) {
    if (retained <= goal) {
      settle(now);
      return {Action::rest_at_goal};
    }
    if (exhausted_) {
      settle(now);
      return {Action::rest_until_idle};
    }
    if (worked_ >= kScavengeQuantum) settle(now);
    if (const std::int64_t ns = pacer_.wait(now); worked_ == 0 && ns > 0) {
      return {Action::pause, 0, ns};
    }
    return {Action::release, std::min(retained - goal, kScavengePiece)};
  }

  /// What came of a release: how much went back, for how much processor time, and whether it has
  /// looked at all there is.
  constexpr void released(std::size_t bytes, std::int64_t worked, bool to_the_end = true) {
    worked_ += std::max<std::int64_t>(worked, 1);
    if (bytes == 0 && to_the_end) exhausted_ = true;
  }

  /// Something has become idle since a release that gave nothing back.
  constexpr void pages_became_idle() { exhausted_ = false; }

 private:
  constexpr void settle(std::int64_t now) {
    if (worked_ > 0) pacer_.charge(now, worked_);
    worked_ = 0;
  }

  ScavengePacer pacer_;
  std::int64_t worked_ = 0;  ///< since the last pause
  bool exhausted_ = false;
};

}  // namespace gort::alloc
