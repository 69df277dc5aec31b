#pragma once

// What would bring the memory of a map back: plays the trace once for each remedy, every time on a
// fresh heap, applies the remedy, collects and releases, and looks at what has become of the bytes.
//
// A remedy is applied at the end of the trace. If the map is nil there, it is applied in place of
// the `drop` that made it so, and what follows in the trace is left out.
//
//     none      trace                 [before]          gc  release  [after]
//     others    trace  gc  release    [before]  remedy  gc  release  [after]

#include <vector>

#include <gort/tools/gortstat/map_trace.h>
#include <gort/tools/gortstat/snapshot.h>

namespace gort::tool {

/// Fills report.remedies, in the order of `wanted`, and report.remedy_line. With `pictures` their
/// steps have pictures of the map. The runtime must not be running. Throws what replay_map_trace()
/// throws, and InputError if the trace has no map.
void replay_remedies(const MapTrace& trace, const std::vector<Remedy>& wanted, Report& report,
                     bool pictures = false);

}  // namespace gort::tool
