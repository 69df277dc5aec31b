#pragma once

// The random numbers and checksums of the workloads: written out here, and once more in Go, so that
// every implementation does the same work on the same data.

#include <cstdint>
#include <utility>
#include <vector>

namespace gort::bench {

/// splitmix64 (Steele, Lea, Flood, 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }
  /// In [0, n), n < 2^32, by the product's high half.
  std::uint64_t below(std::uint64_t n) { return ((next() >> 32) * n) >> 32; }

 private:
  std::uint64_t state_;
};

template <class Sequence>
void shuffle(Sequence& items, std::uint64_t count, Random& random) {
  for (std::uint64_t i = count; i > 1; --i) {
    using std::swap;
    swap(items[i - 1], items[random.below(i)]);
  }
}

/// Mixes one more value into a checksum, order included.
inline std::uint64_t mix(std::uint64_t checksum, std::uint64_t value) {
  return checksum * 1099511628211U + value;
}

}  // namespace gort::bench
