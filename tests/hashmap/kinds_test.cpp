// Every kind of key and of value, through a life of inserts, overwrites, deletes and growths, with
// collections in between; and the sizes that Go's compiler gives the buckets.

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <set>
#include <string_view>

#include <gort/hashmap/hooked_map.h>
#include <gort/hashmap/locked_map.h>
#include <gort/hashmap/shrinking_map.h>
#include <gort/hashmap/sync_map.h>
#include <gort/tests/hashmap/samples.h>

using namespace gort;
using namespace gort_test;

namespace {

constexpr long kKeys = 300;

// Keys stand in a rooted array: a map of Ref keys needs the same nodes again.
template <class K>
Root<K> make_keys(long count) {
  const Root<K> keys(make_array<K>(static_cast<std::size_t>(count)));
  for (long i = 0; i < count; ++i) keys.get()[i] = Sample<K>::make(i);
  return keys;
}

template <class K, class V, class Hash>
void check_pairs(const Map<K, V, Hash>& map, const Root<K>& keys, long from, long to, long plus) {
  CHECK(hashmap::find_inconsistency(map.header(), map.type()) == nullptr);
  CHECK(map.size() == static_cast<std::size_t>(to - from));
  for (long i = 0; i < kKeys; ++i) {
    const V* value = map.find(keys.get()[i]);
    REQUIRE((value != nullptr) == (i >= from && i < to));
    if constexpr (!std::is_empty_v<V>) {
      if (value != nullptr) REQUIRE(Sample<V>::number(*value) == i + plus);
    }
  }
  std::set<long> seen;
  for (const auto& [key, value] : map) {
    const long i = Sample<K>::number(key);
    if constexpr (!std::is_empty_v<V>) REQUIRE(Sample<V>::number(value) == i + plus);
    REQUIRE(seen.insert(i).second);
  }
  CHECK(seen.size() == map.size());
}

template <class K, class V, class Hash = DefaultHash<K>>
void live_a_life() {
  const Runtime runtime({.gc_percent = -1,
                         .conservative_stacks = false,
                         .collect_every = 7,
                         .verify = true,
                         .poison = true});
  const Root<K> keys = make_keys<K>(kKeys);
  const Root<Map<K, V, Hash>> map = make_map<K, V, Hash>();
  for (long i = 0; i < kKeys; ++i) {
    CHECK(map->insert_or_assign(keys.get()[i], Sample<V>::make(i)));
  }
  check_pairs(*map, keys, 0, kKeys, 0);
  for (long i = 0; i < kKeys; ++i) {
    CHECK_FALSE(map->insert_or_assign(keys.get()[i], Sample<V>::make(i + 1)));
  }
  check_pairs(*map, keys, 0, kKeys, 1);
  for (long i = 0; i < kKeys / 2; ++i) CHECK(map->erase(keys.get()[i]));
  CHECK_FALSE(map->erase(keys.get()[0]));
  check_pairs(*map, keys, kKeys / 2, kKeys, 1);
  for (long i = 0; i < kKeys / 2; ++i) (*map)[keys.get()[i]] = Sample<V>::make(i + 1);
  collect();
  check_pairs(*map, keys, 0, kKeys, 1);
  map->clear();
  collect();
  check_pairs(*map, keys, 0, 0, 0);
}

/// A key with a String in it: DefaultHash does not know such a struct, so it has a hash of its own,
/// made of the hashes of its members.
struct Named {
  long number = 0;
  String name;
  bool operator==(const Named&) const = default;
  GORT_FIELDS(Named, name);
};
struct NamedHash {
  std::uint64_t operator()(const Named& key, std::uint32_t seed) const {
    return hashmap::hash_key(key.name, hashmap::hash_key(key.number, seed));
  }
  template <std::size_t N>
  std::uint64_t operator()(const std::array<Named, N>& key, std::uint32_t seed) const {
    std::uint64_t hash = seed;
    for (const Named& part : key) {
      hash = hashmap::hash_key(part.name, hashmap::hash_key(part.number, hash));
    }
    return hash;
  }
};

template <class K, class V>
constexpr hashmap::BucketShape shape = hashmap::kShape<K, V>;

}  // namespace

