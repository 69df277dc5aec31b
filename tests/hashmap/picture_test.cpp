// The picture of a map has every bucket once, and adds up to the map's statistics.

#include <catch2/catch.hpp>

#include <array>

#include <gort/hashmap/picture.h>
#include <gort/hashmap/policies.h>
#include <gort/tests/hashmap/samples.h>

using namespace gort;
using namespace gort_test;

namespace {

struct Sums {
  std::array<std::size_t, 256> cells{};  // by tophash
  std::size_t overflow_buckets = 0;
  std::size_t bytes = 0;

  std::size_t live_cells() const {
    std::size_t n = 0;
    for (std::size_t top = hashmap::kMinTop; top < 256; ++top) n += cells[top];
    return n;
  }
};

Sums sums_of(const ArrayPicture& array) {
  Sums out;
  std::size_t chains = 0;
  for (const BucketPicture& bucket : array.all) {
    for (const std::uint8_t top : bucket.tophash) ++out.cells[top];
    if (bucket.position == 0) {
      CHECK(bucket.chain == chains++);
      CHECK(bucket.in_array);
    } else {
      CHECK(bucket.chain == chains - 1);
      ++out.overflow_buckets;
    }
    out.bytes += bucket.live_bytes + bucket.dead_bytes;
  }
  CHECK(chains == array.buckets);
  out.bytes += array.rest_bytes;
  return out;
}

template <class M>
void check_picture(const M& map) {
  const MapPicture p = picture(map);
  const MapStats s = inspect(map);
  CHECK(p.stats.bytes == s.bytes);
  const Sums current = sums_of(p.current);
  const Sums old = sums_of(p.old);
  CHECK(p.current.buckets == s.buckets);
  CHECK(p.old.buckets == s.old_buckets);
  CHECK(current.overflow_buckets == s.overflow_buckets);
  CHECK(old.overflow_buckets == s.old_overflow_buckets);
  CHECK(p.current.spare_buckets == s.spare_overflow_buckets);
  CHECK(current.live_cells() + old.live_cells() == s.live_cells);
  CHECK(current.cells[1] + old.cells[1] == s.tombstones);
  CHECK(current.cells[0] + old.cells[0] == s.empty_cells);
  CHECK(old.cells[2] + old.cells[3] + old.cells[4] == s.moved_cells);
  CHECK(current.bytes + old.bytes + p.other_bytes == s.bytes);
  std::size_t live = p.other_bytes;
  for (const ArrayPicture* array : {&p.current, &p.old}) {
    for (const BucketPicture& bucket : array->all) live += bucket.live_bytes;
  }
  CHECK(live == s.live_bytes);
}

}  // namespace

TEST_CASE("a picture adds up to the map's statistics, growing or not", "[hashmap][picture]") {
  const Runtime runtime;
  check_picture(LongMap());
  const Root<LongMap> plain = make_map<long, long>();
  const Root<Map<String, Ref<Node>>> linked = make_map<String, Ref<Node>>();
  bool was_growing = false;
  for (long i = 0; i < 900; ++i) {
    (*plain)[i] = i;
    (*linked)[Sample<String>::make(i)] = nullptr;
    if (i % 3 == 0) plain->erase(i / 2);
    const bool growing = inspect(*plain).growing;
    if (i % 50 != 0 && growing == was_growing) continue;
    was_growing = growing;
    check_picture(*plain);
    check_picture(*linked);
  }
}

TEST_CASE("a picture has the overflow buckets of their own block", "[hashmap][picture]") {
  const Runtime runtime;
  const Root<Map<long, long, PlaceHash>> map = make_map<long, long, PlaceHash>(52);
  for (long i = 0; i < 48; ++i) (*map)[i * 8] = i;
  for (long i = 0; i < 16; ++i) map->erase(i * 8);
  check_picture(*map);
  const MapPicture p = picture(*map);
  REQUIRE(p.current.all.size() == 8 + 5);
  CHECK(p.current.all[5].position == 5);
  CHECK_FALSE(p.current.all[5].in_array);
  CHECK(p.current.all[0].live_bytes == 0);
  CHECK(p.current.all[0].tophash == std::array<std::uint8_t, 8>{1, 1, 1, 1, 1, 1, 1, 1});
}

TEST_CASE("a picture as text shows header, tophash bytes and states", "[hashmap][picture]") {
  const Runtime runtime;
  const Root<Map<long, long, PlaceHash>> map = make_map<long, long, PlaceHash>(13);  // 2 buckets
  for (long i = 0; i < 13; ++i) (*map)[i % 2 == 0 ? i * 2 : i * 2 + 1] = i;
  map->erase(0);
  map->erase(4);
  // clang-format off
  CHECK(text(picture(*map)) ==
        "count 11  B 1  noverflow 0  flags 0\n"
        "336 bytes: 251 live, 85 dead; 48 of the live ones in no bucket\n"
        "a bucket: 144 bytes, slots of 8 for keys and 8 for values\n"
        "cells: 11 live; 3 empty, nothing behind it; 2 empty\n"
        "\n"
        "current array: 2 buckets, 0 more on their chains, 0 spare; 288 bytes, 0 in no bucket\n"
        "       0  01 01 77 77 77 77 77 00  5 live; 1 empty, nothing behind it; 2 empty\n"
        "       1  77 77 77 77 77 77 00 00  6 live; 2 empty, nothing behind it\n");
  // clang-format on
  CHECK(text(MapPicture()) == "nil map\n");
}

TEST_CASE("a picture as text tells moved cells from empty ones", "[hashmap][picture]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(417);
  for (long i = 0; i < 3; ++i) map->erase(i);
  const MapStats s = inspect(*map);
  REQUIRE(s.growing);
  const std::string shown = text(picture(*map));
  const auto has = [&shown](const std::string& words) {
    return shown.find(words) != std::string::npos;
  };
  CHECK(has("growing to twice the size: the first " + std::to_string(s.nevacuate) + " of 64"));
  CHECK(has("\ncells: 414 live; "));
  CHECK(has(" moved to the same bucket; "));
  CHECK(has(" moved to the upper half; "));
  CHECK(has("\nold array: 64 buckets"));
}
