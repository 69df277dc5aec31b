#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>

namespace gort_test {

/// The seed of a randomised test: GORT_TEST_SEED from the environment, to repeat a failure, else a
/// new one each run. Print it with INFO.
inline std::uint64_t test_seed() {
  if (const char* text = std::getenv("GORT_TEST_SEED")) return std::strtoull(text, nullptr, 0);
  return std::random_device()();
}

}  // namespace gort_test
