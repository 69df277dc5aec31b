#pragma once

#include <string>

#include <gort/tools/gortstat/dump.h>
#include <gort/tools/gortstat/text_style.h>

namespace gort::tool {

/// What changed from dump `a` to dump `b`. Steps are matched by label, the second of a label with
/// the second. A step has changed if a place, the map, or a count of the statistics has; times are
/// not compared, and resident memory, which is never twice the same, is only shown.
std::string diff_report(const Dump& a, const Dump& b, const TextLayout& layout);

}  // namespace gort::tool
