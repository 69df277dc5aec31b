#pragma once

// Plays a map trace on a heap of its own and takes a step (snapshot.h) at every mark.
//
// The map is a Map<String, Ref<std::byte>>, Go's map[string]*T. A set makes its key afresh, as a
// program that reads its keys from somewhere does, and a value object of BYTES pointer-free bytes;
// with BYTES = 0 there is no object and the cell's own 8 bytes are the value. Objects up to 64 MiB
// are written to, since memory that nobody has written is not resident. As in Go, a set of a key
// that is already there takes over the new key string; dels and gets look up without making one.
//
// The run is exact (exact_run.h): nothing but the map variable keeps map, keys and values alive.
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

#include <gort/tools/gortstat/map_trace.h>
#include <gort/tools/gortstat/snapshot.h>

namespace gort::tool {

/// Starts the runtime and shuts it down; it must not be running. Shows its progress on a terminal.
/// Throws InputError with the line of a `set` or `make` for which there is no memory, Failure if a
/// ledger does not add up, UsageError if the environment cannot be used.
Report replay_map_trace(const MapTrace& trace);

}  // namespace gort::tool