template <>
struct gort_test::Sample<Named> {
  static Named make(long i) { return {i % 3, Sample<String>::make(i)}; }
  static long number(const Named& key) {
    const long i = Sample<String>::number(key.name);
    return key.number == i % 3 ? i : -1;
  }
};

TEST_CASE("integer keys and values of every width", "[hashmap][kinds]") {
  live_a_life<std::int16_t, std::int16_t>();
  live_a_life<std::int32_t, std::int32_t>();
  live_a_life<std::uint32_t, std::int64_t>();
  live_a_life<std::int64_t, std::int16_t>();
  live_a_life<std::uint64_t, std::uint64_t>();
  live_a_life<Colour, short>();
}

TEST_CASE("one-byte keys: a map of all 256 of them", "[hashmap][kinds]") {
  const Runtime runtime;
  const Root<Map<std::uint8_t, std::uint8_t>> map = make_map<std::uint8_t, std::uint8_t>();
  for (int i = 0; i < 256; ++i) {
    (*map)[static_cast<std::uint8_t>(i)] = static_cast<std::uint8_t>(255 - i);
  }
  CHECK(map->size() == 256);
  for (int i = 0; i < 256; ++i) CHECK(map->get(static_cast<std::uint8_t>(i)) == 255 - i);
}

TEST_CASE("floating-point keys and values", "[hashmap][kinds]") {
  live_a_life<float, double>();
  live_a_life<double, float>();
}

TEST_CASE("String keys and values", "[hashmap][kinds]") {
  live_a_life<String, long>();
  live_a_life<long, String>();
  live_a_life<String, String>();
}

TEST_CASE("Ref keys and values", "[hashmap][kinds]") {
  live_a_life<Ref<Node>, long>();
  live_a_life<long, Ref<Node>>();
  live_a_life<Ref<Node>, Ref<Node>>();
}

TEST_CASE("struct, array and pair keys and values", "[hashmap][kinds]") {
  live_a_life<Point, Point>();
  live_a_life<std::array<int, 3>, std::array<short, 5>>();
  live_a_life<std::pair<String, int>, long>();
  live_a_life<std::pair<std::array<int, 3>, int>, long>();
  live_a_life<std::array<String, 2>, std::array<Ref<Node>, 3>>();
}

TEST_CASE("structs that mix references and plain data", "[hashmap][kinds]") {
  live_a_life<long, Mixed>();
  live_a_life<String, Mixed>();
}

TEST_CASE("128 bytes stand in the bucket, 136 in an object of their own", "[hashmap][kinds]") {
  CHECK(shape<long, Bytes128>.elem_slot == 128);
  CHECK(shape<long, Bytes136>.elem_slot == 8);
  CHECK(shape<Bytes136, long>.key_slot == 8);
  CHECK(shape<long, Bytes128>.pointer_free);
  CHECK_FALSE(shape<long, Bytes136>.pointer_free);
  live_a_life<Bytes128, Bytes128>();
  live_a_life<long, Bytes136>();
  live_a_life<Bytes136, long>();
  live_a_life<Bytes136, Bytes136>();
}

TEST_CASE("large keys and values that hold references", "[hashmap][kinds]") {
  live_a_life<Wide, long, SampleHash>();
  live_a_life<long, Wide>();
  live_a_life<Wide, Wide, SampleHash>();
  live_a_life<String, Wide>();
}

TEST_CASE("struct keys that hold a String, with a hash of their own", "[hashmap][kinds][string]") {
  live_a_life<Named, long, NamedHash>();
  live_a_life<Named, Ref<Node>, NamedHash>();
  live_a_life<std::array<Named, 2>, long, NamedHash>();
  live_a_life<std::array<Named, 6>, String, NamedHash>();  // an object of its own
}

TEST_CASE("zero-size values: a set", "[hashmap][kinds]") {
  live_a_life<long, Unit>();
  live_a_life<String, Unit>();
  live_a_life<Wide, Unit, SampleHash>();
}

