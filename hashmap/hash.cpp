#include <gort/hashmap/hash.h>

#include <gort/base/random.h>

// The hash function itself, compiled into this file alone: no library to link, and no macro of
// xxhash's reaches a program that includes ours.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#define XXH_INLINE_ALL
#include <xxhash.h>
#pragma GCC diagnostic pop

namespace gort::hashmap {

// Before every ordinary initialiser: a map made by one of those must see the word that the rest of
// the program sees.
[[gnu::init_priority(101)]] const HashSecret hash_secret = {random_seed()};

std::uint64_t hash_bytes(const void* bytes, std::size_t size, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes, size, seed);
}

}  // namespace gort::hashmap
