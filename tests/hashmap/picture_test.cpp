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
