// When overflow buckets and old copies are really free: counted by what the heap holds after a
// collection, for buckets without references (kept alive by lists) and with (by the chain itself).

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <gort/hashmap/policies.h>
#include <gort/tests/hashmap/samples.h>

using namespace gort;
using namespace gort_test;

namespace {

template <class V>
using PlacedMap = Map<long, V, PlaceHash>;

// 8 buckets: too few for spare overflow buckets, so each is a block of its own. 48 pairs (52 are
// allowed) in bucket 0 make a chain of 6.
constexpr std::size_t kHint = 52;
constexpr long kPairs = 48;

template <class V>
Root<PlacedMap<V>> one_long_chain() {
  const Root<PlacedMap<V>> map = make_map<long, V, PlaceHash>(kHint);
  for (long i = 0; i < kPairs; ++i) (*map)[i * 8] = V();
  REQUIRE(inspect(*map).overflow_buckets == 5);
  return map;
}

std::uint64_t live_objects() {
  collect();
  const MemStats stats = mem_stats();
  return stats.Mallocs - stats.Frees;
}

// Three more buckets in chain 1 make 8 overflow buckets: as many as buckets, so the next insert
// starts a growth of the same size, which moves two chains: that of the key, and chain 0.
template <class V>
void start_same_size_growth(const Root<PlacedMap<V>>& map) {
  for (long i = 0; i < kPairs; ++i) map->erase(i * 8);
  for (long i = 0; i < 25; ++i) (*map)[i * 8 + 1] = V();
  REQUIRE(map->header()->noverflow == 8);
}

}  // namespace

TEST_CASE("erasing frees no overflow bucket", "[hashmap][overflow]") {
  const Runtime runtime;
  const Root<PlacedMap<long>> plain = one_long_chain<long>();
  const Root<PlacedMap<Ref<Node>>> linked = one_long_chain<Ref<Node>>();
  const std::uint64_t before = live_objects();
  for (long i = 0; i < kPairs; ++i) {
    plain->erase(i * 8);
    linked->erase(i * 8);
  }
  CHECK(live_objects() == before);
  CHECK(inspect(*plain).empty_overflow_buckets == 5);
  CHECK(inspect(*linked).empty_overflow_buckets == 5);
}

TEST_CASE("clear frees overflow buckets with references", "[hashmap][overflow]") {
  const Runtime runtime;
  const Root<PlacedMap<Ref<Node>>> map = one_long_chain<Ref<Node>>();
  CHECK(map->header()->extra() == nullptr);  // the chain alone keeps them
  const std::uint64_t before = live_objects();
  map->clear();
  CHECK(before - live_objects() == 5);
}

TEST_CASE("clear frees pointer-free overflow buckets and their list", "[hashmap][overflow]") {
  const Runtime runtime;
  const Root<PlacedMap<long>> map = one_long_chain<long>();
  REQUIRE(map->header()->extra()->list()->length == 5);
  const std::uint64_t before = live_objects();
  map->clear();
  CHECK(before - live_objects() == 5 + 2);  // slice header and array; Extra itself stays
}

TEST_CASE("a list keeps pointer-free overflow buckets that no chain has", "[hashmap][overflow]") {
  const Runtime runtime;
  const Root<PlacedMap<long>> map = one_long_chain<long>();
  const std::uint64_t before = live_objects();
  // What nothing in a map does: the chain is cut by hand, and the list alone is left.
  map->type().set_overflow(map->header()->buckets, nullptr);
  CHECK(live_objects() == before);
}

TEST_CASE("growth of the same size frees a moved chain at once", "[hashmap][overflow]") {
  const Runtime runtime;
  const Root<PlacedMap<Ref<Node>>> map = one_long_chain<Ref<Node>>();
  start_same_size_growth(map);
  const std::uint64_t before = live_objects();
  (*map)[2] = Ref<Node>();
  REQUIRE(inspect(*map).growing);
  // Gone: the 5 empty overflow buckets of chain 0. There: the new array.
  CHECK(live_objects() == before - 5 + 1);
  CHECK(inspect(*map).old_overflow_buckets == 3);
}

