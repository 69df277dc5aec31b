#include <catch2/catch.hpp>

#include <memory>
#include <set>

#include <gort/alloc/chunk_set.h>
#include <gort/base/random.h>
#include <gort/tests/support/seed.h>

using namespace gort;
using namespace gort::alloc;

TEST_CASE("a chunk set finds its highest member below any limit", "[alloc][chunk_set]") {
  Random random(gort_test::test_seed());
  auto set = std::make_unique<ChunkSet>();
  std::set<std::size_t> model;
  auto expected = [&](std::size_t limit) {
    auto above = model.lower_bound(limit);
    return above == model.begin() ? ChunkSet::kNone : *std::prev(above);
  };
  for (int i = 0; i < 200'000; ++i) {
    // Members that are near, far and at word ends, in changing density.
    const std::size_t range = std::size_t{1} << (1 + random.below(20));
    const std::size_t chunk =
        random.below(4) == 0 ? random.below(range) / 64 * 64 : random.below(range);
    if (random.below(1'000'000) < 520'000 - model.size() * 200) {
      set->insert(chunk);
      model.insert(chunk);
    } else {
      set->erase(chunk);
      model.erase(chunk);
    }
    REQUIRE(set->contains(chunk) == (model.count(chunk) != 0));
    const std::size_t limit = random.below(range + 1);
    REQUIRE(set->highest_below(limit) == expected(limit));
    REQUIRE(set->highest_below(ChunkSet::kChunks) == expected(ChunkSet::kChunks));
  }
}

TEST_CASE("an empty chunk set has no highest member", "[alloc][chunk_set]") {
  auto set = std::make_unique<ChunkSet>();
  CHECK(set->highest_below(ChunkSet::kChunks) == ChunkSet::kNone);
  set->insert(ChunkSet::kChunks - 1);
  CHECK(set->highest_below(ChunkSet::kChunks) == ChunkSet::kChunks - 1);
  CHECK(set->highest_below(ChunkSet::kChunks - 1) == ChunkSet::kNone);
  CHECK(set->highest_below(0) == ChunkSet::kNone);
  set->erase(ChunkSet::kChunks - 1);
  CHECK(set->highest_below(ChunkSet::kChunks) == ChunkSet::kNone);
}
