#pragma once

// What a map is in memory, byte for byte as in Go up to 1.23 (src/runtime/map.go: hmap, mapextra).
//
//     Map<K, V> --> Header (48 bytes) --buckets----> 2^B buckets, behind them spare overflow
//     buckets
//                          |           --oldbuckets-> the array before, while the map is growing
//                          +--extra---> Extra (24 bytes) --overflow----> list of overflow buckets
//                                                        --oldoverflow-> the same, of the old array
//                                                        --next_overflow-> first spare bucket
//
// A bucket (bucket.h) has room for 8 pairs; further ones stand in a chain of overflow buckets. The
// spare buckets behind the array are handed out first. The lists exist only if buckets hold no
// references: the collector then does not look into buckets, and the lists alone keep the overflow
// buckets alive (and keep them alive until the array goes, empty or not).
//
// Growth. `buckets` becomes `oldbuckets` and an array of twice the size (too many pairs) or of the
// same size (too many overflow buckets) takes its place. Every write to the map then moves up to
// two old chains; `nevacuate` old chains at the front are known to be done.
//
//     not growing:  oldbuckets == null, nevacuate is whatever the last growth left
//     growing:      a pair stands in its old chain if that is not evacuated, else in its new chain
//     count == number of live cells, over both arrays
//     noverflow == overflow buckets of the current array; an estimate from kFirstBEstimated on
//
// Words that refer to heap memory are declared void*, so that the write barrier can have their
// address without a cast.
//
// Under a concurrent collector (snapshot at the beginning, gc/barrier.h) map code keeps to this:
//
//     overwriting    a reference word that may not be null is overwritten by write_reference(), and
//                    memory with such words is zeroed by clear_references(): both record what was
//                    there. That is every word of a header, an Extra, a list's slice header, a
//                    pinned root; values and keys of live cells (assignment, erase); old chains
//                    after their evacuation; arrays in clear().
//     initialising   init_reference(), or copying an object by its constructors (Ref's does just
//                    that), only where the word is null: cells of a new array, since nothing but
//                    the evacuation of one old chain writes to a destination chain, and an undone
//                    evacuation clears it; free cells, since erase clears their references; key and
//                    value objects just allocated; a list entry behind the length.
//     copies         evacuation leaves the old copy as it is or clears it by clear_references(),
//                    so whatever the snapshot could reach through the old array is marked through
//                    the old array. The new array, allocated while marking, need not be scanned.
//     plain stores   only to tophash bytes, counters, flags, and whole buckets of pointer-free
//     type.
//
// A thread may be stopped between any two instructions: no step assumes that several of these
// stores are seen together, and what is not linked yet is on the stack and held by a Pin.

#include <array>
#include <cstddef>
#include <cstdint>

#include <gort/base/atomic.h>
#include <gort/gc/barrier.h>
#include <gort/hashmap/tophash.h>

namespace gort::hashmap {

// Bits of Header::flags.
inline constexpr std::uint8_t kIterator = 1;     ///< an iterator may be using `buckets`
inline constexpr std::uint8_t kOldIterator = 2;  ///< an iterator may be using `oldbuckets`
inline constexpr std::uint8_t kWriting = 4;      ///< a thread is writing to the map
inline constexpr std::uint8_t kSameSize = 8;     ///< the growth is to an array of the same size
// Not Go's: for maps with wipe_eagerly() (policies.h), which count their iterators in the top bits.
inline constexpr std::uint8_t kEagerWipe = 16;
inline constexpr std::uint8_t kOneIterator = 32;
inline constexpr std::uint8_t kIterators = 7 * kOneIterator;

/// A Go slice of bucket pointers.
struct OverflowList {
  void* array = nullptr;
  long length = 0;
  long capacity = 0;

  void** entries() const { return static_cast<void**>(array); }
};
static_assert(sizeof(OverflowList) == 24);

struct Extra {
  void* overflow = nullptr;       ///< OverflowList*
  void* oldoverflow = nullptr;    ///< OverflowList*
  void* next_overflow = nullptr;  ///< first spare bucket of the current array

