#pragma once

#include <string>

#include <gort/tools/gortstat/dump.h>
#include <gort/tools/gortstat/text_style.h>

namespace gort::tool {

struct DiffReport {
  std::string text;
  /// A step or a remedy has changed, or is in one of them only. Settings that differ are shown, but
  /// it is what they did that counts.
  bool different = false;
};

/// What changed from dump `a` to dump `b`. Steps are matched by label, the second of a label with
/// the second. A step has changed if a place, a reason, the map, or a count of the statistics has;
/// times are not compared, and resident memory, which is never twice the same, is only shown.
DiffReport diff_report(const Dump& a, const Dump& b, const TextLayout& layout);

}  // namespace gort::tool
