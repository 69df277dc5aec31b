// Writes whose key or value stands in the map itself: m[b] = *m.find(a). Such a write may move the
// chain that they stand in, which clears the place.

#include <catch2/catch.hpp>

#include <array>
#include <cmath>
#include <string>

#include <gort/hashmap/hooked_map.h>
#include <gort/hashmap/masked_store.h>
#include <gort/hashmap/policies.h>
#include <gort/hashmap/shrinking_map.h>
#include <gort/tests/hashmap/samples.h>

using namespace gort;
using namespace gort_test;

namespace {

constexpr long kPairs = 2000;

struct Huge {
  std::array<char, std::size_t{16} << 20> bytes{};
  GORT_POINTER_FREE();
};

/// Fills the map by `write(map, i)`, which writes pair i with the value of pair i - 1.
template <class V, class Write>
void hand_down(bool wipe, Write&& write) {
  const Runtime runtime({.gc_percent = -1, .conservative_stacks = false, .poison = true});
  const Root<Map<long, V>> map = make_map<long, V>();
  wipe_eagerly(*map, wipe);
  (*map)[0] = Sample<V>::make(7);
  for (long i = 1; i < kPairs; ++i) {
    write(*map, i);
    REQUIRE(Sample<V>::number(map->get(i)) == 7);
  }
}

template <class V>
void hand_down_in_all_ways(bool wipe) {
  hand_down<V>(wipe, [](auto map, long i) { map.insert_or_assign(i, *map.find(i - 1)); });
  hand_down<V>(wipe, [](auto map, long i) { map[i] = *map.find(i - 1); });
}

/// Equal keys differ in their version, and an assignment stores the one it is given.
template <std::size_t kPad>
struct Versioned {
  long id = 0;
  long version = 0;
  std::array<long, kPad> pad{};
  GORT_POINTER_FREE();
  friend bool operator==(const Versioned& a, const Versioned& b) { return a.id == b.id; }
};
struct IdHash {
  template <std::size_t kPad>
  std::uint64_t operator()(const Versioned<kPad>& key, std::uint32_t seed) const {
    return hashmap::hash_word(static_cast<std::uint64_t>(key.id), seed);
  }
};
using Small = Versioned<1>;
using Large = Versioned<20>;  // an object of its own

/// The key as it stands in the map.
template <class K, class V, class Hash>
const K& key_in(const Map<K, V, Hash>& map, const K& key) {
  return *hashmap::Table<K, V, Hash>::find(map.header(), key).key();
}

/// Assigns to a key that is there, of both by what stands in the pair itself; if `growing`, to a
/// map that is.
template <class K>
void overwrite_by_itself(bool growing) {
  const Runtime runtime(
      {.gc_percent = -1, .conservative_stacks = false, .collect_every = 1, .poison = true});
  const Root<Map<K, K, IdHash>> map = make_map<K, K, IdHash>();
  const Root<Map<K, long, IdHash>> numbers = make_map<K, long, IdHash>();
  const auto grows = [](const auto& it) { return it->header()->growing() && it->header()->B > 5; };
  for (long id = 0; id == 0 || (growing && !grows(map)); ++id) map->insert_or_assign(K{id, 1}, {});
  for (long id = 0; id == 0 || (growing && !grows(numbers)); ++id) (*numbers)[K{id, 1}] = 0;

  map->insert_or_assign(K{0, 2}, key_in(*map, K{0}));
  CHECK(map->find(K{0})->version == 1);
  CHECK(key_in(*map, K{0}).version == 2);

  map->insert_or_assign(*map->find(K{0}), K{0, 3});
  CHECK(map->find(K{0})->version == 3);
  CHECK(key_in(*map, K{0}).version == 1);

  // Each becomes the other.
  map->insert_or_assign(*map->find(K{0}), key_in(*map, K{0}));
  CHECK(map->find(K{0})->version == 1);
  CHECK(key_in(*map, K{0}).version == 3);

  numbers->insert_or_assign(K{0, 5}, key_in(*numbers, K{0}).version);
  CHECK(*numbers->find(K{0}) == 1);
  (*numbers)[K{0, 6}] += key_in(*numbers, K{0}).version;
  CHECK(*numbers->find(K{0}) == 6);
  CHECK(key_in(*numbers, K{0}).version == 6);
  REQUIRE(grows(map) == growing);
  REQUIRE(grows(numbers) == growing);
}

}  // namespace

