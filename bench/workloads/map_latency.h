#pragma once

// map_latency KEYS: every single insert of KEYS random 64-bit keys into a map that grows from
// empty, timed one by one with the processor's counter. What a growth costs at once shows in the
// tail.
//
// B says whose map it is: kName, start(), make() and assign(map, key, value).

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <gort/bench/workloads/random.h>

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
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s KEYS\n", argv[0]);
    return 2;
  }
  const std::uint64_t count = std::strtoull(argv[1], nullptr, 0);
  const double tick = nanoseconds_a_tick();
  B::start();
  Random random(1);
  std::vector<std::uint64_t> keys(count);
  for (std::uint64_t& key : keys) key = random.next();
  std::vector<std::uint64_t> ticks(count);
  auto map = B::make();
  std::uint64_t total = __rdtsc();
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t before = __rdtsc();
    B::assign(map, keys[i], i);
    ticks[i] = __rdtsc() - before;
  }
  total = __rdtsc() - total;
  std::sort(ticks.begin(), ticks.end());
  const auto at = [&](double share) {
    const auto index = static_cast<std::size_t>(share * static_cast<double>(count - 1));
    return static_cast<double>(ticks[index]) * tick;
  };
  std::printf(
      "{\"workload\":\"map_latency\",\"impl\":\"%s\",\"keys\":%llu,\"mean_ns\":%.1f,\"p50_ns\":%."
      "0f,"
      "\"p99_ns\":%.0f,\"p99.9_ns\":%.0f,\"p99.99_ns\":%.0f,\"max_ns\":%.0f}\n",
      B::kName, static_cast<unsigned long long>(count),
      static_cast<double>(total) * tick / static_cast<double>(count), at(0.5), at(0.99), at(0.999),
      at(0.9999), at(1));
  return 0;
}

}  // namespace gort::bench
