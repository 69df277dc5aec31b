#include <catch2/catch.hpp>

#include <algorithm>
#include <vector>

#include <gort/alloc/scavenge_policy.h>
#include <gort/base/random.h>
#include <gort/tests/support/seed.h>

using namespace gort;
using namespace gort::alloc;
using Action = ScavengePolicy::Action;

namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1000 * kMs;

// Mebibytes, but for the rounding; and what is retained where so much is needed: a tenth more, if
// nobody has changed the share.
Approx mib(double n) { return Approx(n * (1 << 20)).epsilon(0).margin(1); }
Approx retained_mib(double n) { return mib(n * (1 + kRetainShare)); }

// Without a pause: a quantum, or the share of a burst where that is more.
constexpr auto kBurstWork = static_cast<std::int64_t>(kScavengeShare * ScavengePacer::kBurst);
constexpr std::int64_t kLongestWork =
    (kBurstWork > kScavengeQuantum ? kBurstWork * 5 / 4 : kScavengeQuantum) + kMs / 10;

// A heap and a machine that exist in numbers only.
struct Simulation {
  explicit Simulation(double share = kScavengeShare) : policy(share) {}

  std::int64_t now = 0;
  std::size_t used = 0;
  std::size_t idle = 0;
  std::size_t goal = kNoGoal;
  double ns_per_byte = 0.05;  // 20 GB/s
  std::int64_t oversleep = 0;

  std::int64_t worked = 0;
  std::int64_t longest_work = 0;  // without a pause
  std::size_t released = 0;
  std::uint64_t steps = 0;
  ScavengePolicy policy;

  // Runs until `end` or until the scavenger rests. Returns its last step.
  ScavengePolicy::Step run(std::int64_t end) {
    std::int64_t in_a_row = 0;
    for (;;) {
      const ScavengePolicy::Step step = policy.next(now, used + idle, goal);
      ++steps;
      if (step.action == Action::rest_at_goal || step.action == Action::rest_until_idle)
        return step;
      if (step.action == Action::pause) {
        in_a_row = 0;
        if (step.ns <= 0) FAIL("a pause of " << step.ns << " ns");
        if (now + step.ns > end) {
          now = end;
          return step;
        }
        now += step.ns + oversleep;
        continue;
      }
      const bool sensible =
          step.bytes > 0 && step.bytes <= kScavengePiece && step.bytes <= used + idle - goal;
      if (!sensible) FAIL("asked for " << step.bytes << " bytes");
      const std::size_t n = std::min(step.bytes, idle);
      const auto ns = static_cast<std::int64_t>(static_cast<double>(n) * ns_per_byte) + 300;
      now += ns;
      worked += ns;
      in_a_row += ns;
      longest_work = std::max(longest_work, in_a_row);
      idle -= n;
      released += n;
      policy.released(n, ns);
      if (now >= end) return step;
    }
  }
};

}  // namespace

TEST_CASE("the retain goal is a share over what the next cycle needs", "[alloc][scavenge]") {
  ScavengeInput in;
  in.cycles = 2;
  in.in_use = 100_MiB;
  in.last_heap_goal = 100_MiB;
  in.heap_goal = 100_MiB;
  CHECK(retained_goal(in) == retained_mib(100));
  in.heap_goal = 25_MiB;  // the live heap has shrunk to a quarter
  CHECK(retained_goal(in) == retained_mib(25));
  in.in_use = 150_MiB;  // a third of it was fragmentation, and will be again
  CHECK(retained_goal(in) == retained_mib(37.5));
}

TEST_CASE("the lower goal is the reason", "[alloc][scavenge]") {
  ScavengeInput in;
  in.memory_limit = 100_MiB;  // alone
  CHECK(release_reason(in) == ReleaseReason::memory_limit);
  in.cycles = 2;
  in.in_use = 200_MiB;
  in.last_heap_goal = in.heap_goal = 100_MiB;
  CHECK(release_reason(in) == ReleaseReason::memory_limit);
  in.in_use = 10_MiB;
  CHECK(release_reason(in) == ReleaseReason::next_cycle);
  in.memory_limit = kNoGoal;
  CHECK(release_reason(in) == ReleaseReason::next_cycle);
}

