#pragma once

// What gortstat knows: plain data (MapStats and Ledger are), measured by somebody (map_replay.h,
// remedy_replay.h), shown by somebody else (text_report.h, json_report.h). Renderers see this file
// only, never the heap, so every output format shows the same figures and can be tested with
// figures made by hand.
//
//     Report == the run as a whole + its steps in order + the map at its end
//               + what each remedy achieved
//     Step   == one moment: the ledger, the statistics, the map, resident memory,
//               and what was done between the step before and this one

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gort/base/ledger.h>
#include <gort/hashmap/inspect.h>
#include <gort/hashmap/picture.h>
#include <gort/runtime/mem_stats.h>

namespace gort::tool {

/// Operations of a trace, and what they did. X(name)
#define GORT_OPERATION_COUNTS(X)                     \
  X(make)                                            \
  X(set)                                             \
  X(del)                                             \
  X(get)                                             \
  X(clear)                                           \
  X(drop)                                            \
  X(gc)                                              \
  X(release)                                         \
  X(mark)                                            \
  X(inserted) /* sets of a key that was not there */ \
  X(deleted)  /* dels of a key that was there */     \
  X(found)    /* gets of a key that was there */     \
  X(cleared)  /* entries that clears removed */

struct OperationCounts {
#define GORT_OPERATION_COUNT(name) std::uint64_t name = 0;
  GORT_OPERATION_COUNTS(GORT_OPERATION_COUNT)
#undef GORT_OPERATION_COUNT

  std::uint64_t total() const {
    return make + set + del + get + clear + drop + gc + release + mark;
  }
  /// What was counted since `before` was taken.
  OperationCounts since(const OperationCounts& before) const {
    OperationCounts out;
#define GORT_OPERATION_COUNT(name) out.name = name - before.name;
    GORT_OPERATION_COUNTS(GORT_OPERATION_COUNT)
#undef GORT_OPERATION_COUNT
    return out;
  }
  OperationCounts& operator+=(const OperationCounts& more) {
#define GORT_OPERATION_COUNT(name) name += more.name;
    GORT_OPERATION_COUNTS(GORT_OPERATION_COUNT)
#undef GORT_OPERATION_COUNT
    return *this;
  }
  bool operator==(const OperationCounts&) const = default;
};

/// What steps keep of MemStats: what is shown. Its rings and its table are 5 KiB, which the
/// resident memory of all later steps would contain. X(name)
#define GORT_STEP_MEMSTATS(X) \
  X(Alloc)                    \
  X(TotalAlloc)               \
  X(Sys)                      \
  X(Mallocs)                  \
  X(Frees)                    \
  X(HeapAlloc)                \
  X(HeapSys)                  \
  X(HeapIdle)                 \
  X(HeapInuse)                \
  X(HeapReleased)             \
  X(HeapObjects)              \
  X(OtherSys)                 \
  X(NextGC)                   \
  X(LastGC)                   \
  X(PauseTotalNs)             \
  X(NumGC)                    \
  X(NumForcedGC)              \
  X(GCCPUFraction)

struct StepMemStats {
#define GORT_STEP_MEMSTAT(name) decltype(MemStats::name) name{};
  GORT_STEP_MEMSTATS(GORT_STEP_MEMSTAT)
#undef GORT_STEP_MEMSTAT

  StepMemStats() = default;
  explicit StepMemStats(const MemStats& all) {
#define GORT_STEP_MEMSTAT(name) name = all.name;
    GORT_STEP_MEMSTATS(GORT_STEP_MEMSTAT)
#undef GORT_STEP_MEMSTAT
  }
};

enum class StepKind : std::uint8_t {
  mark,          ///< a mark of the trace
  end_of_trace,  ///< after the last operation
  collect,       ///< after a full collection
  drop,          ///< after m = nil
  release,       ///< after release_os_memory()
};

struct Step {
  std::string label;
  StepKind kind = StepKind::mark;
  std::size_t line = 0;                  ///< of the mark in the trace; 0: it has none
  bool added_by_tool = false;            ///< not in the trace: the tool's standard ending
  OperationCounts since;                 ///< done since the step before
  std::uint64_t collections = 0;         ///< finished since the step before, all kinds
  std::uint64_t forced_collections = 0;  ///< part of them that `gc` and `release` asked for
  std::uint64_t given_back = 0;      ///< bytes that went back to the system since the step before
  bool removal_uncollected = false;  ///< no collection since the last del, clear, drop or make

