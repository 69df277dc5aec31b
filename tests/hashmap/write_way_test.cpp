// Masked stores (hashmap/masked_store.h) and when writes take them (hashmap/write_way.h). That such
// writes do what the others do is shown by fuzz_test.cpp, which changes the way as it goes.

#include <catch2/catch.hpp>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include <gort/hashmap/inspect.h>
#include <gort/hashmap/masked_store.h>
#include <gort/hashmap/write_way.h>
#include <gort/tests/hashmap/samples.h>

using namespace gort;
using namespace gort_test;
using hashmap::WriteWay;

namespace {

/// Nobody else has this type of map.
struct OwnHash : DefaultHash<long> {};
using Own = Map<long, Bytes128, OwnHash>;

// Eight slots at every place that a bucket may have them, and what is around them.
template <std::size_t kSize>
void store_to_each_cell() {
  constexpr std::size_t kAround = 32;
  std::array<char, kSize> value{};
  for (std::size_t i = 0; i < kSize; ++i) value[i] = static_cast<char>(100 + i);
  for (std::size_t offset = 0; offset < 64; offset += 4) {
    for (std::size_t cell = 0; cell < hashmap::kCells; ++cell) {
      alignas(64) std::array<char, 64 + 2 * kAround + hashmap::kCells * kSize> memory{};
      memory.fill(7);
      auto expected = memory;
      char* const slots = memory.data() + kAround + offset;
      hashmap::init_masked<kSize>(slots, cell, value.data());
      std::memcpy(expected.data() + kAround + offset + cell * kSize, value.data(), kSize);
      REQUIRE(memory == expected);
    }
  }
}

}  // namespace

TEST_CASE("a masked store writes one cell and nothing else", "[hashmap][write_way]") {
  if (!hashmap::can_mask()) {
    WARN("not tested: this processor has no AVX2");
    return;
  }
  store_to_each_cell<4>();
  store_to_each_cell<8>();
  store_to_each_cell<16>();
}

TEST_CASE("writes are masked from one size of map on", "[hashmap][write_way]") {
  if (!hashmap::can_mask()) {
    WARN("not tested: this processor has no AVX2");
    return;
  }
  WriteWay way;
  REQUIRE_FALSE(way.masks(WriteWay::kNever - 1));
  way.set_mask_from(9);
  REQUIRE_FALSE(way.masks(8));
  REQUIRE_FALSE(way.known(8));
  REQUIRE(way.masks(9));
  REQUIRE(way.known(9));
}

TEST_CASE("a masked delete leaves what any other leaves", "[hashmap][write_way]") {
  const Runtime runtime;
  struct MaskedHash : DefaultHash<String> {};
  WriteWay& way = hashmap::Table<String, long, MaskedHash>::write_way;
  std::vector<std::string> left[2];
  for (const bool masked : {false, true}) {
    way.set_mask_from(masked ? 0 : WriteWay::kNever);
    const Root<Map<String, long, MaskedHash>> map(make_map<String, long, MaskedHash>());
    for (const char* key : {"a", "bb", "ccc"}) map->insert_or_assign(key, 1);
    map->erase("bb");
    map->erase("ccc");
    const auto* const bucket = static_cast<const char*>(map->header()->buckets);
    left[masked].emplace_back(bucket, Map<String, long, MaskedHash>::type().shape.bucket_size);
    // Of the first key the reference differs.
    std::memset(left[masked].back().data() + hashmap::kDataOffset, 0, sizeof(void*));
    left[masked].back()[0] = 0;  // and its tophash
  }
  CHECK(left[0] == left[1]);
  way.set_mask_from(WriteWay::kNever);
}

TEST_CASE("nothing is measured in a map that was made large and is nearly empty",
          "[hashmap][write_way]") {
  struct LateHash : DefaultHash<String> {};
  using Late = Map<String, Bytes128, LateHash>;
  const Runtime runtime;
  const WriteWay& way = hashmap::Table<String, Bytes128, LateHash>::write_way;
  const std::size_t pairs = 2 * WriteWay::kLeastBytes / Late::type().shape.bucket_size * 4;
  const Root<Late> map(make_map<String, Bytes128, LateHash>(pairs));
  const std::uint8_t log2_buckets = map->header()->B;
  long key = 0;
  const auto add = [&] { map->insert_or_assign(std::to_string(key++), Bytes128{}); };  // slowly
  add();
  CHECK_FALSE(way.known(log2_buckets));
  while (map->size() <= hashmap::load_limit(log2_buckets) / 2) add();
  CHECK(way.known(log2_buckets));
}

TEST_CASE("which way is measured when a map has become large", "[hashmap][write_way]") {
  const Runtime runtime;
  const WriteWay& way = hashmap::Table<long, Bytes128, OwnHash>::write_way;
  const Root<Own> map(make_map<long, Bytes128, OwnHash>(100));
  const auto bytes = [&map] { return map->type().shape.bucket_size << map->header()->B; };
  long key = 0;
  while (bytes() < WriteWay::kLeastBytes) {
    REQUIRE_FALSE(way.known(map->header()->B));
    map->insert_or_assign(key++, Bytes128{});
  }
  // Half as many again: the growth ends, and some chain gets an overflow bucket.
  for (long more = key / 2; more > 0; --more) map->insert_or_assign(key++, Bytes128{});
  REQUIRE_FALSE(map->header()->growing());
  REQUIRE(way.known(map->header()->B));
}
