// What lookups take from tables instead of calculating it.

#include <catch2/catch.hpp>

#include <gort/hashmap/header.h>
#include <gort/hashmap/tophash.h>

using namespace gort::hashmap;

TEST_CASE("the pattern of a hash repeats its tophash", "[hashmap][tophash]") {
  for (std::uint64_t top = 0; top < 256; ++top) {
    for (const std::uint64_t rest : {std::uint64_t{0}, (std::uint64_t{1} << 56) - 1}) {
      const std::uint64_t hash = top << 56 | rest;
      const Tops pattern(Tops::pattern_of(hash));
      for (std::size_t cell = 0; cell < kCells; ++cell) {
        REQUIRE(pattern[cell] == (top < kMinTop ? top + kMinTop : top));
      }
    }
  }
}

TEST_CASE("the mask has a bit for each bit of a bucket's number", "[hashmap][tophash]") {
  Header map;
  for (std::uint8_t log2_buckets = 0; log2_buckets < 64; ++log2_buckets) {
    map.B = log2_buckets;
    REQUIRE(map.mask() == map.bucket_count() - 1);
  }
}
