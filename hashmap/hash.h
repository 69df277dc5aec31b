#pragma once

// DefaultHash<K>: 64 bits from a key and the map's 32-bit seed. A map takes its bucket from the low
// bits and the tophash from the top 8, so both ends must be good.
//
//     integers, enums, Ref   the key, xored with the seed and a random word of the process, through
//                            two rounds of multiply-and-fold (128-bit product, halves xored:
//                            wyhash's mixer, Wang Yi, 2019). After one round keys in steps spread
//                            badly for some seeds and steps, up to ten times the overflow buckets
//                            of random keys; with a plain multiplication as the second round one
//                            seed in 10^5 is still bad: tests/hashmap/hash_test.cpp
//     float, double          as their bits; +0 and -0 hash alike; a NaN gets a fresh random hash
//                            each time, as in Go, so that many NaNs do not pile up in one chain
//     String, string_view    up to 16 bytes: as two words, the product of which is folded, and the
//                            result again with the length (wyhash does it so); longer ones by XXH3
//                            with a 64-bit seed
//     GORT_PLAIN_KEY structs up to 8 bytes as an integer; larger ones by XXH3
//     empty classes          a constant
//     array, pair            their parts, each seeded with the hash so far
//
// Whoever does not know the process's random word cannot choose keys that collide. Two maps with
// the same keys lay them out differently, since their seeds differ; inserting one map's keys in the
// order of another's is therefore no bad case.
//
// Another hash is given as the map's third template argument: a type with
//     std::uint64_t operator()(const K& key, std::uint32_t seed) const
// It may throw; if it says noexcept, and so does the operator== of a key type that gort does not
// know, chains are moved a little faster.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <utility>

#include <gort/base/config.h>
#include <gort/gc/ref.h>
#include <gort/hashmap/key_traits.h>
#include <gort/hashmap/rules.h>
#include <gort/hashmap/string.h>

namespace gort {

namespace hashmap {

/// The process's random word; set before main, constant afterwards.
struct HashSecret {
  std::uint64_t first;
};
GORT_API extern const HashSecret hash_secret;

__extension__ typedef unsigned __int128 DoubleWord;  // quiet where the embedder is -Wpedantic

constexpr std::uint64_t fold_multiply(std::uint64_t a, std::uint64_t b) {
  const DoubleWord product = static_cast<DoubleWord>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline std::uint64_t hash_word(std::uint64_t word, std::uint64_t seed) {
  const std::uint64_t folded = fold_multiply(word ^ hash_secret.first ^ seed, 0x9ddfea08eb382d69U);
  return fold_multiply(folded, 0x9e3779b97f4a7c15U);
}

GORT_API std::uint64_t hash_bytes(const void* bytes, std::size_t size, std::uint64_t seed);

/// Hashes one key, or a part of one, with a 64-bit seed.
template <class K>
std::uint64_t hash_key(const K& key, std::uint64_t seed) {
  if constexpr (std::is_integral_v<K> || std::is_enum_v<K>) {
    static_assert(sizeof(K) <= 8, "gort::DefaultHash: integers of at most 64 bits");
    return hash_word(static_cast<std::uint64_t>(key), seed);
  } else if constexpr (std::is_same_v<K, float> || std::is_same_v<K, double>) {
    const double value = key;
    if (GORT_UNLIKELY(value != value)) return random_bits();
    return hash_word(value == 0 ? 0 : std::bit_cast<std::uint64_t>(value), seed);
  } else if constexpr (std::is_empty_v<K>) {
    return hash_word(0, seed);
  } else {
    static_assert(
        requires { typename K::GortPlainKey; },
        "gort::DefaultHash does not know this key type: write GORT_PLAIN_KEY() inside it if "
        "equal keys have equal bytes, or give Map a hash of your own as third argument");
    if constexpr (sizeof(K) <= sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, &key, sizeof(K));
      return hash_word(word, seed);
    } else {
      return hash_bytes(&key, sizeof(K), seed ^ hash_secret.first);
    }
  }
}
template <class T>
std::uint64_t hash_key(const Ref<T>& key, std::uint64_t seed) {
  return hash_word(reinterpret_cast<std::uintptr_t>(key.get()), seed);
}
/// Up to 16 bytes as two words that may overlap, so that nothing is called and little is branched.
inline std::uint64_t hash_short(const char* bytes, std::size_t size, std::uint64_t seed) {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  if (size >= 8) {
    std::memcpy(&low, bytes, 8);
    std::memcpy(&high, bytes + size - 8, 8);
  } else if (size >= 4) {
    std::memcpy(&low, bytes, 4);
    std::memcpy(&high, bytes + size - 4, 4);
  } else if (size > 0) {
    std::memcpy(&low, bytes, 1);
    std::memcpy(&high, bytes + size - 1, 1);
    high = high << 8 | static_cast<unsigned char>(bytes[size / 2]);
  }
  const std::uint64_t folded = fold_multiply(low ^ seed, high ^ std::rotl(seed, 32));
  return fold_multiply(folded ^ size, 0x9e3779b97f4a7c15U);
}
inline std::uint64_t hash_key(std::string_view key, std::uint64_t seed) {
  seed ^= hash_secret.first;
  if (GORT_LIKELY(key.size() <= 16)) return hash_short(key.data(), key.size(), seed);
  return hash_bytes(key.data(), key.size(), seed);
}
inline std::uint64_t hash_key(const String& key, std::uint64_t seed) {
  return hash_key(key.view(), seed);
}
template <class T, std::size_t N>
std::uint64_t hash_key(const std::array<T, N>& key, std::uint64_t seed);  // pairs may hold some
template <class A, class B>
std::uint64_t hash_key(const std::pair<A, B>& key, std::uint64_t seed) {
  return hash_key(key.second, hash_key(key.first, seed));
}
template <class T, std::size_t N>
std::uint64_t hash_key(const std::array<T, N>& key, std::uint64_t seed) {
  for (const T& part : key) seed = hash_key(part, seed);
  return seed;
}

}  // namespace hashmap

template <class K>
struct DefaultHash {
  std::uint64_t operator()(const K& key, std::uint32_t seed) const noexcept {
    return hashmap::hash_key(key, seed);
  }
};

template <>
struct DefaultHash<String> {
  std::uint64_t operator()(std::string_view key, std::uint32_t seed) const noexcept {
    return hashmap::hash_key(key, seed);
  }
};

}  // namespace gort
