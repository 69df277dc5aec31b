#include <catch2/catch.hpp>

#include <set>
#include <string>

#include <gort/base/counters.h>
#include <gort/base/ledger.h>

using namespace gort;

TEST_CASE("every place has a name of its own", "[base][ledger]") {
  std::set<std::string_view> names;
  for (const Place place : all_places()) names.insert(place_name(place));
  CHECK(names.size() == kPlaceCount);
  CHECK(place_name(Place::reserved) == "reserved");
}

TEST_CASE("a reason adds to its own place", "[base][ledger]") {
  Ledger ledger;
  ledger.add(Reason::dead_cells, 100);
  ledger.add(Reason::growth_stalled, 20);
  ledger.add(Reason::span_pinned, 3);
  CHECK(ledger[Place::map_dead] == 120);
  CHECK(ledger[Place::span_free] == 3);
  CHECK(ledger[Reason::growth_stalled] == 20);
  CHECK(ledger.sum() == 123);
}

TEST_CASE("counters are visited once each, in order, with a unit", "[base][counters]") {
  counters.refills.fetch_add_relaxed(7);
  std::set<std::string_view> names;
  std::uint64_t refills = 0;
  for_each_counter([&](std::string_view name, std::string_view unit, std::string_view what,
                       std::uint64_t value) {
    CHECK(names.insert(name).second);
    CHECK_FALSE(unit.empty());
    CHECK_FALSE(what.empty());
    if (name == "refills") refills = value;
  });
  CHECK(refills >= 7);
}
