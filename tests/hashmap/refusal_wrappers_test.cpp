// Refused allocations, and hashes that throw, in the maps that are made of maps: whatever an
// operation throws, it has either done nothing or all it says, and the next one works.

#include <catch2/catch.hpp>

#include <new>
#include <stdexcept>

#include <gort/hashmap/shrinking_map.h>
#include <gort/hashmap/sync_map.h>
#include <gort/tests/hashmap/fragile.h>
#include <gort/tests/hashmap/refusal.h>
#include <gort/tests/hashmap/samples.h>

using namespace gort;
using namespace gort_test;

namespace {

const Options kRefusing{
    .gc_percent = -1, .conservative_stacks = false, .collect_every = kAsksEveryTime};

/// Whether `f` threw, with its k-th allocation refused.
template <class F>
bool refused(long k, F&& f) {
  Refusal::refuse(k);
  bool threw = false;
  try {
    f();
  } catch (const std::bad_alloc&) {
    threw = true;
  }
  Refusal::allow();
  return threw;
}

/// Whether `f` threw, with the k-th hash it asks for thrown.
template <class F>
bool interrupted(long k, F&& f) {
  FragileHash::countdown = k;
  bool threw = false;
  try {
    f();
  } catch (const std::runtime_error&) {
    threw = true;
  }
  FragileHash::countdown = 0;
  return threw;
}

}  // namespace

TEST_CASE("SyncMap: what misses cannot promote is found and erased all the same",
          "[hashmap][concurrent][refusal]") {
  const Runtime runtime(kRefusing);
  const Refusal refusal;
  SyncMap<long, long> map;
  map.store(1, 10);  // in dirty alone: each miss would promote
  Refusal::refuse_all();
  CHECK(map.load(1) == 10);
  CHECK(map.load_and_delete(1) == 10);
  Refusal::allow();
  CHECK_FALSE(map.load(1));
  map.store(2, 20);
  CHECK(map.load(2) == 20);
  CHECK(map.keys_held().second == 0);  // the first that could did
}

TEST_CASE("SyncMap: a store that is refused leaves deleted keys to be stored again",
          "[hashmap][concurrent][refusal]") {
  const Runtime runtime(kRefusing);
  const Refusal refusal;
  constexpr long kKeys = 52;
  long refusals = 0;
  for (long k = 1;; ++k) {
    INFO("allocation " << k);
    SyncMap<long, long> map;
    for (long i = 0; i < kKeys; ++i) map.store(i, i);
    map.range([](long, long) { return true; });        // promotes
    for (long i = 0; i < kKeys; i += 7) map.erase(i);  // entries without a value
    if (!refused(k, [&map] { map.store(1000, 1); })) {
      CHECK(map.load(1000) == 1);
      break;
    }
    ++refusals;
    CHECK_FALSE(map.load(1000));
    for (long i = 0; i < kKeys; i += 7) map.store(i, -i);
    map.range([](long, long) { return true; });
    for (long i = 0; i < kKeys; ++i) CHECK(map.load(i) == (i % 7 == 0 ? -i : i));
  }
  CHECK(refusals > 2);  // and how many more is chance: as many as there are overflow buckets
}

TEST_CASE("SyncMap: a hash that throws leaves deleted keys to be stored again",
          "[hashmap][concurrent][refusal]") {
  const Runtime runtime;
  constexpr long kKeys = 20;
  long interruptions = 0;
  for (long k = 1;; ++k) {
    INFO("hash " << k);
    SyncMap<long, long, FragileHash> map;
    for (long i = 0; i < kKeys; ++i) map.store(i, i);
    map.range([](long, long) { return true; });        // promotes
    for (long i = 0; i < kKeys; i += 3) map.erase(i);  // entries without a value
    if (!interrupted(k, [&map] { map.store(1000, 1); })) {
      CHECK(map.load(1000) == 1);
      break;
    }
    ++interruptions;
    CHECK_FALSE(map.load(1000));
    for (long i = 0; i < kKeys; i += 3) REQUIRE_NOTHROW(map.store(i, -i));
    map.range([](long, long) { return true; });
    for (long i = 0; i < kKeys; ++i) CHECK(map.load(i) == (i % 3 == 0 ? -i : i));
  }
  CHECK(interruptions > kKeys);  // the copy alone hashes each key
}

TEST_CASE("ShrinkingMap: a hash that throws leaves each pair in one map",
          "[hashmap][policy][shrink][refusal]") {
  const Runtime runtime;
  constexpr long kKeys = 1000;
  static constexpr long kLast = kKeys - 1;
  for (long k = 1; k < 40; ++k) {
    INFO("hash " << k);
    ShrinkingMap<long, long, FragileHash> map;
    for (long i = 0; i < kKeys; ++i) map.insert_or_assign(i, i);
    long erased = 0;
    while (!map.shrinking()) REQUIRE(map.erase(erased++));
    const std::size_t size = map.size();
    const bool threw = interrupted(k, [&map] { map.insert_or_assign(kLast, -1); });
    CHECK(map.size() == size);
    REQUIRE(map.find(kLast) != nullptr);
    CHECK(*map.find(kLast) == (threw ? kLast : -1));
    // What moved behind it may have been interrupted too.
    while (map.shrinking()) (void)map.erase(-1);
    CHECK(map.size() == size);
    CHECK(*map.find(kLast) == (threw ? kLast : -1));
    for (long i = erased; i < kLast; ++i) REQUIRE(*map.find(i) == i);
    CHECK(map.erase(kLast));
    CHECK_FALSE(map.contains(kLast));
  }
}

TEST_CASE("ShrinkingMap: a write is done although moving on is refused",
          "[hashmap][policy][shrink][refusal]") {
  const Runtime runtime(kRefusing);
  const Refusal refusal;
  ShrinkingMap<long, Bytes136> map;  // each pair that moves asks for memory
  constexpr long kKeys = 1000;
  for (long i = 0; i < kKeys; ++i) map.insert_or_assign(i, Sample<Bytes136>::make(i));
  long erased = 0;
  while (!map.shrinking()) REQUIRE(map.erase(erased++));
  map.insert_or_assign(kKeys, Sample<Bytes136>::make(0));  // stands where the others move to
  Refusal::refuse_all();
  for (long i = 0; i < 20; ++i) {
    REQUIRE(map.erase(erased++));
    REQUIRE_FALSE(map.insert_or_assign(kKeys, Sample<Bytes136>::make(kKeys)));
    REQUIRE(map.shrinking());
  }
  Refusal::allow();
  CHECK(map.size() == static_cast<std::size_t>(kKeys + 1 - erased));
  for (long i = erased; i <= kKeys; ++i) {
    REQUIRE(map.find(i) != nullptr);
    REQUIRE(Sample<Bytes136>::number(*map.find(i)) == i);
  }
  while (map.shrinking()) REQUIRE(map.erase(erased++));
}
