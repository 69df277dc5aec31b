#include <catch2/catch.hpp>

#include <array>

#include <gort/base/random.h>

using namespace gort;

TEST_CASE("the generator repeats from its seed", "[base][random]") {
  Random a(1);
  Random b(1);
  for (int i = 0; i < 100; ++i) REQUIRE(a.next() == b.next());
  CHECK(Random(1).next() != Random(2).next());
}

TEST_CASE("splitmix64 gives the published values for seed 1234567", "[base][random]") {
  Random random(1234567);
  CHECK(random.next() == 6457827717110365317U);
  CHECK(random.next() == 3203168211198807973U);
}

TEST_CASE("below() reaches every value and no other", "[base][random]") {
  Random random(9);
  std::array<int, 10> seen{};
  for (int i = 0; i < 10'000; ++i) ++seen.at(random.below(10));
  for (const int n : seen) CHECK(n > 800);
}

TEST_CASE("seeds differ", "[base][random]") { CHECK(random_seed() != random_seed()); }
