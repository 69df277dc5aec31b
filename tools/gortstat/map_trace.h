#pragma once

// Map traces: the operations of a program on one map variable, one a line.
//
//     make HINT          m = a new map for HINT entries (0: no hint)
//     set KEY [BYTES]    insert or overwrite; the entry points to a value object of BYTES bytes.
//                        0, the default: the value is the 8 bytes in the map's cell, no object
//     del KEY            delete
//     get KEY            look up
//     clear              remove all entries, keep the buckets
//     drop               m = nil
//     gc                 full collection
//     release            full collection, then all free memory goes back to the operating system
//     mark LABEL         take a snapshot here; LABEL is the rest of the line
//
// Operations before any `make` use an implicit `make 0`. KEY is any run of bytes without white
// space; %20 stands for a space. A line whose first visible character is #, and what follows a #
// after the last field of an operation, is a comment (after a LABEL: a # followed by a space).
// Lines may end with \r\n.
//
// The parser also rejects what no program can do: a `set` after `drop` without a `make` between.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gort::tool {

/// X(name, noun for people)
#define GORT_TRACE_OPERATIONS(X) \
  X(make, "make")                \
  X(set, "set")                  \
  X(del, "delete")               \
  X(get, "lookup")               \
  X(clear, "clear")              \
  X(drop, "drop")                \
  X(gc, "collection")            \
  X(release, "release")          \
  X(mark, "mark")

struct TraceOperation {
  enum class Kind : std::uint8_t {
#define GORT_TRACE_KIND(name, noun) name,
    GORT_TRACE_OPERATIONS(GORT_TRACE_KIND)
#undef GORT_TRACE_KIND
  };

  Kind kind = Kind::mark;
  std::size_t line = 0;      ///< 1 = first
  std::string_view text{};   ///< key or label; points into MapTrace::text
  std::uint64_t number = 0;  ///< hint, or bytes of the value object
};

struct MapTrace {
  std::string path;
  std::string text;  ///< keys and labels point into it: a MapTrace is not copied
  std::vector<TraceOperation> operations;

  MapTrace() = default;
  MapTrace(const MapTrace&) = delete;
  MapTrace& operator=(const MapTrace&) = delete;
};

/// Fills `trace` from the text of the file `path`. Throws InputError with the line. The operations
/// are at least one.
void parse_map_trace(std::string path, std::string text, MapTrace& trace);

}  // namespace gort::tool
