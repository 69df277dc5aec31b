#pragma once

// Plays a golden trace on our map and compares. Every key hashes to what Go recorded for it, by a
// Hash that looks it up, and the rules of the Go version that recorded the trace apply; then count,
// flags, B, noverflow, nevacuate, every tophash byte and every key's cell must be Go's, and the map
// must own as many bytes of the heap. Keys are not counted: strings refer to the trace.

#include <cstdint>
#include <vector>

#include <gort/tools/gortstat/golden_trace.h>

namespace gort::tool {

/// Bytes by which the size of a map on the heap may differ from the recording. Go's own figure is
/// noisy by 16.
inline constexpr std::int64_t kHeapTolerance = 64;

struct Mismatch {
  std::size_t line = 0;  ///< of the snapshot (or the type line) in the trace
  Difference difference;
};

struct GoldenResult {
  std::vector<Mismatch> mismatches;  ///< in the order of the trace
  std::size_t with_process_bytes =
      0;  ///< snapshots whose heap_bytes has bytes of Go's process in it
};

/// What is left of `recorded` - `ours` once bytes are taken off that the recording process
/// allocated for itself while it recorded: a waiter (96 bytes) and a thread (1,856: its record and
/// those of its two system stacks), each at most once. A recording of the same script may or may
/// not have them, where nothing about the map differs.
struct HeapDifference {
  std::int64_t bytes = 0;       ///< left; 0 if everything is accounted for
  std::int64_t of_process = 0;  ///< 0, 96, 1,856 or 1,952
  bool within_tolerance() const { return bytes >= -kHeapTolerance && bytes <= kHeapTolerance; }
};
HeapDifference heap_difference(std::int64_t recorded, std::int64_t ours);

/// Throws InputError for what the parser cannot see: a map type that this tool has no map for, a
/// key that is not of the map's key type.
void check_golden_trace(const GoldenTrace& trace);

/// Plays the trace and compares every snapshot. The trace has passed check_golden_trace; the
/// runtime is running and scans no stacks (ExactRun). Sets the map rules (hashmap/rules.h) for its
/// duration. One thread at a time.
GoldenResult replay_golden_trace(const GoldenTrace& trace);

}  // namespace gort::tool
