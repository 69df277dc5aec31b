#pragma once

// Looking at a map from outside, whatever its types: how it stands, where its bytes are, which cell
// an address is in, bucket by bucket what it holds. For the ledger, where_is(), tools and tests.
//
// Nothing here allocates from the heap or changes a map, so all of it works with the world stopped,
// also when a thread was stopped inside a map operation: numbers are then those of the moment, and
// every walk keeps to the blocks as they really are.
//
// A map's memory is whole blocks: header, extra, lists of overflow buckets with their arrays,
// bucket arrays, overflow buckets. Keys and values that are stored indirectly, and whatever keys
// and values refer to, are objects of their own.
//
//     stats.bytes == stats.live_bytes + stats.dead_bytes == sum of the block sizes
//     a live cell makes live:        its tophash byte, key slot and value slot
//     a bucket with a live cell:     its overflow word besides
//     header, extra, lists:          all live

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <gort/base/config.h>
#include <gort/base/ledger.h>
#include <gort/hashmap/header.h>
#include <gort/hashmap/map_type.h>

namespace gort {

/// Plain data about one map. All zero for a nil map.
struct MapStats {
  // the header, as it is
  std::size_t count = 0;
  unsigned B = 0;  ///< 2^B buckets
  /// Go's bits: 1 iterator, 2 old iterator, 4 writing, 8 same-size growth. Of a map with
  /// wipe_eagerly() also 16, and from 32 on how many iterators live.
  unsigned flags = 0;
  unsigned noverflow = 0;  ///< as the map counts; an estimate from B = 16 on
  std::size_t nevacuate = 0;
  bool growing = false;
  bool same_size_growth = false;

  // counted
  std::size_t buckets = 0;           ///< of the current array, without its spare ones; 0: none yet
  std::size_t old_buckets = 0;       ///< of the old array while growing
  std::size_t overflow_buckets = 0;  ///< on chains of the current array
  std::size_t empty_overflow_buckets = 0;  ///< of those, without a live cell
  std::size_t old_overflow_buckets = 0;    ///< on chains of the old array
  std::size_t spare_overflow_buckets = 0;  ///< behind the current array, on no chain yet
  std::size_t longest_chain = 0;           ///< buckets
  std::size_t live_cells = 0;              ///< both arrays; == count
  std::size_t tombstones = 0;   ///< emptied cells with a live one behind them (tophash 1)
  std::size_t empty_cells = 0;  ///< cells with nothing behind them (tophash 0), both arrays
  std::size_t moved_cells = 0;  ///< cells of evacuated old chains

  // bytes
  std::size_t bytes = 0;  ///< of all blocks
  std::size_t live_bytes = 0;
  std::size_t dead_bytes = 0;
  std::size_t bucket_size = 0;
  std::size_t key_slot = 0;
  std::size_t elem_slot = 0;
};

namespace hashmap {

/// One bucket of a chain.
struct BucketView {
  const char* address = nullptr;
  std::size_t number = 0;    ///< of the chain, in its array
  std::size_t position = 0;  ///< in the chain: 0 is the bucket of the array itself
  bool old = false;          ///< the chain is the old array's
  bool in_array = false;     ///< part of the array's block; else a block of its own

  const std::uint8_t* tophash() const { return reinterpret_cast<const std::uint8_t*>(address); }
  Tops tops() const { return Tops::load(address); }
};

/// One array of buckets and what its blocks are.
class ArrayView {
 public:
  /// The current array of the map, or its old one. Empty if there is none.
  ArrayView(const Header& map, const MapType& type, bool old);

  const char* begin() const { return begin_; }
  std::size_t block_bytes() const { return block_bytes_; }
  std::size_t count() const { return count_; }  ///< buckets without spare ones
  bool contains(const void* p) const { return p >= begin_ && p < begin_ + block_bytes_; }

  /// Calls `f(BucketView)` for each bucket, chain by chain.
  template <class F>
  void for_each_bucket(F&& f) const {
    for (std::size_t i = 0; i < count_; ++i) {
      std::size_t position = 0;
      const char* bucket = begin_ + i * type_.shape.bucket_size;
      for (; bucket != nullptr; bucket = type_.overflow(bucket)) {
        f(BucketView{bucket, i, position++, old_, contains(bucket)});
      }
    }
  }

 private:
  const MapType& type_;
  const bool old_;
  const char* begin_ = nullptr;
  std::size_t block_bytes_ = 0;
  std::size_t count_ = 0;
};

/// Calls `f(BucketView)` for each bucket of the current array's chains, then of the old array's.
template <class F>
void visit_buckets(const Header& map, const MapType& type, F&& f) {
  ArrayView(map, type, false).for_each_bucket(f);
  ArrayView(map, type, true).for_each_bucket(f);
}

/// Whether any chain has an overflow bucket, of the current array or the old one. Goes over the
/// chains if the map does not know.
GORT_API bool has_overflow_buckets(const Header& map, const MapType& type);

/// What a bucket counts to the live bytes: its live cells, and its overflow word if there are any.
GORT_API std::size_t live_bytes_of_bucket(const BucketShape& shape, Tops tops);

GORT_API MapStats inspect(const Header* map, const MapType& type);

/// Adds every byte of the map's blocks to the places map_live and map_dead, the dead ones with the
/// reason why they are there.
GORT_API void account(const Header* map, const MapType& type, Ledger& out);

/// A part of a map's memory.
enum class MapPart : std::uint8_t {
  header,
  extra,
  overflow_list,  ///< slice header or array of a list of overflow buckets
  tophash,
  key,
  elem,
  overflow_word,
  spare,     ///< preallocated overflow buckets on no chain
  rounding,  ///< end of a block, too small for a bucket
};
GORT_API std::string_view map_part_name(MapPart part);
/// "live", "empty", "empty, nothing behind it", "moved to the same bucket", ...: what a tophash
/// byte says.
GORT_API std::string_view cell_state_name(std::uint8_t tophash);

/// Where in a map an address lies. Plain data.
struct CellLocation {
  std::uintptr_t map = 0;      ///< address of the header
  const char* type_name = "";  ///< of the map
  MapPart part = MapPart::header;
  bool in_bucket = false;          ///< the next six say which; else they mean nothing
  bool old_array = false;          ///< on a chain of the old array, or in its block
  std::size_t bucket = 0;          ///< number of the chain
  std::size_t position = 0;        ///< in the chain; 0: the bucket of the array, else overflow
  std::size_t live_in_bucket = 0;  ///< live cells of the bucket
  bool in_cell = false;            ///< tophash, key or elem: the next two are meant
  std::size_t cell = 0;            ///< 0..7
  std::uint8_t tophash = 0;

  bool live() const { return in_cell && is_live(tophash); }
  std::string_view array_name() const;  ///< "current array", "old array"
  std::string text() const;             ///< one line
};

/// If `p` lies in one of the map's blocks, says where.
GORT_API bool locate(const Header* map, const MapType& type, const void* p, CellLocation& out);

/// Checks what must hold between any two operations: count, tophash bytes, every key in the chain
/// of its hash, each chain's end marks. Returns null, or what is wrong. Calls the map's hash.
GORT_API const char* find_inconsistency(const Header* map, const MapType& type);

}  // namespace hashmap
}  // namespace gort
