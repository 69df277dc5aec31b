#pragma once

// The ledger's vocabulary: the places where a byte can be, and the reasons why it is still there.
//
// The way of a byte that a program deletes, from the map down to the operating system:
//
//     map_live --delete--> map_dead --array unreachable, collection--> awaiting_sweep --sweep-->
//     span_free --span empty--> page_free --scavenger--> returned
//
// and back up: returned or reserved --growth--> page_free --span--> span_free --allocation--> live,
// map_live. Every byte is in exactly one place, and with the world stopped
//
//     sum over all places of bytes[place] == mapped                                (identity 1)
//     sum over the reasons of a place of why[reason] == bytes[place]               (identity 2)
//
// where `mapped` is what the operating system has given us in address space (base/os.h) plus the
// runtime's own blocks (base/metadata.h). Identity 2 holds for the places that have reasons: every
// place a byte can be stuck in.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gort {

enum class Place : std::uint8_t {
  live,            ///< objects not known dead but for the next two, and spans being made
  map_live,        ///< bucket memory holding live cells, and map headers
  map_dead,        ///< bucket memory of reachable buckets holding no live cell
  awaiting_sweep,  ///< objects found dead by the last collection, not swept yet
  span_free,       ///< free slots in spans
  span_waste,      ///< tails of spans that are too short for a slot
  page_free,       ///< idle pages, still resident
  returned,        ///< idle pages, given back to the operating system
  metadata,        ///< the runtime's own memory
  reserved,        ///< address space with nothing behind it
};
inline constexpr std::size_t kPlaceCount = 10;

constexpr std::string_view place_name(Place place) {
  constexpr std::array<std::string_view, kPlaceCount> kNames = {
      "live",       "map_live",  "map_dead", "awaiting_sweep", "span_free",
      "span_waste", "page_free", "returned", "metadata",       "reserved"};
  return kNames[static_cast<std::size_t>(place)];
}

constexpr std::array<Place, kPlaceCount> all_places() {
  std::array<Place, kPlaceCount> places{};
  for (std::size_t i = 0; i < kPlaceCount; ++i) places[i] = static_cast<Place>(i);
  return places;
}

/// Why a byte has not moved on from its place. X(name, place, what it means, what would move it)
#define GORT_REASONS(X)                                                                            \
  X(dead_cells, map_dead, "deleted or never used cells of buckets that a live map reaches",        \
    "insert (reuses the cells), or drop, remake or shrink the map and collect")                    \
  X(empty_overflow, map_dead, "overflow buckets without a live cell, still on their chain",        \
    "a growth of the map (same size or double), or drop or clear it and collect")                  \
  X(spare_overflow, map_dead, "preallocated overflow buckets that no chain uses yet",              \
    "part of the bucket array: goes with it")                                                      \
  X(growth_stalled, map_dead, "old bucket array of a growth that is not finished",                 \
    "writes to the map: each insert or delete evacuates up to two old chains")                     \
  X(array_rounding, map_dead, "rounding of map memory to its size class",                          \
    "part of the bucket array: goes with it")                                                      \
  X(not_swept, awaiting_sweep, "found dead, its span not swept yet",                               \
    "allocation in its size class, or collect()")                                                  \
  X(cached_by_thread, span_free, "free slots of the run that a thread allocates from",             \
    "allocation by that thread, or a collection (flushes the caches)")                             \
  X(span_pinned, span_free, "free slots of a span that live objects keep in use",                  \
    "allocation of that size class, or the death of the span's other objects")                     \
  X(span_in_cache, span_free, "free slots of a span that a thread's cache holds",                  \
    "allocation by that thread, or a collection (flushes the caches)")                             \
  X(scavenger_goal, page_free, "idle pages within what the scavenger retains for reuse",           \
    "release_os_memory(), or a lower goal")                                                        \
  X(scavenger_pace, page_free, "idle pages above what the scavenger retains, on their way out",    \
    "time (the scavenger uses 1 % of the processors), or release_os_memory()")                     \
  X(scavenger_off, page_free, "idle pages above what a scavenger would retain, but none runs",     \
    "release_os_memory(), or start with Options::background_scavenger")                            \
  X(page_too_small, page_free, "idle pages smaller than, or not aligned to, a page of the system", \
    "the death of the neighbouring spans")

enum class Reason : std::uint8_t {
#define GORT_REASON_NAME(name, place, what, remedy) name,
  GORT_REASONS(GORT_REASON_NAME)
#undef GORT_REASON_NAME
};

struct ReasonInfo {
  std::string_view name;
  Place place;
  std::string_view what;    ///< why the bytes are there
  std::string_view remedy;  ///< what would move them on
};

inline constexpr auto kReasons = std::to_array<ReasonInfo>({
#define GORT_REASON_INFO(name, place, what, remedy) {#name, Place::place, what, remedy},
    GORT_REASONS(GORT_REASON_INFO)
#undef GORT_REASON_INFO
});
inline constexpr std::size_t kReasonCount = kReasons.size();

/// Why idle pages went back to the operating system. A counter each (counters.h).
enum class ReleaseReason : std::uint8_t {
  next_cycle,    ///< in the background: more than the next cycle will need
  memory_limit,  ///< in the background: more than the memory limit allows
  request,       ///< somebody asked for it
};

/// Where every byte is, at one moment. Plain data.
struct Ledger {
  std::size_t mapped = 0;                        ///< bytes
  std::array<std::size_t, kPlaceCount> bytes{};  ///< by Place
  std::array<std::size_t, kReasonCount> why{};   ///< by Reason

  std::size_t operator[](Place place) const { return bytes[static_cast<std::size_t>(place)]; }
  std::size_t& operator[](Place place) { return bytes[static_cast<std::size_t>(place)]; }
  std::size_t operator[](Reason reason) const { return why[static_cast<std::size_t>(reason)]; }

  /// Adds `n` bytes to the place that `reason` belongs to, and to the reason.
  void add(Reason reason, std::size_t n) {
    why[static_cast<std::size_t>(reason)] += n;
    (*this)[kReasons[static_cast<std::size_t>(reason)].place] += n;
  }

  std::size_t sum() const {
    std::size_t total = 0;
    for (const std::size_t n : bytes) total += n;
    return total;
  }
};

}  // namespace gort
