#include <catch2/catch.hpp>

#include <algorithm>
#include <array>

#include <gort/alloc/size_class.h>

using namespace gort;
using namespace gort::alloc;

// Go's table (src/runtime/sizeclasses.go): slot size and pages of a span.
constexpr std::array<std::array<unsigned, 2>, 68> kGoTable = {{
    {0, 0},     {8, 1},      {16, 1},    {24, 1},    {32, 1},    {48, 1},    {64, 1},    {80, 1},
    {96, 1},    {112, 1},    {128, 1},   {144, 1},   {160, 1},   {176, 1},   {192, 1},   {208, 1},
    {224, 1},   {240, 1},    {256, 1},   {288, 1},   {320, 1},   {352, 1},   {384, 1},   {416, 1},
    {448, 1},   {480, 1},    {512, 1},   {576, 1},   {640, 1},   {704, 1},   {768, 1},   {896, 1},
    {1024, 1},  {1152, 1},   {1280, 1},  {1408, 2},  {1536, 1},  {1792, 2},  {2048, 1},  {2304, 2},
    {2688, 1},  {3072, 3},   {3200, 2},  {3456, 3},  {4096, 1},  {4864, 3},  {5376, 2},  {6144, 3},
    {6528, 4},  {6784, 5},   {6912, 6},  {8192, 1},  {9472, 7},  {9728, 6},  {10240, 5}, {10880, 4},
    {12288, 3}, {13568, 5},  {14336, 7}, {16384, 2}, {18432, 9}, {19072, 7}, {20480, 5}, {21760, 8},
    {24576, 3}, {27264, 10}, {28672, 7}, {32768, 4},
}};

TEST_CASE("the generated size classes are Go's", "[alloc][size_class]") {
  INFO("fails if alloc/config.h makes another table: no other test in this room depends on Go's");
  REQUIRE(kSizeClassCount == kGoTable.size());
  for (std::size_t c = 1; c < kSizeClassCount; ++c) {
    CAPTURE(c);
    CHECK(kSizeClasses[c].size == kGoTable[c][0]);
    CHECK(kSizeClasses[c].pages == kGoTable[c][1]);
    CHECK(kSizeClasses[c].objects == kGoTable[c][1] * kPageSize / kGoTable[c][0]);
  }
}

TEST_CASE("every small size gets the smallest class that holds it", "[alloc][size_class]") {
  std::size_t c = 1;
  for (std::size_t bytes = 1; bytes <= kMaxSmallSize; ++bytes) {
    if (bytes > kSizeClasses[c].size) ++c;
    REQUIRE(size_class_of(bytes) == c);
  }
  CHECK(size_class_of(0) == 1);
}

TEST_CASE("block sizes round to slots, then to pages", "[alloc][size_class]") {
  CHECK(block_size_for(33) == 48);
  CHECK(block_size_for(272) == 288);
  CHECK(block_size_for(32768) == 32768);
  CHECK(block_size_for(32769) == 5 * kPageSize);
  CHECK(block_size_for(~std::size_t{0}) == (~std::size_t{0} & ~(kPageSize - 1)));
}

TEST_CASE("an alignment up to a page has the least class whose slots all keep it",
          "[alloc][size_class]") {
  for (std::size_t alignment = 1; alignment <= kPageSize; alignment *= 2) {
    for (std::size_t bytes = 0; bytes <= kMaxSmallSize; bytes += alignment) {
      const std::size_t asked = bytes_to_align(bytes, alignment);
      const std::size_t slot = block_size_for(asked);
      REQUIRE(asked >= bytes);
      if (bytes > 0) REQUIRE(slot % std::min(alignment, std::size_t{16}) == 0);
      if (alignment <= 16) {
        REQUIRE(asked == bytes);
        continue;
      }
      REQUIRE(slot == asked);
      REQUIRE(slot % alignment == 0);
      for (std::size_t c = size_class_of(bytes); kSizeClasses[c].size < slot; ++c) {
        REQUIRE(kSizeClasses[c].size % alignment != 0);
      }
    }
    CHECK(bytes_to_align(kMaxSmallSize + alignment, alignment) == kMaxSmallSize + alignment);
  }
}

TEST_CASE("tail waste is at most an eighth of a span", "[alloc][size_class]") {
  for (std::size_t c = 1; c < kSizeClassCount; ++c) {
    const SizeClassInfo& info = kSizeClasses[c];
    const std::size_t span = info.pages * kPageSize;
    CHECK(span - std::size_t{info.objects} * info.size <= span / 8);
  }
}
