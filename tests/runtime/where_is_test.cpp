#include <catch2/catch.hpp>

#include <fmt/format.h>

#include <gort/gc/collector.h>
#include <gort/gort.h>

using namespace gort;

namespace {

struct Runtime {
  Runtime() { start(Options{.gc_percent = -1, .conservative_stacks = false}); }
  ~Runtime() { shutdown(); }
};

// No other type here has these two words, so spans of this layout have its name.
struct Pair {
  long value = 0;
  Ref<Pair> next;
  GORT_FIELDS(Pair, next);
};

}  // namespace

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
