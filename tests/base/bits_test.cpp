#include <catch2/catch.hpp>

#include <vector>

#include <gort/base/bits.h>
#include <gort/base/random.h>
#include <gort/tests/support/seed.h>

using namespace gort;

TEST_CASE("low_mask covers every width from nothing to a whole word", "[base][bits]") {
  CHECK(bits::low_mask(0) == 0);
  CHECK(bits::low_mask(1) == 1);
  CHECK(bits::low_mask(63) == 0x7fff'ffff'ffff'ffffU);
  CHECK(bits::low_mask(64) == 0xffff'ffff'ffff'ffffU);
}

TEST_CASE("align_up and align_down meet at multiples", "[base][bits]") {
  CHECK(bits::align_up(0, 8) == 0);
  CHECK(bits::align_up(1, 8) == 8);
  CHECK(bits::align_up(8, 8) == 8);
  CHECK(bits::align_down(15, 8) == 8);
  CHECK_FALSE(bits::is_power_of_two(0));
  CHECK(bits::is_power_of_two(4096));
  CHECK_FALSE(bits::is_power_of_two(4097));
}

TEST_CASE("ranges of a bitmap agree with a vector of bools", "[base][bits]") {
  Random random(gort_test::test_seed());
  constexpr std::size_t kSize = 517;  // not a multiple of 64
  std::uint64_t map[bits::words_for(kSize)] = {};
  std::vector<bool> model(kSize);
  for (int step = 0; step < 20'000; ++step) {
    const std::size_t first = random.below(kSize);
    const std::size_t count = random.below(kSize - first + 1);
    const bool value = random.below(2) != 0;
    (value ? bits::set_range : bits::clear_range)(map, first, count);
    std::fill_n(model.begin() + static_cast<std::ptrdiff_t>(first), count, value);

    const std::size_t from = random.below(kSize + 1);
    std::size_t next_set = from;
    while (next_set < kSize && !model[next_set]) ++next_set;
    std::size_t next_clear = from;
    while (next_clear < kSize && model[next_clear]) ++next_clear;
    REQUIRE(bits::find_set(map, kSize, from) == next_set);
    REQUIRE(bits::find_clear(map, kSize, from) == next_clear);
    std::size_t in_range = 0;
    for (std::size_t i = first; i < first + count; ++i) in_range += model[i] ? 1 : 0;
    REQUIRE(bits::count_range(map, first, count) == in_range);
  }
}

TEST_CASE("for_each_run visits maximal runs in order", "[base][bits]") {
  std::uint64_t map[3] = {};
  bits::set_range(map, 0, 3);
  bits::set_range(map, 60, 10);
  bits::set_range(map, 127, 1);
  bits::set_range(map, 150, 10);
  std::vector<std::pair<std::size_t, std::size_t>> runs;
  bits::for_each_run(map, 155,
                     [&](std::size_t first, std::size_t n) { runs.emplace_back(first, n); });
  const std::vector<std::pair<std::size_t, std::size_t>> expected = {
      {0, 3}, {60, 10}, {127, 1}, {150, 5}};
  CHECK(runs == expected);
}
