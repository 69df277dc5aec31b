#pragma once

// Keys, values and hashes that throw: at the n-th call from `countdown = n` on, once.

#include <cstdint>
#include <stdexcept>

#include <gort/hashmap/hash.h>
#include <gort/hashmap/key_traits.h>

namespace gort_test {

inline void count_down(long& countdown) {
  if (countdown > 0 && --countdown == 0) throw std::runtime_error("stop");
}

/// Its copy may throw.
struct Fragile {
  Fragile(long n = 0) : number(n) {}  // NOLINT(google-explicit-constructor)
  Fragile(const Fragile& other) : number(other.number) { count_down(countdown); }
  Fragile& operator=(const Fragile&) = default;
  bool operator==(const Fragile&) const = default;
  operator long() const { return number; }  // NOLINT(google-explicit-constructor)
  GORT_POINTER_FREE();
  long number;
  static inline long countdown = 0;
};

struct SteadyHash {
  std::uint64_t operator()(long key, std::uint32_t seed) const noexcept {
    return gort::hashmap::hash_word(static_cast<std::uint64_t>(key), seed);
  }
};
/// It may throw.
struct FragileHash {
  std::uint64_t operator()(long key, std::uint32_t seed) const {
    count_down(countdown);
    return SteadyHash{}(key, seed);
  }
  static inline long countdown = 0;
};

/// A key that asks a service whether it equals another one, and for its hash. Once the service is
/// down it stays so: every call throws, until `countdown` is set again.
struct RemoteKey {
  RemoteKey(long n = 0) : number(n) {}  // NOLINT(google-explicit-constructor)
  friend bool operator==(const RemoteKey& a, const RemoteKey& b) {
    ask();
    return a.number == b.number;
  }
  GORT_POINTER_FREE();
  long number;

  static void ask() {
    if (countdown == 1) throw std::runtime_error("down");
    if (countdown > 0) --countdown;
  }
  static inline long countdown = 0;
};
struct RemoteHash {
  std::uint64_t operator()(const RemoteKey& key, std::uint32_t seed) const {
    RemoteKey::ask();
    return SteadyHash{}(key.number, seed);
  }
};
/// Only comparing asks.
struct LocalHash {
  std::uint64_t operator()(const RemoteKey& key, std::uint32_t seed) const noexcept {
    return SteadyHash{}(key.number, seed);
  }
};

}  // namespace gort_test
