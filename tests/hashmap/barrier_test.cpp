// The map's part of the write barrier (hashmap/header.h, "Under a concurrent collector"). Marking
// has begun and no marker has seen the map yet; then a value is moved to an object that is black,
// and leaves the map in each of the ways that there are. Only what the map records keeps the value.
//
// The heaps are exact, so no stack does. tests/mutations takes the barriers out one by one.

#include <catch2/catch.hpp>

#include <array>

#include <gort/hashmap/inspect.h>
#include <gort/hashmap/locked_map.h>
#include <gort/hashmap/map.h>
#include <gort/hashmap/policies.h>
#include <gort/hashmap/sync_map.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/gc/phases.h>

using namespace gort;
using gort_test::at_marking_started;
using gort_test::ExactHeap;
using gort_test::Node;
using gort_test::with_phases;

namespace {

// More than 128 bytes: stored indirectly, in an object of its own.
struct Large {
  std::array<long, 17> words{};
  Ref<Node> node;
  GORT_FIELDS(Large, node);
};

using References = Map<long, Ref<Node>>;

struct Holder {
  References map;
  GORT_FIELDS(Holder, map);
};

// The lowest bits say which chain.
struct KeyIsHash {
  std::uint64_t operator()(long key, std::uint32_t) const noexcept {
    return static_cast<std::uint64_t>(key);
  }
};

// Both ways of writing, where the processor has masked stores; for a scope.
template <class K, class V>
class BothWays {
 public:
  BothWays() { way().set_mask_from(GENERATE(false, true) ? 0 : hashmap::WriteWay::kNever); }
  ~BothWays() { way().set_mask_from(hashmap::WriteWay::kNever); }
  BothWays(const BothWays&) = delete;
  BothWays& operator=(const BothWays&) = delete;

 private:
  static hashmap::WriteWay& way() { return hashmap::Table<K, V, DefaultHash<K>>::write_way; }
};

Node* numbered(long i) {
  Node* node = make<Node>();
  node->value = i;
  return node;
}

// Values are `count` nodes, numbered as their keys.
Root<References> filled(long count) {
  const Root<References> map = make_map<long, Ref<Node>>();
  for (long i = 0; i < count; ++i) {
    const Root<Node> node(numbered(i));
    map->insert_or_assign(i, node.get());
  }
  return map;
}

// Refers to what it is given, and was born black.
struct BlackHome {
  Root<Ref<Node>> home;
  std::size_t used = 0;
  void begin(std::size_t most) { home = make_array<Ref<Node>>(most); }
  void take(Node* node) { home.get()[used++] = node; }
  Node* at(std::size_t i) const { return home.get()[i].get(); }
};

}  // namespace

TEST_CASE("a value that is overwritten in a map is recorded", "[hashmap][barrier]") {
  const BothWays<long, Ref<Node>> ways;
  const ExactHeap heap(with_phases());
  const Root<References> map = filled(1);
  const Root<Node> other(numbered(7));
  BlackHome black;
  at_marking_started = [&] {
    black.begin(1);
    black.take(*map->find(0));
    map->insert_or_assign(0, other.get());
  };
  heap.collect();
  CHECK(black.at(0)->value == 0);
  CHECK((*map->find(0))->value == 7);
}

TEST_CASE("values and keys that are erased from a map are recorded", "[hashmap][barrier]") {
  const BothWays<Ref<Node>, Ref<Node>> ways;
  const ExactHeap heap(with_phases());
  const Root<Map<Ref<Node>, Ref<Node>>> map = make_map<Ref<Node>, Ref<Node>>();
  {
    const Root<Node> key(numbered(1));
    const Root<Node> value(numbered(2));
    map->insert_or_assign(key.get(), value.get());
  }
  BlackHome black;
  at_marking_started = [&] {
    black.begin(2);
    for (const auto& [key, value] : *map) {
      black.take(key);
      black.take(value);
    }
    map->erase(black.at(0));
  };
  heap.collect();
  CHECK(map->size() == 0);
  CHECK(black.at(0)->value == 1);
  CHECK(black.at(1)->value == 2);
}

TEST_CASE("the characters of a key that is erased are recorded", "[hashmap][barrier]") {
  const BothWays<String, long> ways;
  const ExactHeap heap(with_phases());
  const Root<Map<String, long>> map = make_map<String, long>();
  (*map)[String("a key with a block of its own")] = 1;
  Root<String> black;
  at_marking_started = [&] {
    black = make<String>();
    for (const auto& [key, value] : *map) *black = key;
    map->erase(*black);
  };
  heap.collect();
  CHECK(black->view() == "a key with a block of its own");
}

TEST_CASE("a value of its own object that is erased is recorded", "[hashmap][barrier]") {
  const ExactHeap heap(with_phases());
  const Root<Map<long, Large>> map = make_map<long, Large>();
  {
    const Root<Node> node(numbered(5));
    Large large;
    large.node = node.get();
    map->insert_or_assign(0, large);
  }
  Root<Ref<Large>> black;
  at_marking_started = [&] {
    black = make_array<Ref<Large>>(1);
    *black = map->find(0);
    map->erase(0);
  };
  heap.collect();
  CHECK((*black)->node->value == 5);
}

