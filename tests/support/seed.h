#pragma once

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace gort_test {

/// The seed of a process's randomised tests: GORT_TEST_SEED from the environment, to repeat a
/// failure, else a new one. Standard error is told of it at once, for failures that end or hang the
/// process: ctest shows that only if the test fails.
inline std::uint64_t test_seed() {
  static const std::uint64_t seed = [] {
    const char* const text = std::getenv("GORT_TEST_SEED");
    const std::uint64_t chosen =
        text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device()();
    std::fprintf(stderr, "GORT_TEST_SEED=%" PRIu64 "\n", chosen);
    return chosen;
  }();
  return seed;
}

}  // namespace gort_test
