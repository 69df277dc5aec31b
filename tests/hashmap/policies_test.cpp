// Policies that give memory back while the map lives: each keeps the pairs and Go's rules of
// iteration, and returns the bytes it promises.

#include <catch2/catch.hpp>

#include <cmath>
#include <set>
#include <stdexcept>
#include <unordered_map>
#include <vector>

#include <gort/base/random.h>
#include <gort/hashmap/hooked_map.h>
#include <gort/hashmap/policies.h>
#include <gort/hashmap/shrinking_map.h>
#include <gort/tests/hashmap/samples.h>
#include <gort/tests/support/seed.h>

using namespace gort;
using namespace gort_test;

namespace {

void check_sound(const LongMap& map) {
  const char* wrong = hashmap::find_inconsistency(map.header(), map.type());
  if (wrong != nullptr) FAIL(wrong);
}

// Visits a third of the map, calls `f`, and visits the rest. Returns how often each key came.
template <class F>
std::unordered_map<long, int> loop_around(const Root<LongMap>& map, F&& f) {
  std::unordered_map<long, int> visits;
  const std::size_t third = map->size() / 3;
  for (const auto& [key, value] : *map) {
    ++visits[key];
    if (visits.size() == third) f();
  }
  return visits;
}

}  // namespace

TEST_CASE("evacuate finishes a stalled growth within its budget", "[hashmap][policy]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(417);
  REQUIRE(inspect(*map).growing);
  const std::size_t left = map->header()->old_bucket_count() - map->header()->nevacuate;
  // Chains that writes have moved out of turn are passed over for nothing.
  const std::size_t after_ten = evacuate(*map, 10);
  CHECK(after_ten <= left - 10);
  CHECK(after_ten > 0);
  CHECK(inspect(*map).growing);
  const std::size_t before = heap_bytes();
  const std::size_t old_array = 64 * 144;
  CHECK(evacuate(*map) == 0);
  CHECK_FALSE(inspect(*map).growing);
  CHECK(before - heap_bytes() >= old_array);
  check_sound(*map);
  CHECK(evacuate(*map) == 0);
  CHECK(evacuate(LongMap()) == 0);
}

TEST_CASE("shrink_to_fit gives an array of the size the pairs need", "[hashmap][policy]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(100000);
  const LongMap alias = *map;
  for (long i = 100; i < 100000; ++i) map->erase(i);
  const std::size_t before = heap_bytes();
  CHECK(shrink_to_fit(*map));
  CHECK(map->header()->B == 4);  // 100 <= 6.5 * 2^4
  CHECK(before - heap_bytes() > 16384 * 144);
  check_sound(*map);
  CHECK(alias.size() == 100);
  for (long i = 0; i < 100; ++i) CHECK(alias.get(i) == i);
  CHECK_FALSE(shrink_to_fit(*map));
}

TEST_CASE("an empty map shrinks to nothing but its header", "[hashmap][policy]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(1000);
  for (long i = 0; i < 1000; ++i) map->erase(i);
  CHECK(shrink_to_fit(*map));
  CHECK(inspect(*map).bytes == 48);
  (*map)[1] = 1;
  check_sound(*map);
}

TEST_CASE("compact drops overflow buckets and tombstones", "[hashmap][policy]") {
  const Runtime runtime;
  const Root<Map<long, long, PlaceHash>> map = make_map<long, long, PlaceHash>(52);
  for (long i = 0; i < 48; ++i) (*map)[i * 8] = i;
  for (long i = 0; i < 48; ++i) {
    if (i % 8 != 0) map->erase(i * 8);
  }
  REQUIRE(inspect(*map).overflow_buckets == 5);
  CHECK(compact(*map));
  const MapStats after = inspect(*map);
  CHECK(after.overflow_buckets == 0);
  CHECK(after.tombstones == 0);
  CHECK(after.B == 3);
  for (long i = 0; i < 48; ++i) CHECK(map->contains(i * 8) == (i % 8 == 0));
  CHECK_FALSE(compact(*map));
}

