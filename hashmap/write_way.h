#pragma once

// How a write to a pair that is there comes to its place.
//
// Search gives the number of a cell, and arithmetic on tophash bytes that have just been fetched
// the address. Until the address of a store is known, processors let later loads pass it if they
// guess that the two will not meet; but (as measured on Intel's, docs/decisions.md) not a load that
// has to walk the page tables. So in a map of far more pages than the TLB has entries one write
// comes after the other, each for the whole latency of memory, while lookups overlap.
//
// With a jump in between, to one of eight places of which each has its number as a constant, the
// address follows from a prediction and not from data. The prediction is wrong seven times out of
// eight, but what the next operation needs is under way before that shows. That takes a tenth to
// four tenths off where walks wait, and costs 10 to 25 ns where none is needed: in smaller maps,
// and in large ones if the machine really has large pages there.
//
// No register tells which it is. So both ways are measured, once for each bucket type and number of
// buckets, on the buckets of the first map that gets that large.
//
// A new pair goes straight. Inserts took a third less through the jump in some minutes and an
// eighth more in others, presumably when a neighbour ran on the other half of the processor's core
// and the window for instructions under way was half as large. The others gain then too, only less.

#include <cstddef>
#include <cstdint>

#include <gort/base/atomic.h>
#include <gort/base/config.h>
#include <gort/hashmap/header.h>

namespace gort::hashmap {

/// `cell` (0..7) itself, as the outcome of a jump.
GORT_ALWAYS_INLINE std::size_t through_jump(std::size_t cell) {
  // The compiler must neither see that what comes out is what went in, nor make one of the eight.
#define GORT_CELL(n)                        \
  case n:                                   \
    cell = n;                               \
    asm volatile("" : "+r"(cell) : "i"(n)); \
    return cell;
  switch (cell) {
    GORT_CELL(0)
    GORT_CELL(1)
    GORT_CELL(2)
    GORT_CELL(3)
    GORT_CELL(4)
    GORT_CELL(5)
    GORT_CELL(6)
    GORT_CELL(7)
    default:
      __builtin_unreachable();
  }
#undef GORT_CELL
}

/// Which way, for the maps of one bucket type: through the jump from some size on.
///
/// Thread safety: any thread. Both numbers are hints; who reads an old one goes the other way.
class WriteWay {
 public:
  bool jumps(std::uint8_t log2_buckets) const { return log2_buckets >= jump_from_.load_relaxed(); }
  /// Measures if the map's size is one of which nothing is known; what it takes then is a tenth of
  /// a millisecond. Not in a map that was made large and is not half full: pages that were never
  /// written tell nothing.
  void consider(const Header& map, std::size_t bucket_size) {
    if (map.growing() || bucket_size << map.B < kLeastBytes || known(map.B)) return;
    if (static_cast<std::size_t>(map.count) < load_limit(map.B) / 2) return;
    measure(map, bucket_size);
  }
  bool known(std::uint8_t log2_buckets) const {
    return log2_buckets <= straight_to_.load_relaxed() || jumps(log2_buckets);
  }
  /// For tests: as if maps of 2^b buckets and more had been found to be faster through the jump.
  void set_jump_from(std::uint8_t log2_buckets) { jump_from_.store_relaxed(log2_buckets); }

  /// As much as the TLBs of common processors cover with pages of 4 KiB.
  static constexpr std::size_t kLeastBytes = std::size_t{4} << 20;
  static constexpr std::uint8_t kNever = 64;

 private:
  GORT_COLD void measure(const Header& map, std::size_t bucket_size);

  // Values of B. Between the two nothing is known.
  Atomic<std::uint8_t> straight_to_{0};
  Atomic<std::uint8_t> jump_from_{kNever};
};

}  // namespace gort::hashmap
