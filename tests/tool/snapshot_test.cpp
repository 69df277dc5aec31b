#include <catch2/catch.hpp>

#include <gort/tests/tool/sample_report.h>
#include <gort/tools/gortstat/snapshot.h>

using namespace gort;
using namespace gort::tool;

TEST_CASE("a ledger whose places sum to mapped keeps the identities", "[tool][snapshot]") {
  for (const Step& step : gort_test::sample_report().steps) {
    CHECK(broken_identity(step.ledger) == std::nullopt);
  }
}

TEST_CASE("bytes that are nowhere or twice are named", "[tool][snapshot]") {
  Ledger ledger = gort_test::sample_report().steps[0].ledger;
  ledger[Place::live] -= 1000;
  CHECK(broken_identity(ledger) ==
        "the places sum to 64,536, but mapped is 65,536 (1,000 missing)");
  ledger[Place::live] += 3000;
  CHECK(broken_identity(ledger) ==
        "the places sum to 67,536, but mapped is 65,536 (2,000 too many)");
}

TEST_CASE("a place whose reasons do not sum to it is named", "[tool][snapshot]") {
  Ledger ledger = gort_test::sample_report().steps[0].ledger;
  ledger.why[static_cast<std::size_t>(Reason::dead_cells)] -= 12;
  CHECK(broken_identity(ledger) ==
        "the reasons of map_dead sum to 628, but the place is 640 (12 missing)");
}

TEST_CASE("what may be resident is what is neither reserved nor returned", "[tool][snapshot]") {
  CHECK(resident_at_most(gort_test::sample_report().steps[1].ledger) == 8 << 10);
}

TEST_CASE("what a remedy brought back is where the bytes are afterwards", "[tool][snapshot]") {
  const std::vector<Step> steps = gort_test::sample_report().steps;
  const BroughtBack back = brought_back(steps[0].ledger, steps[1].ledger);
  CHECK(back.freed == 3072 + 2048 + 640);
  CHECK(back.returned == 24 << 10);
  CHECK(back.free == -(2432 + (16 << 10)));
  CHECK(back.awaiting == 0);
  CHECK(back.freed == back.returned + back.free);
}
