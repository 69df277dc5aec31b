#pragma once

// What a step says in words. Each sentence is true because a measured figure says so.

#include <cstdint>
#include <string>

#include <gort/tools/gortstat/snapshot.h>

namespace gort::tool {

/// "a new map, 24 sets (6 of new keys) and 5 deletes"; empty if nothing was done.
std::string operations_text(const OperationCounts& counts);
/// "1 entry", "5,386 entries".
std::string entries_text(std::uint64_t n);
/// "30 entries in 8 buckets and 1 overflow bucket".
std::string map_text(const MapStats& map);
/// No place has other bytes, or bytes for other reasons, than in the step before.
bool nothing_moved(const Step* before, const Step& now);
/// What was done between two steps, and what came of it.
std::string sentence(const Step* before, const Step& now);

}  // namespace gort::tool
