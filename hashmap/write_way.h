#pragma once

// Whether a write to a large map takes masked stores (masked_store.h).
//
// Overwriting and erasing take a quarter to a half less by them where loads wait for the page
// tables, and some nanoseconds more where none does: in small maps, and in large ones if the
// machine really has large pages there. No register tells which it is. So both ways are measured,
// once for each bucket type and number of buckets, on the buckets of the first map that gets that
// large. New pairs go straight: they gain nothing.

#include <cstddef>
#include <cstdint>

#include <gort/base/atomic.h>
#include <gort/base/config.h>
#include <gort/hashmap/header.h>

namespace gort::hashmap {

/// Which way, for the maps of one bucket type: by masked stores from some size on.
///
/// Thread safety: any thread. Both numbers are hints; who reads an old one goes the other way.
class WriteWay {
 public:
  bool masks(std::uint8_t log2_buckets) const { return log2_buckets >= mask_from_.load_relaxed(); }
  /// Measures if the map's size is one of which nothing is known; what it takes then is a tenth of
  /// a millisecond. Not in a map that was made large and is not half full: pages that were never
  /// written tell nothing.
  void consider(const Header& map, std::size_t bucket_size) {
    if (map.growing() || bucket_size << map.B < kLeastBytes || known(map.B)) return;
    if (static_cast<std::size_t>(map.count) < load_limit(map.B) / 2) return;
    measure(map, bucket_size);
  }
  bool known(std::uint8_t log2_buckets) const {
    return log2_buckets <= straight_to_.load_relaxed() || masks(log2_buckets);
  }
  /// For tests: as if maps of 2^b buckets and more had been found to be faster by masked stores. A
  /// processor that has none takes no notice.
  GORT_API void set_mask_from(std::uint8_t log2_buckets);

  /// As much as the TLBs of common processors cover with pages of 4 KiB.
  static constexpr std::size_t kLeastBytes = std::size_t{4} << 20;
  static constexpr std::uint8_t kNever = 64;

 private:
  GORT_API GORT_COLD void measure(const Header& map, std::size_t bucket_size);

  // Values of B. Between the two nothing is known.
  Atomic<std::uint8_t> straight_to_{0};
  Atomic<std::uint8_t> mask_from_{kNever};
};

}  // namespace gort::hashmap