TEST_CASE("what clear takes out of a map is recorded", "[hashmap][barrier]") {
  const ExactHeap heap(with_phases());
  const int way = GENERATE(0, 1, 2);
  const bool growing = GENERATE(false, true);  // then most of it stands in the old array
  const long count = growing ? 833 : 832;
  const Root<References> map = filled(count);
  REQUIRE(inspect(*map).growing == growing);
  BlackHome black;
  at_marking_started = [&] {
    black.begin(static_cast<std::size_t>(count));
    for (long i = 0; i < count; ++i) black.take(*map->find(i));
    if (way == 0) map->clear();
    if (way == 1) clear_sparse(*map);
    if (way == 2) clear_and_release(*map);
  };
  heap.collect();
  long wrong = 0;
  for (long i = 0; i < count; ++i) wrong += black.at(static_cast<std::size_t>(i))->value != i;
  CHECK(wrong == 0);
  CHECK(map->size() == 0);
}

// Old chains are cleared once their pairs stand in the new array. That was allocated while markers
// run, so it is black; the marker comes to the old one, finds nothing, and what the barrier has
// recorded is all that keeps the values.
TEST_CASE("what evacuation clears in old chains is recorded", "[hashmap][barrier]") {
  constexpr long kCount = 832;  // as many as 2^7 buckets hold: the next one grows the map
  const ExactHeap heap(with_phases());
  const Root<References> map = filled(kCount);
  const bool eager = GENERATE(false, true);
  if (eager) wipe_eagerly(*map);
  REQUIRE_FALSE(inspect(*map).growing);
  bool grew = false;
  at_marking_started = [&] {
    map->insert_or_assign(kCount, Root<Node>(numbered(kCount)).get());
    grew = inspect(*map).growing;
    for (int i = 0; i < 1000 && inspect(*map).growing; ++i)
      map->erase(-1);  // moves two chains each
  };
  heap.collect();
  CHECK(grew);
  CHECK_FALSE(inspect(*map).growing);
  long wrong = 0;
  for (long i = 0; i <= kCount; ++i) wrong += (*map->find(i))->value != i;
  CHECK(wrong == 0);
}

// The copies that a loop may need stay in the old chain, so evacuation has nothing to record; and a
// new chain's overflow buckets are black. So the old array must be recorded when it goes, also one
// that the map had left before marking began.
TEST_CASE("the old array of a growth is recorded", "[hashmap][barrier]") {
  const ExactHeap heap(with_phases());
  constexpr std::size_t kHint = 26;  // as many as 2^2 buckets hold
  const Root<Map<long, Ref<Node>, KeyIsHash>> map = make_map<long, Ref<Node>, KeyIsHash>(kHint);
  const auto insert = [&map](long key) {
    const Root<Node> node(numbered(key));
    map->insert_or_assign(key, node.get());
  };
  for (long i = 0; i < 13; ++i) {
    insert(8 * i);
    insert(8 * i + 3);  // all in the last chain, and then in one of 2^3, which is too many for it
  }
  REQUIRE_FALSE(inspect(*map).growing);
  static_cast<void>(map->begin());  // nobody knows when a loop has ended
  insert(1000);                     // moves the first two of the chains
  REQUIRE(inspect(*map).growing);
  at_marking_started = [&map] { evacuate(*map); };
  heap.collect();
  CHECK_FALSE(inspect(*map).growing);
  long wrong = 0;
  for (long i = 0; i < 13; ++i) {
    for (const long key : {8 * i, 8 * i + 3}) wrong += (*map->find(key))->value != key;
  }
  CHECK(wrong == 0);
}

TEST_CASE("the table before a rebuild is recorded", "[hashmap][barrier]") {
  constexpr long kCount = 832;
  const ExactHeap heap(with_phases());
  const Root<References> map = filled(kCount);
  BlackHome black;
  at_marking_started = [&] {
    black.begin(kCount);
    for (long i = 0; i < kCount; ++i) black.take(*map->find(i));
    rebuild(*map, 0, [](long key, const Ref<Node>&) { return key % 2 == 0; });
  };
  heap.collect();
  CHECK(map->size() == kCount / 2);
  long wrong = 0;
  for (long i = 0; i < kCount; ++i) wrong += black.at(static_cast<std::size_t>(i))->value != i;
  CHECK(wrong == 0);
}

TEST_CASE("a map that is overwritten in an object is recorded", "[hashmap][barrier]") {
  const ExactHeap heap(with_phases());
  const Root<Holder> holder(make<Holder>());
  holder->map = filled(1).get();
  Root<Holder> black;
  at_marking_started = [&] {
    black = make<Holder>();
    black->map = holder->map;
    holder->map = nullptr;
  };
  heap.collect();
  CHECK(holder->map == nullptr);
  CHECK((*black->map.find(0))->value == 0);
}

TEST_CASE("a value that is swapped in a SyncMap is recorded", "[hashmap][barrier]") {
  const ExactHeap heap(with_phases());
  SyncMap<long, Ref<Node>> map;
  map.store(0, Root<Node>(numbered(0)).get());
  const bool without_lock = GENERATE(false, true);  // the key is in the map that readers read
  if (without_lock) map.range([](long, const Ref<Node>&) { return true; });
  const Root<Node> other(numbered(7));
  BlackHome black;
  at_marking_started = [&] {
    black.begin(1);
    black.take(*map.load(0));
    map.swap(0, other.get());
  };
  heap.collect();
  CHECK(black.at(0)->value == 0);
  CHECK((*map.load(0))->value == 7);
}

TEST_CASE("a map that is replaced in a SnapshotMap is recorded", "[hashmap][barrier]") {
  const ExactHeap heap(with_phases());
  SnapshotMap<long, Ref<Node>> map;
  map.replace(filled(1).get());
  const Root<References> other = filled(2);
  BlackHome black;
  at_marking_started = [&] {
    black.begin(1);
    black.take(*map.load(0));
    map.replace(other.get());
  };
  heap.collect();
  CHECK(black.at(0)->value == 0);
  CHECK(map.size() == 2);
}