TEST_CASE("compact finds overflow buckets where they are not all counted", "[hashmap][policy]") {
  const Runtime runtime;
  const Root<Map<long, long, PlaceHash>> large = make_map<long, long, PlaceHash>(300000);
  REQUIRE(large->header()->B == 16);
  for (long i = 0; i < 9; ++i) (*large)[i << 16] = i;
  large->header()->noverflow = 0;  // as the coin may fall
  large->erase(0);
  CHECK(compact(*large));
  CHECK(inspect(*large).overflow_buckets == 0);
  CHECK_FALSE(compact(*large));

  const Root<Map<long, long, PlaceHash>> growing = make_map<long, long, PlaceHash>(26);
  for (long i = 0; i < 26; ++i) (*growing)[i * 4 + 3] = i;
  (*growing)[1] = 1;  // moves the chains 1 and 0, and they have no overflow buckets
  REQUIRE(inspect(*growing).noverflow == 0);
  REQUIRE(inspect(*growing).old_overflow_buckets == 3);
  CHECK(compact(*growing));
  CHECK(inspect(*growing).old_overflow_buckets == 0);
  CHECK(growing->size() == 27);
}

TEST_CASE("rebuild leaves out what is not to be kept", "[hashmap][policy]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(1000);
  rebuild(*map, 0, [](long key, long) { return key % 10 == 0; });
  CHECK(map->size() == 100);
  for (long i = 0; i < 1000; ++i) CHECK(map->contains(i) == (i % 10 == 0));
  check_sound(*map);
  rebuild(*map, 10000);
  CHECK(map->header()->B == 11);
  check_sound(*map);
  CHECK_THROWS_AS(rebuild(LongMap(), 1), std::logic_error);
}

TEST_CASE("a hint that no address space holds counts as none", "[hashmap][policy]") {
  const Runtime runtime;
  constexpr std::size_t kAbsurd = std::size_t{1} << 45;
  const Root<Map<long, long>> map = filled(1000);
  rebuild(*map, kAbsurd);
  CHECK(map->size() == 1000);
  CHECK(map->header()->B == hashmap::smallest_log2(1000));
  CHECK(make_map<long, long>(~std::size_t{0}).header()->B == 0);
  ShrinkingMap<long, long> shrinking(~std::size_t{0});
  CHECK(shrinking.insert_or_assign(1, 1));
  CHECK(shrinking.current().header()->B == 0);
}

TEST_CASE("a rebuild keeps large values where they are", "[hashmap][policy]") {
  const Runtime runtime;
  const Root<Map<long, Bytes136>> map = make_map<long, Bytes136>(1000);
  for (long i = 0; i < 10; ++i) (*map)[i] = Sample<Bytes136>::make(i);
  const Bytes136* value = map->find(7);
  CHECK(shrink_to_fit(*map));
  collect();
  CHECK(map->find(7) == value);
  CHECK(Sample<Bytes136>::number(*value) == 7);
}

TEST_CASE("clear_and_release leaves a header", "[hashmap][policy]") {
  const Runtime runtime;
  const std::size_t before = heap_bytes();
  const Root<LongMap> map = filled(100000);
  clear_and_release(*map);
  CHECK(map->empty());
  CHECK(inspect(*map).bytes == 48);
  CHECK(heap_bytes() - before <= 48 + 16);
  for (long i = 0; i < 1000; ++i) (*map)[i] = i;
  check_sound(*map);
}

TEST_CASE("clear_sparse empties and keeps", "[hashmap][policy]") {
  const Runtime runtime;
  for (const long count : {0L, 1L, 400L, 417L, 5000L}) {  // 417: within a growth
    const Root<LongMap> map = filled(count);
    const unsigned b = inspect(*map).B;
    clear_sparse(*map);
    CHECK(map->empty());
    CHECK(inspect(*map).B == b);
    CHECK(inspect(*map).live_cells == 0);
    check_sound(*map);
    for (long i = 0; i < 5000; ++i) (*map)[i] += 1;
    for (long i = 0; i < 5000; ++i) REQUIRE(map->get(i) == 1);
    check_sound(*map);
  }
}

