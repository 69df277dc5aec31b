#pragma once

// Golden traces: the life of one map in real Go, recorded with every key's hash and, at snapshots,
// with the map's header and every byte that decides where a key stands. One JSON object a line; the
// format is in docs/formats.md.
//
// This file is plain data and the parser. golden_replay.h plays a trace on our map.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gort::tool {

/// One bucket: what its eight cells hold.
struct GoldenBucket {
  std::array<std::uint8_t, 8> tophash{};
  std::vector<std::string> keys;  ///< of the live cells (tophash >= 5), in cell order, as text

  bool operator==(const GoldenBucket&) const = default;
};
/// A bucket of the array, then its overflow buckets.
using GoldenChain = std::vector<GoldenBucket>;

/// A map at one moment. Of a nil map only `nil` is set.
struct GoldenState {
  bool nil = true;
  std::int64_t count = 0;
  std::int64_t flags = 0;
  std::int64_t log2_buckets = 0;  ///< Go's B
  std::int64_t noverflow = 0;
  std::int64_t nevacuate = 0;
  std::vector<GoldenChain> buckets;      ///< empty: no array yet
  std::vector<GoldenChain> old_buckets;  ///< empty: not growing
};

struct GoldenSnapshot {
  std::int64_t heap_bytes = 0;  ///< what the map owns, after full collections
  GoldenState state;
};

struct GoldenOperation {
  enum class Kind : std::uint8_t { make, set, del, clear, drop, snap };

  Kind kind = Kind::snap;
  std::size_t line = 0;      ///< 1 = first
  std::string key;           ///< of set, del
  std::uint64_t hash = 0;    ///< of set, del
  std::uint64_t hint = 0;    ///< of make
  std::size_t snapshot = 0;  ///< of snap: index into GoldenTrace::snapshots
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
/// and `make`, a Go whose maps are not made of buckets (1.24 and later).
GoldenTrace parse_golden_trace(std::string path, std::string_view text);

/// A difference between what Go had and what we have.
struct Difference {
  std::string what;  ///< "count", "bucket 3, overflow 1: tophash"
  std::string expected;
  std::string got;
};

/// Everything in which two states differ, in the order header, buckets, old buckets.
std::vector<Difference> compare_states(const GoldenState& expected, const GoldenState& got);

}  // namespace gort::tool