TEST_CASE("a value may be given by its place in the map", "[hashmap][alias]") {
  hand_down_in_all_ways<Ref<Node>>(false);
  hand_down_in_all_ways<String>(false);
  hand_down_in_all_ways<Mixed>(false);
  hand_down_in_all_ways<Wide>(false);
  hand_down_in_all_ways<long>(true);
  hand_down_in_all_ways<Bytes128>(true);
  hand_down<long>(true, [](auto map, long i) { map[i] += *map.find(i - 1); });
}

TEST_CASE("a value may be given by the key that is stored again", "[hashmap][alias]") {
  for (const bool growing : {false, true}) {
    INFO("growing: " << growing);
    overwrite_by_itself<Small>(growing);
    overwrite_by_itself<Large>(growing);
  }
}

TEST_CASE("of zeros and strings the value is what the key was before", "[hashmap][alias]") {
  const Runtime runtime;
  struct OwnHash : DefaultHash<double> {};
  hashmap::WriteWay& way = hashmap::Table<double, double, OwnHash>::write_way;
  for (const bool masked : {false, true}) {
    if (masked && !hashmap::can_mask()) continue;
    way.set_mask_from(masked ? 0 : hashmap::WriteWay::kNever);
    const Root<Map<double, double, OwnHash>> zeros = make_map<double, double, OwnHash>();
    zeros->insert_or_assign(0.0, 1);
    zeros->insert_or_assign(-0.0, key_in(*zeros, 0.0));
    CHECK_FALSE(std::signbit(*zeros->find(0.0)));
    CHECK(std::signbit(key_in(*zeros, 0.0)));
    zeros->insert_or_assign(*zeros->find(0.0), 5);
    CHECK_FALSE(std::signbit(key_in(*zeros, 0.0)));
  }
  way.set_mask_from(hashmap::WriteWay::kNever);

  const Root<Map<String, String>> strings = make_map<String, String>();
  strings->insert_or_assign(String("a key"), String("a value"));
  const char* const first = key_in(*strings, String("a key")).data();
  strings->insert_or_assign(String("a key"), key_in(*strings, String("a key")));
  CHECK(strings->find("a key")->data() == first);
  CHECK(key_in(*strings, String("a key")).data() != first);
}

TEST_CASE("a value that is larger than the stack is not copied to it", "[hashmap][alias]") {
  const Runtime runtime;
  static Huge huge;
  huge.bytes[huge.bytes.size() - 1] = 7;
  const Root<Map<long, Huge>> map = make_map<long, Huge>();
  map->insert_or_assign(1, huge);
  map->insert_or_assign(2, *map->find(1));
  CHECK(map->find(2)->bytes[huge.bytes.size() - 1] == 7);
}

TEST_CASE("a key may be given by its place in the map", "[hashmap][alias]") {
  const Runtime runtime;
  // Each value is its key. No loop is under way: for one, what is moved would stay as it was.
  const Root<Map<String, String>> map = make_map<String, String>();
  const auto insert = [&map](std::size_t number) {
    const String key(std::to_string(number));
    map->insert_or_assign(key, key);
  };
  std::size_t next = 0;
  std::size_t first = 0;  // all before it are erased
  std::size_t while_growing = 0;
  for (int growth = 0; growth < 8; ++growth) {
    while (!map->header()->growing()) insert(next++);
    // Each erase moves the chain that the key is in, and one more.
    for (; map->header()->growing(); ++first) {
      REQUIRE(map->erase(*map->find(String(std::to_string(first)))));
      CHECK_FALSE(map->contains(std::to_string(first)));
      ++while_growing;
    }
    CHECK(map->size() == next - first);
  }
  CHECK(while_growing > 100);
}

TEST_CASE("a hook is told the pair that was given by its place in the map",
          "[hashmap][alias][policy][hook]") {
  const Runtime runtime;
  long told = 0;
  HookedMap<long, String> map(
      {.on_insert = [&told](long, const String& value) { told += value.view() == "seven"; }});
  map.insert_or_assign(0, "seven");
  for (long i = 1; i < kPairs; ++i) map.insert_or_assign(i, *map.find(i - 1));
  CHECK(told == kPairs);
}