TEST_CASE("pointer-free chains stay until the growth ends", "[hashmap][overflow]") {
  const Runtime runtime;
  const Root<PlacedMap<long>> map = one_long_chain<long>();
  start_same_size_growth(map);
  const std::uint64_t before = live_objects();
  (*map)[2] = 1;
  REQUIRE(inspect(*map).growing);
  CHECK(live_objects() == before + 1);  // the new array; nothing is gone
  while (inspect(*map).growing) map->erase(2);
  // Gone: old array, 8 overflow buckets, their list and its array. New: 3 overflow buckets of the
  // compacted chain 1, list, array.
  CHECK(live_objects() == before + 1 - 1 - 8 - 2 + 3 + 2);
}

TEST_CASE("a loop before a growth keeps moved chains until its end", "[hashmap][overflow]") {
  const Runtime runtime;
  const Root<PlacedMap<Ref<Node>>> map = one_long_chain<Ref<Node>>();
  start_same_size_growth(map);
  for (const auto& pair : *map) (void)pair;
  const std::uint64_t before = live_objects();
  (*map)[2] = Ref<Node>();
  CHECK(live_objects() == before + 1);  // the new array; chain 0 is not freed
  while (inspect(*map).growing) map->erase(2);
  CHECK(live_objects() == before + 1 - 1 - 8 + 3);
}

TEST_CASE("erased values stay in old copies if a loop came before", "[hashmap][overflow]") {
  const Runtime runtime;
  for (const bool looped : {false, true}) {
    // No overflow buckets: spare ones belong to the array's block, and evacuation does not clear
    // them.
    const Root<PlacedMap<Ref<Node>>> map = make_map<long, Ref<Node>, PlaceHash>(kHint);
    for (long i = 0; i < 52; ++i) (*map)[i] = make<Node>();
    if (looped) {
      for (const auto& pair : *map) (void)pair;
    }
    (*map)[52] = nullptr;
    REQUIRE(inspect(*map).growing);
    // Erase every value whose chain has been moved, leaving the growth where it is: by hand, since
    // erase() would go on moving.
    long erased = 0;
    const std::uint64_t before = live_objects();
    hashmap::ArrayView(*map->header(), map->type(), false)
        .for_each_bucket([&](const hashmap::BucketView& bucket) {
          for (std::size_t i = 0; i < hashmap::kCells; ++i) {
            if (!hashmap::is_live(bucket.tophash()[i])) continue;
            char* slot = map->type().elem_slot(const_cast<char*>(bucket.address), i);
            auto& value = *reinterpret_cast<Ref<Node>*>(slot);
            erased += value != nullptr;
            value = nullptr;
          }
        });
    REQUIRE(erased > 0);
    CHECK(before - live_objects() == static_cast<std::uint64_t>(looped ? 0 : erased));
    // Once the growth has ended, nothing keeps them.
    while (inspect(*map).growing) map->erase(-1);
    CHECK(before - live_objects() >= static_cast<std::uint64_t>(erased));
  }
}

TEST_CASE("eager wipe frees pointer-free chains as they are moved", "[hashmap][overflow][policy]") {
  const Runtime runtime;
  const Root<PlacedMap<long>> map = one_long_chain<long>();
  wipe_eagerly(*map);
  start_same_size_growth(map);
  const std::uint64_t before = live_objects();
  (*map)[2] = 1;
  REQUIRE(inspect(*map).growing);
  // Gone: the 5 overflow buckets of chain 0. There: the new array. The 3 of chain 1 follow it.
  CHECK(live_objects() == before - 5 + 1);
  CHECK(inspect(*map).old_overflow_buckets == 3);
  CHECK(hashmap::find_inconsistency(map->header(), map->type()) == nullptr);
  while (inspect(*map).growing) map->erase(2);
  CHECK(live_objects() == before + 1 - 1 - 8 - 2 + 3 + 2);
}

