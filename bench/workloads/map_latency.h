#pragma once

// map_latency KEYS: every single insert of KEYS random 64-bit keys into a map that grows from
// empty, timed one by one with the processor's counter. What a growth costs at once shows in the
// tail.
//
// B says whose map it is: kName, start(), make(), assign(map, key, value) and size(map).

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <gort/bench/workloads/random.h>
#include <gort/bench/workloads/report.h>

#include <x86intrin.h>

namespace gort::bench {

/// Nanoseconds in one tick of the processor's counter.
inline double nanoseconds_a_tick() {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const std::uint64_t ticks = __rdtsc();
  while (Clock::now() - start < std::chrono::milliseconds(50)) {
  }
  const std::uint64_t passed = __rdtsc() - ticks;
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count() /
         static_cast<double>(passed);
}

template <class B>
int map_latency_main(int argc, char** argv) {
  const std::uint64_t count = argc == 3 ? std::strtoull(argv[2], nullptr, 10) : 0;
  if (count == 0 || std::string_view(argv[1]) != "map_latency") {
    std::fprintf(stderr, "usage: %s map_latency KEYS\n", argv[0]);
    return 2;
  }
  const double tick = nanoseconds_a_tick();
  B::start();
  Random random(1);
  std::vector<std::uint64_t> keys(count);
  for (std::uint64_t& key : keys) key = random.next();
  std::vector<std::uint64_t> ticks(count);
  auto map = B::make();
  Measurement m;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t before = __rdtsc();
    B::assign(map, keys[i], i);
    ticks[i] = __rdtsc() - before;
  }
  m.stop();
  std::sort(ticks.begin(), ticks.end());
  const auto at = [&](double share) {
    const auto index = static_cast<std::size_t>(share * static_cast<double>(count - 1));
    return static_cast<std::int64_t>(static_cast<double>(ticks[index]) * tick);
  };
  Line("map_latency", "int64/" + std::to_string(count), B::kName)
      .add(count, m, B::size(map))
      .add("p50_ns", at(0.5))
      .add("p99_ns", at(0.99))
      .add("p999_ns", at(0.999))
      .add("p9999_ns", at(0.9999))
      .add("max_ns", at(1))
      .print();
  return 0;
}

}  // namespace gort::bench
