#pragma once

// The rare half of a map's life, for any type: making headers and bucket arrays, overflow buckets,
// the beginning and the end of a growth, clearing. The frequent half is in table.h.
//
// Every function that allocates either does all it says or throws std::bad_alloc and leaves the map
// as it was. They allocate before they change anything, hold what is not linked yet by a Pin, and
// link with plain stores that cannot fail.
//
// Thread safety: that of the map, one writer.

#include <cstddef>
#include <cstdint>

#include <gort/base/config.h>
#include <gort/hashmap/header.h>
#include <gort/hashmap/map_type.h>

namespace gort::hashmap {

/// `hint`, or 0 if no address space holds buckets for so many pairs (Go: makemap).
std::size_t usable_hint(const MapType& type, std::size_t hint);

/// A new, empty map with room for `hint` pairs. Up to 8: the bucket comes with the first insert.
Header* new_map(const MapType& type, std::size_t hint);

/// Gives an empty map of one bucket its bucket.
void add_first_bucket(Header& map, const MapType& type);

/// Appends an overflow bucket to the chain that ends with `bucket`: a spare one of the array if
/// there is one, else a new block. Counts it, and lists it if the buckets are pointer-free.
char* add_overflow_bucket(Header& map, const MapType& type, char* bucket);

/// Makes sure that the list of overflow buckets exists. Readers may do this at the same time, when
/// they begin to iterate.
void create_overflow_list(Header& map);

/// Puts a new array in place of the current one, which becomes the old one: twice as large if one
/// more pair would be over the limit, else of the same size. The map must not be growing.
void start_growth(Header& map, const MapType& type);

/// Moves nevacuate over `old` and the evacuated chains behind it (at most 1024 in one call); ends
/// the growth when it reaches the end. `old` == nevacuate has just been evacuated.
void advance_evacuation_mark(Header& map, const MapType& type);

/// Zeroes an evacuated chain, for maps with wipe_eagerly(): its overflow buckets come off the
/// chain, and, by and by, off the list. No iterator may be looking at it.
void wipe_moved_chain(Header& map, const MapType& type, std::size_t number);

/// What every way of clearing leaves of the header: no pair, no growth, another seed.
void reset_header(Header& map);

/// Removes every pair and keeps the array. Not for a nil map.
void clear_map(Header& map, const MapType& type);

/// Undoes the evacuation of one old chain if it is not finished: an overflow bucket for the new
/// chain may be refused half way. Until then the pairs are still in the old chain, only their
/// tophash bytes are gone; those are found again in the new chains, in the same order. Of a NaN
/// that is a new one, which gets the lowest bit of the old one: that is what loops go by.
class EvacuationUndo {
 public:
  EvacuationUndo(Header& map, const MapType& type, std::size_t old_bucket);
  ~EvacuationUndo() {
    if (GORT_UNLIKELY(!done_)) undo();
  }
  EvacuationUndo(const EvacuationUndo&) = delete;
  EvacuationUndo& operator=(const EvacuationUndo&) = delete;
  void commit() { done_ = true; }

 private:
  GORT_COLD void undo();
  void clear_destination(char* head);

  Header& map_;
  const MapType& type_;
  const std::size_t old_bucket_;
  void* const next_overflow_;
  const long list_length_;
  const std::uint16_t noverflow_;
  bool done_ = false;
};

}  // namespace gort::hashmap