  OverflowList* list() const { return static_cast<OverflowList*>(overflow); }
  OverflowList* old_list() const { return static_cast<OverflowList*>(oldoverflow); }
};
static_assert(sizeof(Extra) == 24);

/// 2^i - 1.
inline constexpr std::array<std::size_t, 64> kMasks = [] {
  std::array<std::size_t, 64> masks{};
  for (std::size_t i = 0; i < masks.size(); ++i) masks[i] = (std::size_t{1} << i) - 1;
  return masks;
}();

struct Header {
  long count = 0;
  std::uint8_t flags = 0;
  std::uint8_t B = 0;  ///< log2 of the number of buckets
  std::uint16_t noverflow = 0;
  std::uint32_t hash0 = 0;  ///< seed
  void* buckets = nullptr;
  void* oldbuckets = nullptr;
  std::size_t nevacuate = 0;
  void* extra_word = nullptr;  ///< Extra*

  Extra* extra() const { return static_cast<Extra*>(extra_word); }
  bool growing() const { return oldbuckets != nullptr; }
  bool same_size_growth() const { return (load_flags() & kSameSize) != 0; }
  /// An iterator may be using `buckets`, or `oldbuckets`.
  bool iterated() const { return (load_flags() & (kIterator | kIterators)) != 0; }
  bool old_iterated() const { return (load_flags() & (kOldIterator | kIterators)) != 0; }
  std::size_t bucket_count() const { return std::size_t{1} << B; }
  /// bucket_count() - 1: from a table, as shifts by a variable cost three steps each on x86-64.
  std::size_t mask() const { return kMasks[B]; }
  /// Buckets of the old array; only while growing.
  std::size_t old_bucket_count() const {
    return same_size_growth() ? bucket_count() : bucket_count() / 2;
  }

  /// Flags are read without synchronisation by other threads, to catch misuse: relaxed accesses.
  std::uint8_t load_flags() const {
    return AtomicRef(const_cast<std::uint8_t&>(flags)).load_relaxed();
  }
  void store_flags(std::uint8_t value) { AtomicRef(flags).store_relaxed(value); }
  void add_flags(std::uint8_t bits) { store_flags(static_cast<std::uint8_t>(load_flags() | bits)); }
  void remove_flags(std::uint8_t bits) {
    store_flags(static_cast<std::uint8_t>(load_flags() & ~bits));
  }
};
static_assert(sizeof(Header) == 48);
static_assert(offsetof(Header, count) == 0);
static_assert(offsetof(Header, flags) == 8);
static_assert(offsetof(Header, B) == 9);
static_assert(offsetof(Header, noverflow) == 10);
static_assert(offsetof(Header, hash0) == 12);
static_assert(offsetof(Header, buckets) == 16);
static_assert(offsetof(Header, oldbuckets) == 24);
static_assert(offsetof(Header, nevacuate) == 32);
static_assert(offsetof(Header, extra_word) == 40);

/// Pairs that 2^B buckets may hold: 6.5 a bucket, but 8 in a single one. A map of `count` pairs is
/// over its limit if count > limit.
constexpr std::size_t load_limit(std::uint8_t log2_buckets) {
  return log2_buckets == 0 ? kCells : 13 * ((std::size_t{1} << log2_buckets) / 2);
}

/// The smallest B for `pairs` pairs.
constexpr std::uint8_t smallest_log2(std::size_t pairs) {
  std::uint8_t log2_buckets = 0;
  while (pairs > load_limit(log2_buckets)) ++log2_buckets;
  return log2_buckets;
}

/// From this size on overflow buckets are counted by tossing a coin.
inline constexpr std::uint8_t kFirstBEstimated = 16;

/// About as many overflow buckets as buckets (2^15 at most are counted).
constexpr bool too_many_overflow_buckets(std::uint16_t noverflow, std::uint8_t log2_buckets) {
  return noverflow >= std::uint16_t{1} << (log2_buckets > 15 ? 15 : log2_buckets);
}

}  // namespace gort::hashmap
