#pragma once

// Golden traces: the life of one map in real Go, recorded with every key's hash and, at snapshots,
// with the map's header, every byte that decides where a key stands, and what is left of those that
// have been there. One JSON object a line; the format is in docs/formats.md.
//
// This file is plain data and the parser. golden_replay.h plays a trace on our map, and
// golden_compare.cpp compares.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gort::tool {

/// One bucket: what its eight cells hold.
struct GoldenBucket {
  std::array<std::uint8_t, 8> tophash{};
  std::vector<std::string> keys;  ///< of the live cells (tophash >= 5), in cell order, as text
  std::vector<std::string> was;   ///< keys that can still be read in other cells
  std::string data;               ///< data_bits(); empty: neither this nor `was` is recorded

  bool operator==(const GoldenBucket&) const = default;
};
/// A bucket of the array, then its overflow buckets.
using GoldenChain = std::vector<GoldenBucket>;

/// Length and capacity of a list of overflow buckets.
struct GoldenList {
  std::int64_t length = 0;
  std::int64_t capacity = 0;
  bool operator==(const GoldenList&) const = default;
};
/// Go's mapextra; all empty if the map has none.
struct GoldenExtra {
  std::optional<GoldenList> overflow;
  std::optional<GoldenList> old_overflow;
  std::int64_t spares = 0;  ///< overflow buckets behind the array that are on no chain yet
};

/// A map at one moment. Of a nil map only `nil` is set.
struct GoldenState {
  bool nil = true;
  std::int64_t count = 0;
  std::int64_t flags = 0;
  std::int64_t log2_buckets = 0;  ///< Go's B
  std::int64_t noverflow = 0;
  std::int64_t nevacuate = 0;
  std::optional<GoldenExtra> extra;      ///< not in older recordings
  std::vector<GoldenChain> buckets;      ///< empty: no array yet
  std::vector<GoldenChain> old_buckets;  ///< empty: not growing
};

struct GoldenSnapshot {
  std::int64_t heap_bytes = 0;  ///< what the map owns, after full collections
  GoldenState state;
};

struct GoldenOperation {
  enum class Kind : std::uint8_t { make, set, del, clear, drop, range, next, leave, snap };

  Kind kind = Kind::snap;
  std::size_t line = 0;      ///< 1 = first
  std::string key;           ///< of set, del
  std::uint64_t hash = 0;    ///< of set, del
  std::uint64_t hint = 0;    ///< of make
  std::size_t snapshot = 0;  ///< of snap: index into GoldenTrace::snapshots
  /// Of set, del: NaN keys that were hashed in this operation, and to what.
  std::vector<std::pair<std::string, std::uint64_t>> moved;
  std::uint64_t pairs = 0;        ///< of range, next: how many are asked for (0: all)
  std::uint64_t start = 0;        ///< of range: the bucket where it began
  std::uint64_t offset = 0;       ///< of range: the cell where it begins each bucket
  std::vector<std::string> seen;  ///< of range, next: the keys it came to
  bool end = false;               ///< of range, next: it came to its end
};

struct GoldenTrace {
  std::string path;
  std::size_t type_line = 0;
  std::string type;  ///< as Go spells it: map[int64]int64
  int go_major = 0;  ///< of the Go that recorded it
  int go_minor = 0;
  std::int64_t key_size = 0;   ///< bytes of a key in its cell
  std::int64_t elem_size = 0;  ///< bytes of a value in its cell; 8 if it is stored indirectly
  std::int64_t bucket_size = 0;
  std::vector<GoldenOperation> operations;
  std::vector<GoldenSnapshot> snapshots;
};

/// Throws InputError with the line: no JSON, a missing or wrong field, an operation before `type`
/// and `make`, a loop that goes on without one, a Go whose maps are not made of buckets (1.24 and
/// later).
GoldenTrace parse_golden_trace(std::string path, std::string_view text);

/// A difference between what Go had and what we have.
struct Difference {
  std::string what;  ///< "count", "bucket 3, overflow 1: tophash"
  std::string expected;
  std::string got;
};

/// Keys as differences show them.
std::string keys_text(const std::vector<std::string>& keys);

/// Everything in which two states differ, in the order header, extra, buckets, old buckets. What
/// the expected state has no record of is not compared.
std::vector<Difference> compare_states(const GoldenState& expected, const GoldenState& got);

}  // namespace gort::tool
