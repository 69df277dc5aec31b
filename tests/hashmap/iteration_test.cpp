// Go's rules of iteration, one by one; iteration_rules_test.cpp has all of them at once.

#include <catch2/catch.hpp>

#include <cmath>
#include <set>
#include <vector>

#include <gort/tests/hashmap/samples.h>

using namespace gort;
using namespace gort_test;

TEST_CASE("an empty map has no first pair", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(0);
  CHECK(map->begin() == map->end());
  (*map)[1] = 1;
  map->erase(1);
  CHECK(map->begin() == map->end());
}

TEST_CASE("iteration starts at a random pair", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(100);
  std::set<long> first;
  for (int i = 0; i < 200; ++i) first.insert(map->begin().key());
  CHECK(first.size() > 20);
}

TEST_CASE("all pairs may be erased in the loop", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(1000);
  long visits = 0;
  for (const auto& [key, value] : *map) {
    CHECK(map->erase(key));
    ++visits;
  }
  CHECK(visits == 1000);
  CHECK(map->empty());
}

TEST_CASE("a pair that is erased before its turn is not visited", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(1000);
  std::set<long> erased;
  for (const auto& [key, value] : *map) {
    CHECK(erased.count(key) == 0);
    const long other = key ^ 1;
    if (map->erase(other)) erased.insert(other);
  }
}

TEST_CASE("growth in the loop: nothing missed, nothing twice", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(1000);
  std::set<long> seen;
  long added = 1000;
  for (const auto& [key, value] : *map) {
    CHECK(seen.insert(key).second);
    if (added < 9000) {
      for (int i = 0; i < 10; ++i, ++added) (*map)[added] = added;
    }
  }
  for (long i = 0; i < 1000; ++i) CHECK(seen.count(i) == 1);
}

TEST_CASE("a value written in the loop is the one that is visited", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(416);  // one more grows
  bool first = true;
  for (const auto& [key, value] : *map) {
    if (first) {
      first = false;
      for (long i = 0; i < 1000; ++i) (*map)[i] = i + 5;
      continue;
    }
    CHECK(value == key + 5);
  }
}

TEST_CASE("what the loop variable holds is a copy", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(10);
  for (auto [key, value] : *map) {
    const long kept = value;
    (*map)[key] = -1;
    CHECK(value == kept);
    value = 77;
  }
  for (long i = 0; i < 10; ++i) CHECK(map->get(i) == -1);
}

TEST_CASE("dropping or remaking the map does not stop the loop", "[hashmap][iteration]") {
  const Runtime runtime({.gc_percent = -1, .conservative_stacks = false, .poison = true});
  Root<LongMap> map = filled(1000);
  long visits = 0;
  for (const auto& [key, value] : *map) {
    if (visits == 0) map = nullptr;
    if (visits == 500) map = filled(3);
    if (visits % 100 == 0) collect();
    CHECK(key == value);
    ++visits;
  }
  CHECK(visits == 1000);
}

// The loop walks the array that was cleared, with the overflow buckets that were hung on it since,
// while the map has long gone on to a larger one.
TEST_CASE("a loop keeps hold of what was inserted after a clear in it", "[hashmap][iteration]") {
  const Runtime runtime({.gc_percent = -1, .conservative_stacks = false, .poison = true});
  for (long round = 0; round < 20; ++round) {
    const Root<LongMap> map = filled(50);
    auto it = map->begin();
    map->clear();
    for (long i = 100; i < 150; ++i) map->insert_or_assign(i, -i);  // 8 buckets, so some overflow
    for (long i = 150; i < 400; ++i) map->insert_or_assign(i, -i);
    REQUIRE_FALSE(inspect(*map).growing);
    collect();
    for (++it; it != map->end(); ++it) {
      REQUIRE(it.key() >= 100);
      REQUIRE(it.key() < 400);
      REQUIRE(it.value() == -it.key());
    }
  }
}

// Go does the same, and visits at most twice what was inserted after the clear.
TEST_CASE("a clear gives away the spare bucket in which a loop stands", "[hashmap][iteration]") {
  const Runtime runtime;
  std::set<std::size_t> visits;
  for (int round = 0; round < 100; ++round) {
    const Root<Map<long, long, PlaceHash>> map = make_map<long, long, PlaceHash>(104);
    for (long i = 0; i < 9; ++i) (*map)[16 * i] = 0;  // the last one has the first spare bucket
    REQUIRE(map->header()->B == 4);
    auto it = map->begin();
    while (it.key() != 16 * 8) ++it;
    map->clear();
    for (long i = 0; i < 16; ++i) (*map)[16 * i + 1] = 0;  // half of them in that bucket
    std::multiset<long> seen;
    for (++it; it != std::default_sentinel; ++it) seen.insert(it.key());
    for (const long key : seen) visits.insert(seen.count(key));
  }
  CHECK(visits == std::set<std::size_t>{1, 2});
}

