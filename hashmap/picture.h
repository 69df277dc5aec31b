#pragma once

// Everything that can be drawn of a map, as plain data: each bucket with its tophash bytes, in the
// order of arrays and chains, and how many bytes of what are where. For tools to make JSON or
// pictures of (gortstat replay --picture); text() is one for people.
//
// It takes 24 bytes a bucket of ordinary memory. For the owner of a map, who may read it; unlike
// inspect() not for use with the world stopped.
//
//     sum of live_bytes over the buckets + other_bytes                == stats.live_bytes
//     sum of dead_bytes over the buckets + rest_bytes of both arrays  == stats.dead_bytes

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <gort/base/config.h>
#include <gort/hashmap/inspect.h>
#include <gort/hashmap/map.h>

namespace gort {

struct BucketPicture {
  std::array<std::uint8_t, hashmap::kCells> tophash{};  ///< hashmap::cell_state_name() tells each
  std::uint32_t chain = 0;                              ///< number of the chain in its array
  std::uint32_t position = 0;    ///< in the chain; 0: the bucket of the array itself
  std::uint16_t live_bytes = 0;  ///< a bucket has at most 8 * (1 + 128 + 128) + 8 bytes
  std::uint16_t dead_bytes = 0;  ///< with the rounding of a block of its own
  bool in_array = false;         ///< part of the array's block; else a block of its own
};

struct ArrayPicture {
  std::size_t buckets = 0;         ///< without spare ones
  std::size_t spare_buckets = 0;   ///< on no chain yet; of the old array they are not told apart
  std::size_t bytes = 0;           ///< of the array's block
  std::size_t rest_bytes = 0;      ///< of that, in no bucket below: spare ones and rounding
  std::vector<BucketPicture> all;  ///< chain by chain
};

struct MapPicture {
  MapStats stats;
  std::size_t other_bytes = 0;  ///< header, extra, lists of overflow buckets
  ArrayPicture current;
  ArrayPicture old;  ///< empty unless the map is growing
};

namespace hashmap {

/// Throws std::bad_alloc.
GORT_API MapPicture picture(const Header* map, const MapType& type);

}  // namespace hashmap

/// The map for people to read: the header, the cells by state, then a line for each bucket: its
/// chain ("+1": the next bucket of the same chain), its tophash bytes in hexadecimal, and how many
/// cells are in which state. Ends with a newline.
GORT_API std::string text(const MapPicture& picture);

/// The map as it is now. Not while another thread writes to it.
template <class K, class V, class Hash>
MapPicture picture(const Map<K, V, Hash>& map) {
  return hashmap::picture(map.header(), map.type());
}

}  // namespace gort