TEST_CASE("eager wipe frees what old copies refer to though a loop came before",
          "[hashmap][overflow][policy]") {
  const Runtime runtime;
  // 16 buckets and spare overflow buckets, which are part of the old array.
  const Root<PlacedMap<Ref<Node>>> map = make_map<long, Ref<Node>, PlaceHash>(104);
  wipe_eagerly(*map);
  for (long i = 0; i < 16; ++i) (*map)[i * 16] = make<Node>();
  for (long i = 0; i < 88; ++i) (*map)[i * 16 + 1 + i % 15] = make<Node>();
  REQUIRE(inspect(*map).overflow_buckets > 0);
  REQUIRE(hashmap::ArrayView(*map->header(), map->type(), false)
              .contains(map->type().overflow(map->header()->buckets)));
  for (const auto& pair : *map) (void)pair;
  (*map)[16 * 16] = nullptr;
  REQUIRE(inspect(*map).growing);
  const std::uint64_t before = live_objects();
  // Chain 0 has been moved; a value is overwritten in place, the growth goes no further.
  for (long i = 0; i < 16; ++i) *map->find(i * 16) = nullptr;
  CHECK(before - live_objects() == 16);
  REQUIRE(inspect(*map).growing);
}

TEST_CASE("eager wipe leaves nothing in the old chain", "[hashmap][policy]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(416);
  wipe_eagerly(*map);
  for (const auto& pair : *map) (void)pair;
  (*map)[416] = 0;
  REQUIRE(inspect(*map).growing);
  long moved = 0;
  hashmap::ArrayView(*map->header(), map->type(), true)
      .for_each_bucket([&](const hashmap::BucketView& bucket) {
        if (!bucket.tops().evacuated()) return;
        ++moved;
        for (std::size_t i = hashmap::kDataOffset; i < map->type().shape.bucket_size; ++i) {
          REQUIRE(bucket.address[i] == 0);
        }
      });
  CHECK(moved >= 2);
}

TEST_CASE("eager wipe waits for loops under way, however many", "[hashmap][policy][iteration]") {
  const Runtime runtime({.gc_percent = -1, .conservative_stacks = false, .poison = true});
  for (const std::size_t loops : {1U, 7U, 8U, 20U}) {
    const Root<LongMap> map = filled(416);
    wipe_eagerly(*map);
    {
      std::vector<LongMap::iterator> iterators(loops, map->begin());
      const unsigned sticky = hashmap::kIterator | hashmap::kOldIterator;
      CHECK((inspect(*map).flags & sticky) == (loops < 7 ? 0 : sticky));
      for (long i = 416; i < 1000; ++i) (*map)[i] = i;
      collect();
      for (auto& at : iterators) {
        long of_the_first = 0;
        for (; at != map->end(); ++at) of_the_first += at.key() < 416;
        CHECK(of_the_first == 416);
      }
    }
    CHECK((inspect(*map).flags & hashmap::kIterators) == 0);
  }
}

TEST_CASE("an iterator that takes another's place is counted in its stead",
          "[hashmap][policy][iteration]") {
  const Runtime runtime({.gc_percent = -1, .conservative_stacks = false, .poison = true});
  const Root<LongMap> one = filled(10);
  const Root<LongMap> other = filled(20);
  wipe_eagerly(*one);
  wipe_eagerly(*other);
  const auto iterators = [](const LongMap& map) {
    return (inspect(map).flags & hashmap::kIterators) / hashmap::kOneIterator;
  };
  {
    auto at = one->begin();
    at = other->begin();
    CHECK(iterators(*one) == 0);
    CHECK(iterators(*other) == 1);
    const auto same = at;
    CHECK(iterators(*other) == 2);
    at = same;
    CHECK(iterators(*other) == 2);
    long pairs = 0;
    for (; at != other->end(); ++at) ++pairs;
    CHECK(pairs == 20);
  }
  CHECK(iterators(*other) == 0);
}

TEST_CASE("a map that no longer wipes eagerly goes by the flags", "[hashmap][policy][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(416);
  wipe_eagerly(*map);
  {
    const auto at = map->begin();
    wipe_eagerly(*map, false);
    CHECK((inspect(*map).flags & hashmap::kOldIterator) != 0);
    CHECK((inspect(*map).flags & hashmap::kEagerWipe) == 0);
  }
  CHECK(inspect(*map).flags == (hashmap::kIterator | hashmap::kOldIterator));
  wipe_eagerly(LongMap());
}

TEST_CASE("a loop under way keeps the old array and its lists", "[hashmap][overflow]") {
  const Runtime runtime({.gc_percent = -1, .conservative_stacks = false, .poison = true});
  const Root<PlacedMap<long>> map = one_long_chain<long>();
  auto at = map->begin();
  long of_the_first = 0;
  for (bool grown = false; at != map->end(); ++at) {
    of_the_first += at.key() < kPairs * 8;
    if (of_the_first < 3 || grown) continue;
    grown = true;
    for (long i = 0; i < 2000; ++i) (*map)[i * 8] = i;  // several growths
    collect();
  }
  CHECK(of_the_first == kPairs);
}