TEST_CASE("clear_sparse lets go of what the pairs refer to", "[hashmap][policy]") {
  const Runtime runtime;
  const Root<Map<long, Ref<Node>>> map = make_map<long, Ref<Node>>();
  for (long i = 0; i < 1000; ++i) (*map)[i] = make<Node>();
  const std::size_t before = heap_bytes();
  clear_sparse(*map);
  CHECK(before - heap_bytes() == 1000 * 16);
}

TEST_CASE("a loop goes on through a rebuild", "[hashmap][policy][iteration]") {
  const Runtime runtime({.gc_percent = -1, .conservative_stacks = false, .poison = true});
  for (const long count : {8L, 400L, 416L, 3000L}) {
    for (const bool growing : {false, true}) {
      const Root<LongMap> map = filled(growing ? 417 : count, growing ? 0 : 10000);
      const auto visits = loop_around(map, [&map] {
        rebuild(*map, 0);
        collect();
        map->erase(-1);
      });
      CHECK(visits.size() == map->size());
      for (const auto& [key, times] : visits) CHECK(times == 1);
    }
  }
}

TEST_CASE("a loop does not see what a rebuild left out", "[hashmap][policy][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(999);
  std::set<long> before;
  long visits = 0;
  for (const auto& [key, value] : *map) {
    if (visits++ < 333) {
      before.insert(key);
      if (visits == 333) rebuild(*map, 0, [](long k, long) { return k % 2 == 0; });
      continue;
    }
    CHECK(key % 2 == 0);
    CHECK(before.count(key) == 0);
  }
}

TEST_CASE("a loop over NaN keys goes on through a shrink and a growth back",
          "[hashmap][policy][iteration][nan]") {
  const Runtime runtime;
  const Root<Map<double, long>> map = make_map<double, long>(800);
  for (long i = 0; i < 400; ++i) (*map)[std::nan("")] = i;
  REQUIRE(map->header()->B == 7);
  std::unordered_map<long, int> visits;
  for (const auto& [key, value] : *map) {
    if (value < 400) ++visits[value];
    if (visits.size() != 133 || value >= 400) continue;
    CHECK(shrink_to_fit(*map));
    REQUIRE(map->header()->B == 6);
    for (long i = 0; i < 17; ++i) (*map)[std::nan("")] = 1000 + i;
    REQUIRE(map->header()->B == 7);
    REQUIRE(map->header()->growing());
  }
  CHECK(visits.size() == 400);
  for (const auto& [value, times] : visits) CHECK(times == 1);
}

TEST_CASE("a loop does not see NaN keys that a rebuild left out",
          "[hashmap][policy][iteration][nan]") {
  const Runtime runtime;
  const Root<Map<double, long>> map = make_map<double, long>(1000);
  for (long i = 0; i < 999; ++i) (*map)[std::nan("")] = i;
  long asked = 0;
  long visits = 0;
  for (const auto& [key, value] : *map) {
    if (++visits > 333) CHECK(value % 2 == 0);
    if (visits != 333) continue;
    rebuild(*map, 0, [&asked](double, long v) { return ++asked, v % 2 == 0; });
  }
  CHECK(asked == 999);
  CHECK(map->size() == 500);
}

TEST_CASE("a loop ends after clear_and_release and clear_sparse", "[hashmap][policy][iteration]") {
  const Runtime runtime({.gc_percent = -1, .conservative_stacks = false, .poison = true});
  for (const long count : {300L, 417L}) {
    const Root<LongMap> one = filled(count);
    const auto visits = loop_around(one, [&one] {
      clear_and_release(*one);
      collect();
    });
    CHECK(visits.size() == static_cast<std::size_t>(count / 3));
    const Root<LongMap> two = filled(count);
    CHECK(loop_around(two, [&two] { clear_sparse(*two); }).size() ==
          static_cast<std::size_t>(count / 3));
  }
}