TEST_CASE("there is no retain goal before the second cycle", "[alloc][scavenge]") {
  ScavengeInput in;
  in.in_use = 100_MiB;
  in.last_heap_goal = 100_MiB;
  in.heap_goal = 4_MiB;
  for (in.cycles = 0; in.cycles < 2; ++in.cycles) CHECK(retained_goal(in) == kNoGoal);
  CHECK(retained_goal(in) == retained_mib(4));
  in.last_heap_goal = 0;
  CHECK(retained_goal(in) == kNoGoal);
}

TEST_CASE("with the collector off, what was in use is retained, and a share", "[alloc][scavenge]") {
  ScavengeInput in;
  in.cycles = 5;
  in.in_use = 100_MiB;
  in.heap_goal = kNoGoal;
  in.last_heap_goal = kNoGoal;
  CHECK(retained_goal(in) == retained_mib(100));
  in.last_heap_goal = 4_MiB;  // just switched off: the heap may grow without end
  CHECK(retained_goal(in) == kNoGoal);
}

TEST_CASE("the limit goal is a share of the limit, less what is not heap", "[alloc][scavenge]") {
  ScavengeInput in;
  in.memory_limit = 1000_MiB;
  CHECK(retained_goal(in) == mib(1000 * kLimitShare));  // and from the first moment
  in.not_heap = 100_MiB;
  CHECK(retained_goal(in) == mib(1000 * kLimitShare - 100));
  in.not_heap = 2000_MiB;
  CHECK(retained_goal(in) == 0);
  in.not_heap = 0;
  in.memory_limit = 0;
  CHECK(retained_goal(in) == 0);
  // The lower goal counts.
  in.cycles = 2;
  in.in_use = in.last_heap_goal = in.heap_goal = 100_MiB;
  in.memory_limit = 1000_MiB;
  CHECK(retained_goal(in) == retained_mib(100));
  in.memory_limit = 50_MiB;
  CHECK(retained_goal(in) == mib(50 * kLimitShare));
}

TEST_CASE("a simulated drop of 1 GiB goes back at the share's pace", "[alloc][scavenge]") {
  Simulation s;
  s.used = 50_MiB;
  s.idle = 1_GiB;
  s.goal = 60_MiB;
  CHECK(s.run(3600 * kSecond).action == Action::rest_at_goal);
  CHECK(s.used + s.idle <= s.goal);
  CHECK(s.released == 1_GiB - 10_MiB);  // not a byte more than needed
  const auto time = static_cast<double>(s.now + ScavengePacer::kBurst);
  CHECK(static_cast<double>(s.worked) < 1.02 * kScavengeShare * time);
  CHECK(static_cast<double>(s.worked) > 0.95 * kScavengeShare * time);
  CHECK(s.longest_work < kLongestWork);
}

TEST_CASE("at its goal the scavenger does nothing", "[alloc][scavenge]") {
  Simulation s;
  s.used = 10_MiB;
  s.idle = 1_MiB;
  s.goal = 11_MiB;
  CHECK(s.run(kSecond).action == Action::rest_at_goal);
  CHECK(s.steps == 1);
  CHECK(s.released == 0);
  s.goal = kNoGoal;
  CHECK(s.run(kSecond).action == Action::rest_at_goal);
  s.used += 1;  // one byte over it
  s.goal = 11_MiB;
  s.run(kSecond);
  CHECK(s.released == 1);
}

TEST_CASE("with nothing idle the scavenger rests until something is", "[alloc][scavenge]") {
  Simulation s;
  s.used = 100_MiB;
  s.goal = 10_MiB;
  CHECK(s.run(kSecond).action == Action::rest_until_idle);
  CHECK(s.steps <= 3);  // one look
  const std::int64_t before = s.now;
  CHECK(s.run(kSecond).action == Action::rest_until_idle);
  CHECK(s.now == before);
  s.used -= 5_MiB;
  s.idle += 5_MiB;
  s.policy.pages_became_idle();
  CHECK(s.run(100 * kSecond).action == Action::rest_until_idle);
  CHECK(s.idle == 0);
  CHECK(s.released == 5_MiB);
}