TEST_CASE("a zero-size key: a map of one pair at most", "[hashmap][kinds]") {
  const Runtime runtime;
  const Root<Map<Unit, long>> map = make_map<Unit, long>();
  CHECK(map->find(Unit{}) == nullptr);
  (*map)[Unit{}] = 1;
  (*map)[Unit{}] = 2;
  CHECK(map->size() == 1);
  CHECK(map->get(Unit{}) == 2);
  CHECK(map->erase(Unit{}));
  CHECK(map->empty());
}

TEST_CASE("bucket sizes are those of Go's compiler", "[hashmap][kinds]") {
  CHECK(shape<std::int64_t, std::int64_t>.bucket_size == 144);
  CHECK(shape<String, std::int64_t>.bucket_size == 208);
  CHECK(shape<std::int64_t, String>.bucket_size == 208);
  CHECK(shape<String, String>.bucket_size == 272);
  CHECK(shape<std::int64_t, bool>.bucket_size == 88);
  CHECK(shape<std::int32_t, std::int32_t>.bucket_size == 80);
  CHECK(shape<std::int64_t, Unit>.bucket_size == 80);
  CHECK(shape<String, bool>.bucket_size == 152);
  CHECK(shape<std::uint8_t, std::uint8_t>.bucket_size == 32);
  CHECK(shape<std::int64_t, Bytes128>.bucket_size == 1104);
  CHECK(shape<std::int64_t, Bytes136>.bucket_size == 144);
}

TEST_CASE("every NaN is a new key that nothing finds", "[hashmap][kinds][nan]") {
  const Runtime runtime;
  const Root<Map<double, long>> map = make_map<double, long>();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (long i = 0; i < 100; ++i) CHECK(map->insert_or_assign(nan, i));
  CHECK(map->size() == 100);
  CHECK(map->find(nan) == nullptr);
  CHECK_FALSE(map->erase(nan));
  std::set<long> seen;
  for (const auto& [key, value] : *map) {
    CHECK(std::isnan(key));
    CHECK(seen.insert(value).second);
  }
  CHECK(seen.size() == 100);
}

TEST_CASE("many NaNs spread over the buckets", "[hashmap][kinds][nan]") {
  const Runtime runtime;
  const Root<Map<double, long>> map = make_map<double, long>();
  for (long i = 0; i < 10000; ++i) (*map)[std::nan("")] = i;
  CHECK(inspect(*map).longest_chain < 6);
}

TEST_CASE("+0 and -0 are one key, and the last one written stands there", "[hashmap][kinds]") {
  const Runtime runtime;
  const Root<Map<double, long>> map = make_map<double, long>();
  (*map)[0.0] = 1;
  (*map)[-0.0] = 2;
  CHECK(map->size() == 1);
  CHECK(map->get(0.0) == 2);
  CHECK(std::signbit(map->begin().key()));
}

TEST_CASE("an equal String replaces the one in the map", "[hashmap][kinds][string]") {
  const Runtime runtime;
  const Root<Map<String, long>> map = make_map<String, long>();
  static const char kFirst[] = "abc";
  static const char kSecond[] = "abc";
  const std::string copy(kSecond);
  (*map)[String::from_static(kFirst)] = 1;
  (*map)[String::from_static(std::string_view(copy))] = 2;
  CHECK(map->size() == 1);
  CHECK(map->begin().key().data() == copy.data());
}

TEST_CASE("a map of Strings is used with any text", "[hashmap][kinds][string]") {
  const Runtime runtime;
  const Root<Map<String, long>> map = make_map<String, long>();
  (*map)["one"] = 1;
  (*map)[std::string_view("two")] = 2;
  (*map)[std::string("three")] += 3;
  CHECK(map->insert_or_assign("four", 4));
  CHECK_FALSE(map->insert_or_assign("four", 5));
  CHECK(*map->find("one") == 1);
  CHECK(*map->find(std::string_view("two")) == 2);
  CHECK((*map)[std::string("three")] == 3);
  CHECK(map->get(String("four")) == 5);
  CHECK(map->contains("one"));
  CHECK_FALSE(map->contains("five"));
  CHECK(map->erase("one"));
  CHECK_FALSE(map->erase(std::string("one")));
  CHECK(map->size() == 3);
}

