// What m[k] gives, and the maps with a lock, a snapshot or a shrink of their own: what is asked of
// them once, where other tests ask for everything at once.

#include <catch2/catch.hpp>

#include <gort/hashmap/locked_map.h>
#include <gort/hashmap/shrinking_map.h>
#include <gort/tests/hashmap/samples.h>

using namespace gort;
using namespace gort_test;

TEST_CASE("compound assignments count from zero where there is no pair", "[hashmap][element]") {
  const Runtime runtime;
  const Root<LongMap> root = make_map<long, long>();
  const LongMap map = root.get();
  for (int i = 0; i < 3; ++i) ++map[1];
  --map[1];
  --map[2];
  map[3] |= 6;
  map[3] |= 9;
  map[4] |= 15;
  map[4] &= 12;
  map[5] &= 1;
  CHECK(map.size() == 5);
  CHECK(map.get(1) == 2);
  CHECK(map.get(2) == -1);
  CHECK(map.get(3) == 15);
  CHECK(map.get(4) == 12);
  CHECK(map.contains(5));
  CHECK(map.get(5) == 0);
  CHECK((++map[1] += 4) == 7);  // they give the element
}

TEST_CASE("a map that is given to a SnapshotMap takes the place of the one before",
          "[hashmap][concurrent]") {
  const Runtime runtime;
  SnapshotMap<long, long> map;
  map.store(1, 10);
  const Root<LongMap> before = map.snapshot();
  map.replace(filled(8).get());
  CHECK(map.size() == 8);
  CHECK(map.load(1) == 1);
  CHECK(before->size() == 1);  // who has it keeps it
  CHECK(before->get(1) == 10);
}

TEST_CASE("a LockedMap says how its map stands", "[hashmap][concurrent]") {
  const Runtime runtime;
  LockedMap<long, long> map;
  for (long i = 0; i < 417; ++i) map.store(i, i);
  const MapStats growing = map.stats();
  CHECK(growing.count == 417);
  CHECK(growing.B == 7);
  CHECK(growing.growing);
  while (map.evacuate(1000) > 0) {
  }
  CHECK_FALSE(map.stats().growing);
  CHECK(map.stats().count == 417);
}

TEST_CASE("a ShrinkingMap that is cleared while it shrinks is empty and at rest",
          "[hashmap][policy][shrink]") {
  const Runtime runtime;
  ShrinkingMap<long, long> map;
  for (long i = 0; i < 10'000; ++i) map.insert_or_assign(i, i);
  for (long i = 0; !map.shrinking(); ++i) map.erase(i);
  REQUIRE(map.draining().size() > 0);
  map.erase(-1);  // moves some, so that there are pairs in both maps
  REQUIRE(map.current().size() > 0);
  map.clear();
  CHECK(map.empty());
  CHECK_FALSE(map.shrinking());
  for (long i = 0; i < 10'000; ++i) REQUIRE_FALSE(map.contains(i));
  CHECK(map.insert_or_assign(9'999, 1));
  CHECK(*map.find(9'999) == 1);
  CHECK(map.size() == 1);
}
