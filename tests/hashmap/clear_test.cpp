// Ways to empty a map as Go has them (nil, remake, erase loop, clear), what each keeps, and what
// iterators under way make of it. Those that Go has not are in policies_test.cpp.

#include <catch2/catch.hpp>

#include <cmath>

#include <gort/tests/hashmap/samples.h>

using namespace gort;
using namespace gort_test;

namespace {

// Loops over 833 pairs; at the first, grows the map (834 is over the limit of 2^7 buckets) and
// clears it. Returns how many pairs are visited after that.
long visits_after_clear() {
  const Root<LongMap> map = filled<>(832);
  long visits = 0;
  for (const auto& pair : *map) {
    (void)pair;
    if (visits++ == 0) {
      (*map)[832] = 1;
      REQUIRE(inspect(*map).growing);
      map->clear();
    }
  }
  return visits - 1;
}

}  // namespace

TEST_CASE("clear keeps the array and nothing else", "[hashmap][clear]") {
  const Runtime runtime;
  const Root<LongMap> map = filled<>(10000);
  const MapStats before = inspect(*map);
  map->clear();
  const MapStats after = inspect(*map);
  CHECK(after.count == 0);
  CHECK(after.B == before.B);
  CHECK(after.buckets == before.buckets);
  CHECK(after.live_cells == 0);
  CHECK(after.tombstones == 0);
  CHECK(after.overflow_buckets == 0);
  CHECK(after.noverflow == 0);
  CHECK(after.spare_overflow_buckets >= before.spare_overflow_buckets);
  CHECK(hashmap::find_inconsistency(map->header(), map->type()) == nullptr);
}

TEST_CASE("clear gives a new seed; an empty map keeps its", "[hashmap][clear]") {
  const Runtime runtime;
  const Root<LongMap> map = filled<>(10);
  const std::uint32_t seed = map->header()->hash0;
  map->clear();
  const std::uint32_t next = map->header()->hash0;
  CHECK(next != seed);
  map->clear();
  CHECK(map->header()->hash0 == next);
}

TEST_CASE("erasing the last pair gives a new seed", "[hashmap][clear]") {
  const Runtime runtime;
  const Root<LongMap> map = filled<>(2);
  const std::uint32_t seed = map->header()->hash0;
  map->erase(0);
  CHECK(map->header()->hash0 == seed);
  map->erase(1);
  CHECK(map->header()->hash0 != seed);
}

TEST_CASE("clear ends a growth", "[hashmap][clear]") {
  const Runtime runtime;
  const Root<LongMap> map = filled<>(417);
  REQUIRE(inspect(*map).growing);
  map->clear();
  CHECK_FALSE(inspect(*map).growing);
  CHECK(map->header()->nevacuate == 0);
  for (long i = 0; i < 1000; ++i) (*map)[i] = i;
  CHECK(hashmap::find_inconsistency(map->header(), map->type()) == nullptr);
}

TEST_CASE("clear keeps the flags of iterators", "[hashmap][clear]") {
  const Runtime runtime;
  const Root<LongMap> map = filled<>(100);
  for (const auto& pair : *map) (void)pair;
  map->clear();
  CHECK(inspect(*map).flags == (hashmap::kIterator | hashmap::kOldIterator));
}

TEST_CASE("clear removes NaN keys, an erase loop cannot", "[hashmap][clear][nan]") {
  const Runtime runtime;
  const Root<Map<double, long>> map = make_map<double, long>();
  for (long i = 0; i < 3; ++i) (*map)[std::nan("")] = i;
  (*map)[1.0] = 1;
  for (const auto& [key, value] : *map) map->erase(key);
  CHECK(map->size() == 3);
  map->clear();
  CHECK(map->empty());
}

TEST_CASE("what each way of emptying gives back", "[hashmap][clear]") {
  const Runtime runtime;
  const std::size_t without = heap_bytes();
  Root<Map<long, Ref<Node>>> map = filled<Ref<Node>>(10000);
  const std::size_t full = heap_bytes();
  const std::size_t nodes = 10000 * 16;
  const std::size_t blocks = inspect(*map).bytes;
  REQUIRE(full - without >= nodes + blocks);

  SECTION("an erase loop: only what the pairs referred to") {
    for (long i = 0; i < 10000; ++i) map->erase(i);
    CHECK(inspect(*map).bytes == blocks);
    CHECK(full - heap_bytes() == nodes);
  }
  SECTION("clear: the same, and overflow buckets that are no part of the array") {
    map->clear();
    CHECK(full - heap_bytes() == nodes + (blocks - inspect(*map).bytes));
  }
  SECTION("remake: everything but the new map") {
    map = make_map<long, Ref<Node>>();
    CHECK(heap_bytes() - without <= 48 + 64);
  }
  SECTION("nil: everything") {
    map = nullptr;
    CHECK(heap_bytes() - without <= 64);
  }
}

TEST_CASE("an erased value is zero when its key comes back", "[hashmap][clear]") {
  const Runtime runtime;
  const Root<LongMap> map = filled<>(10);
  map->erase(3);
  (*map)[3] += 1;
  CHECK(map->get(3) == 1);
}

TEST_CASE("a loop over a cleared map ends (Go 1.21)", "[hashmap][clear][iteration]") {
  const Runtime runtime;
  for (int i = 0; i < 20; ++i) CHECK(visits_after_clear() == 0);
}

TEST_CASE("before Go 1.21 a loop returned cleared pairs", "[hashmap][clear][iteration]") {
  const Runtime runtime;
  const DefaultRules restore;
  set_map_rules({1, 19});
  CHECK(visits_after_clear() > 500);
}

TEST_CASE("pairs added after a clear in the loop come at most once", "[hashmap][clear]") {
  const Runtime runtime;
  const Root<LongMap> map = filled<>(500);
  std::vector<int> visits(1000);
  bool cleared = false;
  for (const auto& [key, value] : *map) {
    if (!cleared) {
      cleared = true;
      map->clear();
      for (long i = 500; i < 1000; ++i) (*map)[i] = i;
      continue;
    }
    CHECK(key >= 500);
    CHECK(++visits[static_cast<std::size_t>(key)] == 1);
  }
}