  Ledger ledger;
  StepMemStats memstats;
  std::optional<MapStats> map;                ///< nothing: the map is nil
  std::shared_ptr<const MapPicture> picture;  ///< of the same; null if not asked for
  /// Resident bytes of the process, the steps before among them; 0: the system does not tell.
  std::size_t rss = 0;
};

/// Ways to bring the memory of a map back.
enum class Remedy : std::uint8_t {
  none,    ///< a collection and a release, the map untouched: what the others are measured against
  clear,   ///< remove all entries
  remake,  ///< copy the entries into a new map and drop the old one
  shrink,  ///< rebuild the map in place, as small as its entries allow
  nil,     ///< drop the map
};
constexpr std::string_view remedy_name(Remedy remedy) {
  constexpr std::array<std::string_view, 5> kNames = {"none", "clear", "remake", "shrink", "nil"};
  return kNames[static_cast<std::size_t>(remedy)];
}

/// What one remedy did, in a heap of its own. Every remedy is followed by a collection and a
/// release; `before` is the state before it. For `none` that is the end of the trace; for the
/// others it is the state that `none` leaves, so that what they bring back is theirs alone.
/// Each duration is one measurement.
struct RemedyResult {
  Remedy remedy = Remedy::none;
  std::int64_t cost_ns = 0;     ///< the remedy itself; 0 for none
  std::int64_t collect_ns = 0;  ///< the full collection after it
  std::int64_t release_ns = 0;  ///< the release after that, with a collection of its own
  std::uint64_t allocated = 0;  ///< bytes the remedy allocated: needed beside the old map
  Step before;
  Step after;
};

/// Where the bytes are that a remedy brought back; negative if a place has less than before.
///     freed == returned + free + awaiting + what span_waste gained - what mapped gained
struct BroughtBack {
  std::int64_t freed = 0;     ///< taken from live, map_live and map_dead
  std::int64_t returned = 0;  ///< with the operating system
  std::int64_t free = 0;      ///< span_free and page_free
  std::int64_t awaiting = 0;  ///< awaiting_sweep
};
BroughtBack brought_back(const Ledger& before, const Ledger& after);

/// The map that was dropped last, as it was then.
struct LastMap {
  std::uint64_t number = 0;   ///< 1: the trace has no other
  std::uint64_t removed = 0;  ///< its entries that dels and clears removed
  MapStats stats;
};

struct Report {
  std::string version;         ///< of gortstat
  std::string trace;           ///< path as given
  std::string map_type;        ///< the map that was used
  OperationCounts operations;  ///< of the trace, without what the tool added
  std::int64_t gc_percent = 100;
  std::optional<std::uint64_t> memory_limit;  ///< bytes; nothing: none
  std::uint64_t seed = 0;                     ///< of the maps' random numbers
  std::size_t rss_before = 0;  ///< resident bytes before the heap was started, trace read
  std::vector<Step> steps;
  std::optional<LastMap> last_map;  ///< nothing: there was no map
  std::size_t remedy_line = 0;  ///< of the drop that the remedies stand in for; 0: the trace's end
  std::vector<RemedyResult> remedies;  ///< none first; empty: not asked for
};

/// Bytes of the ledger that may be resident: mapped, less what was given back and the bare reserve.
inline std::size_t resident_at_most(const Ledger& ledger) {
  return ledger.mapped - ledger[Place::returned] - ledger[Place::reserved];
}

}  // namespace gort::tool