TEST_CASE("policies among random operations", "[hashmap][policy][fuzz]") {
  const Runtime runtime({.gc_percent = -1,
                         .conservative_stacks = false,
                         .collect_every = 5,
                         .verify = true,
                         .poison = true});
  Random random(test_seed());
  const Root<Map<long, Wide>> map = make_map<long, Wide>();
  std::unordered_map<long, long> model;
  for (long step = 0; step < 20000; ++step) {
    const long key = static_cast<long>(random.below(500));
    switch (random.below(100)) {
      case 0:
        rebuild(*map, random.below(1000));
        break;
      case 1:
        shrink_to_fit(*map);
        break;
      case 2:
        compact(*map);
        break;
      case 3:
        evacuate(*map, random.below(20));
        break;
      case 4:
        if (random.below(20) == 0) {
          clear_sparse(*map);
          model.clear();
        }
        break;
      case 5:
        if (random.below(20) == 0) {
          clear_and_release(*map);
          model.clear();
        }
        break;
      default:
        if (random.below(100) < 55) {
          map->insert_or_assign(key, Sample<Wide>::make(step));
          model[key] = step;
        } else {
          REQUIRE(map->erase(key) == (model.erase(key) == 1));
        }
    }
    if (step % 64 != 0) continue;
    const char* wrong = hashmap::find_inconsistency(map->header(), map->type());
    if (wrong != nullptr) FAIL(wrong);
    REQUIRE(map->size() == model.size());
    for (const auto& [k, v] : model) {
      const Wide* found = map->find(k);
      REQUIRE(found != nullptr);
      REQUIRE(Sample<Wide>::number(*found) == v);
    }
  }
}

TEST_CASE("a ShrinkingMap gives its array back as it empties", "[hashmap][policy][shrink]") {
  const Runtime runtime;
  ShrinkingMap<long, long> map;
  for (long i = 0; i < 100000; ++i) map.insert_or_assign(i, i);
  const std::size_t full = heap_bytes();
  const std::uint8_t b = map.current().header()->B;
  for (long i = 100; i < 100000; ++i) CHECK(map.erase(i));
  CHECK(map.current().header()->B < b - 4);
  CHECK(full - heap_bytes() > 16384 * 144 / 2);
  for (long i = 0; i < 100; ++i) CHECK(*map.find(i) == i);
  CHECK(map.size() == 100);
}

TEST_CASE("a shrink goes on little by little", "[hashmap][policy][shrink]") {
  const Runtime runtime;
  ShrinkingMap<long, long> map;
  for (long i = 0; i < 10000; ++i) map.insert_or_assign(i, i);
  for (long i = 0; !map.shrinking(); ++i) map.erase(i);
  const std::size_t size = map.size();
  CHECK(size > 100);
  long writes = 0;
  std::size_t left = map.draining().size();
  for (; map.shrinking(); ++writes) {
    map.erase(-1);
    const std::size_t now = map.draining().size();
    CHECK(left - now <= 8 * 8 * 2);
    left = now;
    REQUIRE(map.size() == size);
  }
  CHECK(writes > 10);
}

TEST_CASE("a ShrinkingMap keeps the array of its hint", "[hashmap][policy][shrink]") {
  const Runtime runtime;
  ShrinkingMap<long, long> map(1000);
  const std::uint8_t b = map.current().header()->B;
  for (long i = 0; i < 1000; ++i) map.insert_or_assign(i, i);
  for (int round = 0; round < 10; ++round) {
    for (long i = 0; i < 1000; ++i) map.erase(i);
  }
  CHECK(map.current().header()->B == b);
  CHECK_FALSE(map.shrinking());
}

TEST_CASE("erasing 99 of 100 pairs is enough for a ShrinkingMap", "[hashmap][policy][shrink]") {
  const Runtime runtime;
  for (const long count : {60000L, 80000L, 106000L, 107000L}) {  // half to quite full
    const std::size_t before = heap_bytes();
    ShrinkingMap<long, long> map;
    for (long i = 0; i < count; ++i) map.insert_or_assign(i, i);
    const std::size_t full = heap_bytes() - before;
    for (long i = 0; i < count; ++i) {
      if (i % 100 != 0) map.erase(i);
    }
    CHECK(map.size() == static_cast<std::size_t>(count / 100));
    CHECK(heap_bytes() - before < full / 8);
  }
}

