#pragma once

// What the programmer of a comparison can choose: whose rules apply where Go's versions differ, and
// where random numbers come from. Both are settings of the whole process.
//
//     since   rule
//     1.21    clear() first marks every cell empty, so that an iterator which began before a growth
//             does not return cleared entries
//     1.22    the number of spare overflow buckets takes the 8-byte header into account that Go
//             puts before pointerful blocks above 512 bytes
//
// (1.22 also starts an iteration from a 64-bit random number; before, it was 32 bits up to B = 28.
// Start and offset take B + 3 of them, 31 at most then: the same ones, so that is no rule.)
//
// The default is the newest bucket map, Go 1.23.
//
// Thread safety: settings may be changed while maps are in use; a map made under one rule can be
// cleared under another.

#include <compare>
#include <cstddef>
#include <cstdint>

#include <gort/base/config.h>

namespace gort {

struct GoVersion {
  int major = 1;
  int minor = 23;
  auto operator<=>(const GoVersion&) const = default;
};

/// The version whose rules maps follow from now on: 1.0 to 1.23. A later one counts as 1.23.
GORT_API void set_map_rules(GoVersion version);
GORT_API GoVersion map_rules();

/// Where maps get random numbers from: seeds of maps, starts of iterations, hashes of NaN, and the
/// coin that counts overflow buckets of very large maps.
struct MapRandom {
  std::uint64_t (*next)(void* context) = nullptr;
  void* context = nullptr;
};
/// For tests and replays; `{}` restores the default. No map may be in use by another thread.
GORT_API void set_map_random(MapRandom source);

namespace hashmap {

/// 64 random bits.
GORT_API std::uint64_t random_bits();

bool clear_marks_cells();
/// Bytes that a block of `bytes` really takes in the heap of the Go version whose rules apply,
/// without that version's header.
std::size_t round_up_size(std::size_t bytes, bool pointer_free);

}  // namespace hashmap
}  // namespace gort
