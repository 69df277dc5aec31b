// Writes whose key or value stands in the map itself: m[b] = *m.find(a). Such a write may move the
// chain that they stand in, which clears the place.

#include <catch2/catch.hpp>

#include <array>
#include <string>

#include <gort/hashmap/hooked_map.h>
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
