#include <catch2/catch.hpp>

#include <gort/base/spin.h>

using namespace gort;

TEST_CASE("spinning ends when it is so", "[base][spin]") {
  for (const int wanted : {1, 2, 32, 33, 1000}) {
    int asked = 0;
    CHECK(spin_for(3'600'000'000'000, [&] { return ++asked == wanted; }));
    CHECK(asked == wanted);
  }
}

TEST_CASE("spinning ends when the time is over, and not before", "[base][spin]") {
  for (const std::int64_t ns : {std::int64_t{0}, std::int64_t{1'000}, std::int64_t{3'000'000}}) {
    std::int64_t first = 0;
    int asked = 0;
    CHECK_FALSE(spin_for(ns, [&] {
      if (++asked == 1) first = now_ns();
      return false;
    }));
    CHECK(now_ns() - first >= ns);
    CHECK(asked >= 32);
  }
}
