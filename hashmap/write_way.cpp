// Measures the two ways of write_way.h: reads tophash bytes of random buckets and stores somewhere
// else, at a place that depends on them. Nothing of the map is changed.
//
// The least of a few short runs counts, so a processor that is taken away does no harm.

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>

#include <gort/base/clock.h>
#include <gort/base/random.h>
#include <gort/hashmap/masked_store.h>
#include <gort/hashmap/tophash.h>
#include <gort/hashmap/write_way.h>

namespace gort::hashmap {
namespace {

constexpr int kRounds = 4;
constexpr int kStores = 64;

/// Nanoseconds.
template <bool kMask>
std::int64_t time_of_stores(const Header& map, std::size_t bucket_size, Random& random) {
  alignas(kCacheLine) std::array<std::uint64_t, kCells> cells;
  const auto* const buckets = static_cast<const char*>(map.buckets);
  const std::int64_t start = now_ns();
  for (int i = 0; i < kStores; ++i) {
    const std::uint64_t r = random.next();
    // Few cells may be in use, so chance has to be added.
    const Tops tops = Tops::load(buckets + (r & map.mask()) * bucket_size);
    const std::size_t cell = (tops.word() ^ r >> 61) % kCells;
    if constexpr (kMask) {
      init_masked<sizeof r>(reinterpret_cast<char*>(cells.data()), cell, &r);
    } else {
      cells[cell] = r;
    }
    asm volatile("" : : "r"(cells.data()) : "memory");  // the stores happen
  }
  return now_ns() - start;
}

}  // namespace

void WriteWay::set_mask_from(std::uint8_t log2_buckets) {
  if (can_mask()) mask_from_.store_relaxed(log2_buckets);
}

void WriteWay::measure(const Header& map, std::size_t bucket_size) {
  bool masking = false;
  if (can_mask()) {
    Random random(random_seed());
    std::int64_t straight = std::numeric_limits<std::int64_t>::max();
    std::int64_t masked = straight;
    for (int i = 0; i < kRounds; ++i) {
      straight = std::min(straight, time_of_stores<false>(map, bucket_size, random));
      masked = std::min(masked, time_of_stores<true>(map, bucket_size, random));
    }
    // These loops are shorter than a write: half as much again is what it takes to show there.
    masking = masked * 3 < straight * 2;
  }
  (masking ? mask_from_ : straight_to_).store_relaxed(map.B);
}

}  // namespace gort::hashmap
