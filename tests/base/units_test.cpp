#include <catch2/catch.hpp>

#include <limits>

#include <gort/base/units.h>

using namespace gort;

TEST_CASE("Pages::holding rounds up and survives the largest size", "[base][units]") {
  CHECK(Pages::holding(0) == Pages(0));
  CHECK(Pages::holding(1) == Pages(1));
  CHECK(Pages::holding(kPageSize) == Pages(1));
  CHECK(Pages::holding(kPageSize + 1) == Pages(2));
  constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();
  CHECK(Pages::holding(kMost).count() == (kMost >> kPageShift) + 1);
}

TEST_CASE("Pages add and compare as numbers", "[base][units]") {
  Pages p(3);
  p += Pages(4);
  p -= Pages(2);
  CHECK(p == Pages(5));
  CHECK(p.bytes() == 5 * kPageSize);
  CHECK(Pages(1) + Pages(2) > Pages(2));
  CHECK(64_KiB == 65536);
  CHECK(1_TiB == 1024 * 1_GiB);
}
