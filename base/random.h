#pragma once

// Random numbers for seeds and sampling. Not for cryptography.
//
// `Random` is splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
// OOPSLA 2014): one add and a finaliser, any seed is a good seed.

#include <cstdint>

namespace gort {

/// splitmix64's finaliser: a bijection of 64-bit words that flips about half of the bits for any
/// change of its input.
constexpr std::uint64_t mix64(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

class Random {
 public:
  constexpr explicit Random(std::uint64_t seed) : state_(seed) {}

  constexpr std::uint64_t next() { return mix64(state_ += 0x9e3779b97f4a7c15U); }
  /// Uniform in [0, bound), bound > 0 (Lemire's multiply, bias below 2^-32 for bounds below 2^32).
  constexpr std::uint64_t below(std::uint64_t bound) {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }

 private:
  std::uint64_t state_;
};

/// 64 bits from the kernel's generator, else from clocks and addresses when the kernel refuses.
std::uint64_t random_seed() noexcept;

}  // namespace gort