TEST_CASE("writes that erase nothing are writes for a ShrinkingMap", "[hashmap][policy][shrink]") {
  const Runtime runtime;
  ShrinkingMap<long, long> map;
  for (long i = 0; i < 1000; ++i) map.insert_or_assign(i, i);
  for (long i = 400; i < 1000; ++i) map.erase(i);  // 400 < 13 * 2^7 / 4
  CHECK_FALSE(map.shrinking());
  for (int i = 0; i < 800 && !map.shrinking(); ++i) map.insert_or_assign(1, i);
  CHECK(map.shrinking());
}

TEST_CASE("a short dip below a quarter does not shrink", "[hashmap][policy][shrink]") {
  const Runtime runtime;
  ShrinkingMap<long, long> map;
  for (int round = 0; round < 20; ++round) {
    for (long i = round == 0 ? 0 : 400; i < 1000; ++i) map.insert_or_assign(i, i);
    for (long i = 400; i < 1000; ++i) map.erase(i);
    CHECK(map.current().header()->B == 8);
    CHECK_FALSE(map.shrinking());
  }
}

TEST_CASE("no shrink begins while an iterator lives", "[hashmap][policy][shrink]") {
  const Runtime runtime;
  ShrinkingMap<long, long> map;
  for (long i = 0; i < 10000; ++i) map.insert_or_assign(i, i);
  {
    std::set<long> seen;
    for (const auto& [key, value] : map) {
      CHECK(seen.insert(key).second);
      map.erase(key);
      map.erase(-1);
      CHECK_FALSE(map.shrinking());
    }
    CHECK(seen.size() == 10000);
  }
  for (int i = 0; i < 10000 && !map.shrinking(); ++i) map.erase(-1);
  CHECK(map.shrinking());
}

TEST_CASE("a ShrinkingMap against a model", "[hashmap][policy][shrink][fuzz]") {
  const Runtime runtime(
      {.gc_percent = -1, .conservative_stacks = false, .collect_every = 11, .poison = true});
  Random random(test_seed());
  ShrinkingMap<long, Mixed> map;
  std::unordered_map<long, long> model;
  std::uint64_t inserts = 60;
  int shrinks = 0;
  bool was_shrinking = false;
  for (long step = 0; step < 100000; ++step) {
    if (step % 4000 == 0) inserts = inserts == 60 ? 5 : 60;
    const long key = static_cast<long>(random.below(800));
    if (random.below(100) < inserts) {
      REQUIRE(map.insert_or_assign(key, Sample<Mixed>::make(step)) == (model.count(key) == 0));
      model[key] = step;
    } else {
      REQUIRE(map.erase(key) == (model.erase(key) == 1));
    }
    REQUIRE(map.size() == model.size());
    const Mixed* found = map.find(key);
    REQUIRE((found != nullptr) == (model.count(key) == 1));
    if (found != nullptr) REQUIRE(Sample<Mixed>::number(*found) == model[key]);
    shrinks += map.shrinking() && !was_shrinking;
    was_shrinking = map.shrinking();
    if (step % 1000 != 0) continue;
    for (const auto& [k, v] : model) {
      const Mixed* value = map.find(k);
      REQUIRE(value != nullptr);
      REQUIRE(Sample<Mixed>::number(*value) == v);
    }
  }
  CHECK(shrinks > 5);
}

TEST_CASE("a delete hook gets the key and the value that were there", "[hashmap][policy][hook]") {
  const Runtime runtime({.gc_percent = -1, .conservative_stacks = false, .poison = true});
  std::vector<long> deleted;
  HookedMap<String, Ref<Node>> map({.on_delete = [&](const String& key, const Ref<Node>& value) {
    collect();
    CHECK(Sample<String>::number(key) == value->value);
    deleted.push_back(value->value);
  }});
  for (long i = 0; i < 20; ++i) {
    const Root<const char> key(Sample<String>::make(i).data());
    const Root<Node> node(Sample<Ref<Node>>::make(i).get());
    map.insert_or_assign(Sample<String>::make(i), node.get());
  }
  CHECK(map.erase(Sample<String>::make(3)));
  CHECK(deleted == std::vector<long>{3});
  CHECK_FALSE(map.erase(Sample<String>::make(3)));
  map.clear();
  CHECK(std::set<long>(deleted.begin(), deleted.end()).size() == 20);
  CHECK(deleted.size() == 20);
  CHECK(map.empty());
}

