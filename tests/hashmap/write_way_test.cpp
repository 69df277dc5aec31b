// Writes through a jump (hashmap/write_way.h). That they do what the others do is shown by
// fuzz_test.cpp, which changes the way as it goes.

#include <catch2/catch.hpp>

#include <string>

#include <gort/hashmap/write_way.h>
#include <gort/tests/hashmap/samples.h>

using namespace gort;
using namespace gort_test;
using hashmap::WriteWay;

namespace {

/// Nobody else has this type of map.
struct OwnHash : DefaultHash<long> {};
using Own = Map<long, Bytes128, OwnHash>;

}  // namespace

TEST_CASE("a cell comes out of the jump as it went in", "[hashmap][write_way]") {
  for (std::size_t cell = 0; cell < hashmap::kCells; ++cell) {
    REQUIRE(hashmap::through_jump(cell) == cell);
  }
}

TEST_CASE("writes jump from one size of map on", "[hashmap][write_way]") {
  WriteWay way;
  REQUIRE_FALSE(way.jumps(WriteWay::kNever - 1));
  way.set_jump_from(9);
  REQUIRE_FALSE(way.jumps(8));
  REQUIRE_FALSE(way.known(8));
  REQUIRE(way.jumps(9));
  REQUIRE(way.known(9));
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
