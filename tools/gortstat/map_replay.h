#pragma once

// Plays a map trace (map_player.h) on a heap of its own and takes a step (snapshot.h) at every
// mark.
//
// Collections start by themselves as in any program that uses gort; GOGC=off leaves those of the
// trace alone.
//
// Ending. A journey is complete when the map is gone, collected, and the memory is back at the
// system. What of it the trace does not do itself is added, each a step of its own:
//
//     end of trace        if anything was done after the last mark
//     gc                  unless nothing was removed since the last collection
//     drop                m = nil, unless it is
//     gc after drop       unless the trace did so
//     release             unless the trace did so

#include <cstdint>

#include <gort/tools/gortstat/map_trace.h>
#include <gort/tools/gortstat/snapshot.h>

namespace gort::tool {

/// The same trace and seed give the same maps, byte for byte, on any machine; what the collector
/// does by itself depends on the moment.
///
/// With `pictures` each step has a picture of the map.
///
/// Starts the runtime and shuts it down; it must not be running. Shows its progress on a terminal.
/// Throws InputError with the line of a `set` or `make` for which there is no memory, UsageError if
/// the environment cannot be used. A ledger that does not add up ends the process (ledger()).
Report replay_map_trace(const MapTrace& trace, std::uint64_t seed, bool pictures = false);

}  // namespace gort::tool