TEST_CASE("looking up text makes no String", "[hashmap][kinds][string]") {
  const Runtime runtime;
  const Root<Map<String, long>> map = make_map<String, long>();
  (*map)["present"] = 1;
  const std::uint64_t before = mem_stats().Mallocs;
  for (int i = 0; i < 100; ++i) {
    CHECK(map->find("present") != nullptr);
    CHECK(map->find("absent, and longer than a tiny block") == nullptr);
    (*map)["present"] = 2;
    map->erase("absent, and longer than a tiny block");
  }
  CHECK(mem_stats().Mallocs == before);
}

TEST_CASE("looking up text makes no String in any kind of map", "[hashmap][kinds][string]") {
  const Runtime runtime;
  const Root<Map<String, long>> map = make_map<String, long>();
  ShrinkingMap<String, long> shrinking;
  HookedMap<String, long> hooked({});
  SyncMap<String, long> sync;
  LockedMap<String, long> locked;
  SnapshotMap<String, long> snapshot;
  (*map)["present"] = 1;
  shrinking.insert_or_assign("present", 1);
  hooked.insert_or_assign("present", 1);
  sync.store("present", 1);
  locked.store("present", 1);
  snapshot.store("present", 1);
  sync.range([](const String&, long) { return true; });  // no more misses
  const char* const absent = "absent, and longer than a tiny block";
  const std::uint64_t before = mem_stats().Mallocs;
  for (int i = 0; i < 10; ++i) {
    CHECK(map->get("present") == 1);
    CHECK(map->get(absent) == 0);
    CHECK(*shrinking.find("present") == 1);
    CHECK_FALSE(shrinking.contains(absent));
    CHECK_FALSE(shrinking.erase(absent));
    CHECK(*hooked.find("present") == 1);
    CHECK_FALSE(hooked.contains(absent));
    CHECK_FALSE(hooked.erase(absent));
    CHECK(sync.load("present") == 1);
    CHECK_FALSE(sync.contains(absent));
    CHECK_FALSE(sync.erase(absent));
    CHECK_FALSE(sync.load_and_delete(absent));
    CHECK(locked.load("present") == 1);
    CHECK_FALSE(locked.contains(absent));
    CHECK_FALSE(locked.erase(absent));
    CHECK(snapshot.load("present") == 1);
    CHECK_FALSE(snapshot.contains(absent));
  }
  CHECK(mem_stats().Mallocs == before);
  CHECK(shrinking.erase("present"));
  CHECK(hooked.erase("present"));
  CHECK(sync.erase("present"));
  CHECK(locked.erase("present"));
  CHECK(snapshot.erase("present"));
  CHECK(snapshot.size() == 0);
}

TEST_CASE("keys and values of String maps are found by what they say", "[hashmap][kinds][string]") {
  const Runtime runtime;
  const Root<Map<String, long>> map = make_map<String, long>();
  const std::string zeros("a\0b", 3);
  (*map)[zeros] = 1;
  (*map)[""] = 2;
  CHECK(map->find("a") == nullptr);
  CHECK(*map->find(zeros) == 1);
  CHECK(*map->find(String()) == 2);
}

TEST_CASE("two threads that need a map's type first agree on one", "[hashmap][kinds]") {
  static constinit Atomic<const hashmap::MapType*> known{nullptr};
  const hashmap::MapType& like = hashmap::map_type<long, long, DefaultHash<long>>();
  const auto get = [&like] {
    return &hashmap::known_or_made(known, like.shape, nullptr, like.name, like.hash, like.equal);
  };
  const hashmap::MapType* const first = get();
  CHECK(get() == first);  // as a thread would that has not seen the first
  CHECK(known.load_acquire() == first);
}
