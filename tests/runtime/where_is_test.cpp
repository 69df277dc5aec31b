#include <catch2/catch.hpp>

#include <cstdint>
#include <set>

#include <fmt/format.h>

#include <gort/base/random.h>
#include <gort/gc/allocate.h>
#include <gort/gc/collector.h>
#include <gort/tests/runtime/fixture.h>
#include <gort/tests/support/seed.h>

using namespace gort;

namespace {

struct Runtime : gort_test::Runtime {
  Runtime() : gort_test::Runtime(gort_test::quiet({.gc_percent = -1})) {}
};

// No other type here has these two words, so spans of this layout have its name.
struct Pair {
  long value = 0;
  Ref<Pair> next;
  GORT_FIELDS(Pair, next);
};

// Asks for every byte of every block of the map, and compares with what the ledger books.
template <class K, class V>
void check_every_byte(const Map<K, V>& map) {
  const hashmap::Header* const header = map.header();
  std::set<const void*> blocks;
  auto add = [&blocks](const void* block) {
    if (block != nullptr) blocks.insert(block);
  };
  add(header);
  if (const hashmap::Extra* const extra = header->extra()) {
    add(extra);
    for (const hashmap::OverflowList* list : {extra->list(), extra->old_list()}) {
      add(list);
      if (list != nullptr) add(list->array);
    }
  }
  add(header->buckets);
  add(header->oldbuckets);
  hashmap::visit_buckets(*header, map.type(), [&add](const hashmap::BucketView& bucket) {
    if (!bucket.in_array) add(bucket.address);
  });

  Ledger by_address;
  for (const void* block : blocks) {
    const auto* const bytes = static_cast<const char*>(block);
    for (std::size_t i = 0; i < gc::block_size(block); ++i) {
      const Location at = where_is(bytes + i);
      if (at.reason) {
        by_address.add(*at.reason, 1);
      } else {
        ++by_address[at.place];
      }
    }
  }
  Ledger booked;
  hashmap::account(header, map.type(), booked);
  for (const Place place : all_places()) {
    CAPTURE(place_name(place));
    CHECK(by_address[place] == booked[place]);
  }
  for (std::size_t i = 0; i < kReasonCount; ++i) {
    CAPTURE(kReasons[i].name);
    CHECK(by_address.why[i] == booked.why[i]);
  }
}

// Grows the map to 2^4 buckets and beyond, in the middle of a growth and after one, with holes.
template <class K, class V, class MakeKey>
void check_life(MakeKey&& key) {
  Runtime runtime;
  Random random(gort_test::test_seed());
  Root<Map<K, V>> map(make_map<K, V>());
  (*map)[key(0)] = V{};
  check_every_byte(map.get());
  long n = 1;
  auto grow_to = [&](unsigned log2_buckets) {
    while (map->header()->B < log2_buckets) (*map)[key(n++)] = V{};
  };
  auto erase_most = [&] {
    for (long i = 0; i < n; ++i) {
      if (random.below(8) != 0) map->erase(key(i));
    }
  };
  grow_to(4);
  REQUIRE(map->header()->growing());
  check_every_byte(map.get());
  while (map->header()->growing()) (*map)[key(n++)] = V{};
  erase_most();
  check_every_byte(map.get());
  grow_to(5);
  check_every_byte(map.get());
  map->clear();
  check_every_byte(map.get());
}

}  // namespace

TEST_CASE("where_is and the ledger agree on every byte of a map", "[runtime][where_is]") {
  SECTION("long, long: pointer-free buckets") {
    check_life<long, long>([](long i) { return i; });
  }
  SECTION("String, Ref: buckets with references") {
    check_life<String, Ref<Pair>>([](long i) { return String(std::to_string(i)); });
  }
  SECTION("int16, char: overflow buckets with rounding") {
    check_life<std::int16_t, char>([](long i) { return static_cast<std::int16_t>(i); });
  }
}

TEST_CASE("a foreign address is not in the heap", "[runtime][where_is]") {
  Runtime runtime;
  const int here = 0;
  CHECK_FALSE(where_is(&here).in_heap);
  CHECK_FALSE(where_is(nullptr).in_heap);
  CHECK_FALSE(where_is(reinterpret_cast<void*>(~std::uintptr_t{0})).in_heap);
  CHECK(where_is(&here).text().find("not in the heap") != std::string::npos);
}

TEST_CASE("an object's way from live to returned", "[runtime][where_is]") {
  Runtime runtime;
  Root<Pair> neighbour(make<Pair>());
  Root<Pair> object(make<Pair>());
  const char* address = reinterpret_cast<const char*>(object.get()) + 8;
  Location at = where_is(address);
  CHECK(at.place == Place::live);
  CHECK(at.slot_size == 16);
  CHECK(at.slot_start == reinterpret_cast<std::uintptr_t>(object.get()));
  CHECK(at.type.find("Pair") != std::string::npos);
  CHECK_FALSE(at.noscan);
  CHECK(where_is(address + 16).reason == Reason::cached_by_thread);

  object = nullptr;
  gc::collector.collect(gc::CycleReason::forced, false);
  CHECK(where_is(address).reason == Reason::not_swept);
  collect();
  at = where_is(address);
  CHECK(at.reason == Reason::span_pinned);
  CHECK(at.live_in_span == 1);
  CHECK(fmt::format("{}", at).find("span_pinned") != std::string::npos);

  neighbour = nullptr;
  collect();
  CHECK(where_is(address).place == Place::page_free);
  release_os_memory();
  CHECK(where_is(address).place == Place::returned);
}

TEST_CASE("the tail of a span is waste", "[runtime][where_is]") {
  Runtime runtime;
  Root<char> object(make_array<char>(48));  // 170 slots of 48 leave 32 bytes
  const Location at = where_is(object.get());
  const auto* tail = reinterpret_cast<const char*>(at.span_start + 170 * 48 + 1);
  CHECK(where_is(tail).place == Place::span_waste);
}

TEST_CASE("a cell of a map is named, dead or alive", "[runtime][where_is]") {
  Runtime runtime;
  Root<Map<long, long>> map(make_map<long, long>(100));
  for (long i = 0; i < 100; ++i) (*map)[i] = i;
  const long* value = map->find(42);
  REQUIRE(value != nullptr);
  Location at = where_is(value);
  CHECK(at.place == Place::map_live);
  REQUIRE(at.cell);
  CHECK(at.cell->part == hashmap::MapPart::elem);
  CHECK(at.cell->live());
  CHECK(at.cell->map == reinterpret_cast<std::uintptr_t>(map->header()));

  map->erase(42);
  at = where_is(value);
  CHECK(at.place == Place::map_dead);
  CHECK(at.reason == Reason::dead_cells);
  REQUIRE(at.cell);
  CHECK_FALSE(at.cell->live());

  at = where_is(map->header());
  CHECK(at.place == Place::map_live);
  REQUIRE(at.cell);
  CHECK(at.cell->part == hashmap::MapPart::header);
}