TEST_CASE("a hook may read its map; writing to it is refused", "[hashmap][policy][hook]") {
  const Runtime runtime;
  HookedMap<long, long>* self = nullptr;
  bool writes = false;
  HookedMap<long, long> map({.on_delete =
                                 [&](long key, long) {
                                   CHECK_FALSE(self->contains(key));
                                   for (const auto& pair : *self) (void)pair;
                                   if (writes) self->erase(0);
                                 },
                             .on_insert =
                                 [&](long key, long value) {
                                   CHECK(*self->find(key) == value);
                                   if (writes) self->clear();
                                 }});
  self = &map;
  for (long i = 0; i < 5; ++i) map.insert_or_assign(i, i);
  CHECK(map.erase(1));
  writes = true;
  CHECK_THROWS_WITH(map.erase(2), "gort::HookedMap: a hook must not write to its own map");
  CHECK_THROWS_AS(map.insert_or_assign(9, 9), std::logic_error);
  CHECK_FALSE(map.contains(2));  // the change itself stays done
  CHECK(map.contains(9));
  writes = false;
  CHECK(map.erase(0));  // and the map is usable again
}

TEST_CASE("a loop does not see what clear() of a HookedMap has deleted",
          "[hashmap][policy][hook][iteration]") {
  const Runtime runtime({.gc_percent = -1, .conservative_stacks = false, .poison = true});
  for (const bool hooked : {false, true}) {
    for (const long count : {8L, 400L, 417L}) {  // 417: within a growth
      HookedMap<long, Bytes136>::Hooks hooks;
      std::set<long> reported;
      if (hooked) {
        hooks.on_delete = [&reported](long key, const Bytes136& value) {
          collect();
          CHECK(Sample<Bytes136>::number(value) == key);
          CHECK(reported.insert(key).second);
        };
      }
      HookedMap<long, Bytes136> map(std::move(hooks));
      for (long i = 0; i < count; ++i) map.insert_or_assign(i, Sample<Bytes136>::make(i));
      long visits = 0;
      for (const auto& pair : map) {
        (void)pair;
        if (++visits == 3) map.clear();
      }
      CHECK(visits == 3);
      CHECK(map.empty());
      CHECK(reported.size() == static_cast<std::size_t>(hooked ? count : 0));
    }
  }
}

TEST_CASE("clear() of a HookedMap keeps the array and reports NaN keys",
          "[hashmap][policy][hook]") {
  const Runtime runtime;
  std::set<long> reported;
  HookedMap<double, long> map(
      {.on_delete = [&reported](double, long value) { reported.insert(value); }}, 1000);
  for (long i = 0; i < 30; ++i) map.insert_or_assign(std::nan(""), i);
  map.clear();
  CHECK(reported.size() == 30);
  CHECK(map.empty());
  const std::size_t before = heap_bytes();
  for (long i = 0; i < 1000; ++i) map.insert_or_assign(static_cast<double>(i), i);
  CHECK(heap_bytes() - before < 20 * 144);  // overflow buckets at most
}

TEST_CASE("a hook that throws within clear() leaves the map empty", "[hashmap][policy][hook]") {
  const Runtime runtime;
  int calls = 0;
  HookedMap<long, long> map({.on_delete = [&calls](long, long) {
    if (++calls == 3) throw std::runtime_error("enough");
  }});
  for (long i = 0; i < 10; ++i) map.insert_or_assign(i, i);
  CHECK_THROWS_WITH(map.clear(), "enough");
  CHECK(calls == 3);
  CHECK(map.empty());
  map.insert_or_assign(1, 1);  // and is usable again
  CHECK(map.erase(1));
  CHECK(calls == 4);
}
