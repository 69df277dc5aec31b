#include <catch2/catch.hpp>

#include <gort/tests/tool/sample_report.h>
#include <gort/tools/gortstat/snapshot.h>

using namespace gort;
using namespace gort::tool;

TEST_CASE("steps and pictures are small: resident memory contains them", "[tool][snapshot]") {
  CHECK(sizeof(Step) <= 1024);
  CHECK(sizeof(BucketPicture) <= 24);
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