TEST_CASE("the scavenger does not rest before it has looked at all there is", "[alloc][scavenge]") {
  ScavengePolicy policy(0.02);
  policy.released(0, 1000, false);
  CHECK(policy.next(0, 100_MiB, 10_MiB).action == Action::release);
  policy.released(0, 1000, true);
  CHECK(policy.next(0, 100_MiB, 10_MiB).action == Action::rest_until_idle);
}

TEST_CASE("waking the scavenger often does not make it work more", "[alloc][scavenge]") {
  // Somebody frees a page and wakes it every 10 us, for ten seconds.
  Simulation s;
  s.used = 1_GiB;
  s.goal = 0;
  s.ns_per_byte = 1;
  while (s.now < 10 * kSecond) {
    s.used -= 8_KiB;
    s.idle += 8_KiB;
    s.policy.pages_became_idle();
    s.run(s.now + 10'000);
    s.now += 10'000;
    if (s.used == 0) s.used = 1_GiB;
  }
  const double allowed =
      kScavengeShare * static_cast<double>(s.now + ScavengePacer::kBurst) + kScavengeQuantum + kMs;
  CHECK(static_cast<double>(s.worked) < allowed);
  CHECK(static_cast<double>(s.worked) > allowed * 0.8);
}

TEST_CASE("time slept too long is made up for, but not without bound", "[alloc][scavenge]") {
  Simulation punctual;
  Simulation late;
  late.oversleep = 50 * kMs;  // half a pause
  Simulation very_late;
  very_late.oversleep = 10 * kSecond;
  for (Simulation* s : {&punctual, &late, &very_late}) {
    s->idle = std::size_t{1} << 40;
    s->goal = 0;
    s->run(1000 * kSecond);
  }
  auto share = [](const Simulation& s) {
    return static_cast<double>(s.worked) / static_cast<double>(s.now);
  };
  CHECK(share(punctual) == Approx(kScavengeShare).epsilon(0.02));
  CHECK(share(late) == Approx(kScavengeShare).epsilon(0.02));
  // Longer absences are not: a second of work at once is not what anybody wants.
  CHECK(share(very_late) < kScavengeShare / 10);
  CHECK(very_late.longest_work < 3 * kLongestWork);
}

TEST_CASE("the share holds over any time, for any load", "[alloc][scavenge]") {
  Random random(gort_test::test_seed());
  const double share = GENERATE(0.01, 0.02, 0.08);
  Simulation s(share);
  std::vector<std::pair<std::int64_t, std::int64_t>> history;  // (time, work so far)
  for (int i = 0; i < 2000; ++i) {
    switch (random.below(4)) {
      case 0:
        s.idle += random.below(200_MiB);
        s.policy.pages_became_idle();
        break;
      case 1:
        s.goal = random.below(8) == 0 ? kNoGoal : random.below(300_MiB);
        break;
      case 2:
        s.used = random.below(300_MiB);
        break;
      default:
        s.ns_per_byte = 0.01 * static_cast<double>(1 + random.below(300));
        break;
    }
    s.oversleep = random.below(3) == 0 ? static_cast<std::int64_t>(random.below(200 * kMs)) : 0;
    const std::int64_t end = s.now + static_cast<std::int64_t>(random.below(2 * kSecond));
    s.run(end);
    s.now = std::max(s.now, end);
    history.emplace_back(s.now, s.worked);
  }
  for (std::size_t i = 0; i < history.size(); ++i) {
    for (std::size_t j = i + 1; j < history.size(); j += 1 + j / 16) {
      const auto time = static_cast<double>(history[j].first - history[i].first);
      const auto work = static_cast<double>(history[j].second - history[i].second);
      // A single piece may take as long as the machine likes; here at most 3 ns a byte.
      const double slack = static_cast<double>(kScavengeQuantum) + 3.1 * kScavengePiece;
      if (work > share * (time + static_cast<double>(ScavengePacer::kBurst)) + slack) {
        FAIL("worked " << work << " ns of " << time);
      }
    }
  }
  CHECK(s.released > 0);
}
