#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <gort/base/config.h>

namespace gort {

/// Statistics with Go's names and Go's meaning (runtime.MemStats); what does not exist in gort is
/// named so and is 0. Sizes in bytes. Those of the heap are of one moment, as the world is stopped
/// to take them; those of collections, of one soon after.
///
///     Sys      == HeapSys + StackSys + MSpanSys + MCacheSys + BuckHashSys + GCSys + OtherSys
///     HeapSys  == HeapInuse + HeapIdle
///     HeapIdle >= HeapReleased
///     Alloc    == HeapAlloc == TotalAlloc - bytes freed
///     HeapObjects == Mallocs - Frees
struct MemStats {
  std::uint64_t Alloc = 0;       ///< same as HeapAlloc
  std::uint64_t TotalAlloc = 0;  ///< bytes ever allocated for objects
  std::uint64_t Sys = 0;         ///< everything obtained from the operating system
  std::uint64_t Lookups = 0;     ///< 0
  std::uint64_t Mallocs = 0;     ///< objects ever allocated, tiny ones each
  std::uint64_t Frees = 0;       ///< objects ever freed

  std::uint64_t HeapAlloc = 0;     ///< allocated objects, unswept dead ones included
  std::uint64_t HeapSys = 0;       ///< address space of the heap that has been prepared
  std::uint64_t HeapIdle = 0;      ///< bytes in pages of no span, resident or returned
  std::uint64_t HeapInuse = 0;     ///< bytes in spans
  std::uint64_t HeapReleased = 0;  ///< part of HeapIdle with no memory behind it
  std::uint64_t HeapObjects = 0;   ///< allocated objects

  std::uint64_t StackInuse = 0;   ///< 0: stacks belong to the program
  std::uint64_t StackSys = 0;     ///< 0
  std::uint64_t MSpanInuse = 0;   ///< 0: span records are part of OtherSys
  std::uint64_t MSpanSys = 0;     ///< 0
  std::uint64_t MCacheInuse = 0;  ///< 0: likewise
  std::uint64_t MCacheSys = 0;    ///< 0
  std::uint64_t BuckHashSys = 0;  ///< 0
  std::uint64_t GCSys = 0;        ///< 0: likewise
  std::uint64_t OtherSys = 0;     ///< the runtime's own memory, all kinds

  std::uint64_t NextGC = 0;  ///< heap size the next collection aims at
  std::uint64_t LastGC = 0;  ///< end of the last collection, ns since 1970; 0: none
  std::uint64_t PauseTotalNs = 0;
  std::array<std::uint64_t, 256> PauseNs{};   ///< ring; newest at (NumGC + 255) % 256
  std::array<std::uint64_t, 256> PauseEnd{};  ///< ring; ns since 1970
  std::uint32_t NumGC = 0;
  std::uint32_t NumForcedGC = 0;
  double GCCPUFraction = 0;  ///< share of the processors spent in collections since the start
  bool EnableGC = true;      ///< always true, as in Go
  bool DebugGC = false;

  struct BySizeEntry {
    std::uint32_t Size = 0;
    std::uint64_t Mallocs = 0;
    std::uint64_t Frees = 0;
  };
  std::array<BySizeEntry, 61> BySize{};  ///< small size classes, Go's first 61
};

/// Stops the world for a moment. Any attached thread. std::logic_error before start().
GORT_API MemStats mem_stats();

}  // namespace gort