TEST_CASE("a loop within an overflow bucket survives a clear and a collection",
          "[hashmap][overflow]") {
  const Runtime runtime({.gc_percent = -1, .conservative_stacks = false, .poison = true});
  const Root<PlacedMap<Ref<Node>>> map = one_long_chain<Ref<Node>>();
  auto at = map->begin();
  for (int visits = 0; visits < 20; ++visits) ++at;
  map->clear();
  collect();
  ++at;
  CHECK(at == map->end());
}

TEST_CASE("from Go 1.22 on the header of large blocks is taken from the spare buckets",
          "[hashmap][overflow][rules]") {
  const Runtime runtime;
  const DefaultRules restore;
  const auto buckets = [](const auto& map) {
    const MapStats s = inspect(map);
    return s.buckets + s.spare_overflow_buckets;
  };
  using Bucket80 = Map<Ref<Node>, Unit>;
  using Bucket96 = Map<Ref<Node>, std::uint16_t>;
  REQUIRE(Bucket80::type().shape.bucket_size == 80);
  REQUIRE(Bucket96::type().shape.bucket_size == 96);
  constexpr std::size_t kB5 = 200;
  constexpr std::size_t kB7 = 800;
  for (const int minor : {19, 21, 22, 23}) {
    INFO("1." << minor);
    set_map_rules({1, minor});
    const bool with_header = minor >= 22;
    CHECK(buckets(make_map<Ref<Node>, Unit>(kB7)) == (with_header ? 153 : 136));
    CHECK(buckets(make_map<Ref<Node>, std::uint16_t>(kB5)) == (with_header ? 35 : 36));
    // The same with 144 bytes, and without references there is no header.
    CHECK(buckets(make_map<long, Ref<Node>>(kB5)) == 37);
    CHECK(buckets(make_map<long, Unit>(kB7)) == 136);
    CHECK(buckets(make_map<long, long>(kB7)) == 142);
  }
}

TEST_CASE("spare buckets of the array are used before new blocks", "[hashmap][overflow]") {
  const Runtime runtime;
  // 16 buckets; 144 * 17 bytes round up to 18 buckets, so there are two spare ones.
  const Root<PlacedMap<long>> map = make_map<long, long, PlaceHash>(104);
  REQUIRE(inspect(*map).spare_overflow_buckets == 2);
  std::uint64_t before = 0;
  for (long i = 0; i < 8 * 4; ++i) {
    (*map)[i * 16] = i;
    if (i == 7) before = live_objects();
  }
  CHECK(inspect(*map).spare_overflow_buckets == 0);
  CHECK(inspect(*map).overflow_buckets == 3);
  CHECK(live_objects() - before == 1 + 2);  // one block, list and its array
  map->clear();
  CHECK(inspect(*map).spare_overflow_buckets == 2);
}

TEST_CASE("clear wipes the spare buckets that were used, and all but their end's mark",
          "[hashmap][overflow][clear]") {
  const Runtime runtime;
  const long used = GENERATE(0, 1, 2);
  const Root<PlacedMap<long>> map = make_map<long, long, PlaceHash>(104);
  for (long i = 0; i < 8 * (used + 1); ++i) (*map)[i * 16] = i;
  REQUIRE(inspect(*map).spare_overflow_buckets == 2 - static_cast<std::size_t>(used));
  map->clear();
  CHECK(inspect(*map).spare_overflow_buckets == 2);
  const MapStats stats = inspect(*map);
  const auto* const words = static_cast<const std::uint64_t*>(map->header()->buckets);
  const std::size_t count = (16 + 2) * stats.bucket_size / sizeof(std::uint64_t);
  CHECK(std::count(words, words + count, 0) == static_cast<std::ptrdiff_t>(count) - 1);
  CHECK(words[count - 1] == reinterpret_cast<std::uintptr_t>(words));
  for (long i = 0; i < 8 * 4; ++i) (*map)[i * 16] = i;
  CHECK(inspect(*map).overflow_buckets == 3);
  CHECK(inspect(*map).spare_overflow_buckets == 0);
}