TEST_CASE("NaN keys are visited once each, through growths", "[hashmap][iteration][nan]") {
  const Runtime runtime;
  const Root<Map<double, long>> map = make_map<double, long>();
  for (long i = 0; i < 300; ++i) (*map)[std::nan("")] = i;
  for (const bool in_growth : {false, true}) {
    if (in_growth) {
      while (!inspect(*map).growing) (*map)[std::nan("")] = -1;
    }
    std::set<long> seen;
    long added = 0;
    for (const auto& [key, value] : *map) {
      if (value >= 0) CHECK(seen.insert(value).second);
      if (added++ < 2000) (*map)[std::nan("")] = -1;
    }
    CHECK(seen.size() == 300);
  }
}

TEST_CASE("a loop begun within a stalled growth sees everything once", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(417);
  REQUIRE(inspect(*map).growing);
  std::set<long> seen;
  for (const auto& [key, value] : *map) CHECK(seen.insert(key).second);
  CHECK(seen.size() == 417);
  CHECK(inspect(*map).growing);  // reading never advances a growth
}

TEST_CASE("a loop within an old chain survives the end of the growth", "[hashmap][iteration]") {
  const Runtime runtime({.gc_percent = -1, .conservative_stacks = false, .poison = true});
  for (int round = 0; round < 10; ++round) {
    // Of pointer-free buckets the lists keep spare ones, and with them the whole old array.
    const Root<Map<long, Ref<Node>>> map = make_map<long, Ref<Node>>();
    for (long i = 0; i < 417; ++i) (*map)[i] = nullptr;
    REQUIRE(inspect(*map).growing);
    std::set<long> seen;
    for (const auto& [key, value] : *map) {
      CHECK(seen.insert(key).second);
      if (seen.size() != static_cast<std::size_t>(round + 1)) continue;
      while (inspect(*map).growing) map->erase(-1);
      collect();
    }
    CHECK(seen.size() == 417);
  }
}

// Flags and lists of the map are then those of the second growth.
TEMPLATE_TEST_CASE("a loop within the second growth since it began", "[hashmap][iteration]", long,
                   Ref<Node>) {
  const Runtime runtime({.gc_percent = -1, .conservative_stacks = false, .poison = true});
  set_map_random({[](void*) -> std::uint64_t { return 0; }});  // loops begin at bucket 0
  using PlaceMap = Map<long, TestType, PlaceHash>;
  const Root<PlaceMap> map = make_map<long, TestType, PlaceHash>(26);
  const auto set = [&map](long k, long i) { (*map)[k] = Sample<TestType>::make(i); };
  const auto key = [](long bucket, long i) { return bucket + 4 * i; };
  REQUIRE(map->header()->B == 2);

  // Nine pairs in bucket 1, one in each of the others: four overflow buckets make the next insert
  // grow to the same size.
  for (const long bucket : {0, 1, 2, 3}) {
    for (long i = 0; i < 9; ++i) set(key(bucket, i), i);
    for (long i = 0; i < 8 && bucket != 1; ++i) map->erase(key(bucket, i));
  }
  auto at = map->begin();
  REQUIRE(at.key() == key(0, 8));
  set(key(0, 10), 0);
  REQUIRE(map->header()->same_size_growth());
  while (map->header()->growing()) map->erase(-1);

  for (const long bucket : {0, 2, 3}) {
    for (long i = 20; i < 28; ++i) set(key(bucket, i), i);
    for (long i = 20; i < 28; ++i) map->erase(key(bucket, i));
  }
  set(key(3, 10), 0);
  REQUIRE(map->header()->same_size_growth());
  ++at;
  REQUIRE(at.key() == key(1, 0));  // in the old chain of the second growth
  SECTION("the growth ends") {
    while (map->header()->growing()) map->erase(-1);
    collect();
    for (long i = 1; i < 9; ++i) {
      ++at;
      REQUIRE(at.key() == key(1, i));
      CHECK(Sample<TestType>::number(at.value()) == i);
    }
  }
  SECTION("the map is cleared") {
    map->clear();
    collect();
    ++at;
    CHECK(at == map->end());
  }
  set_map_random({});
}

TEST_CASE("several loops over one map do not disturb each other", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(100);
  long pairs = 0;
  for (const auto& [a, x] : *map) {
    for (const auto& [b, y] : *map) pairs += a == b;
  }
  CHECK(pairs == 100);
}

TEST_CASE("a copy of an iterator goes its own way", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(50);
  auto one = map->begin();
  for (int i = 0; i < 20; ++i) ++one;
  auto two = one;
  std::vector<long> rest_one;
  std::vector<long> rest_two;
  for (; one != map->end(); ++one) rest_one.push_back(one.key());
  for (; two != map->end(); ++two) rest_two.push_back(two.key());
  CHECK(rest_one == rest_two);
  CHECK(rest_one.size() == 30);
}

TEST_CASE("iteration leaves its flags until the next growth", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(416);
  CHECK(inspect(*map).flags == 0);
  for (const auto& pair : *map) (void)pair;
  CHECK(inspect(*map).flags == (hashmap::kIterator | hashmap::kOldIterator));
  (*map)[416] = 0;
  CHECK(inspect(*map).growing);
  CHECK(inspect(*map).flags == hashmap::kOldIterator);
}
