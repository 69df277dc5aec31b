#pragma once

#include <string>

#include <gort/tools/gortstat/snapshot.h>

namespace gort::tool {

inline constexpr std::size_t kTextWidth = 100;  ///< columns the text report fits into

/// The report for people: what happened at each step, where every byte was, why it was still there,
/// and at the end the whole journey in one table with resident memory beside it. Sizes are shown in
/// binary units; where the reader may add up, the exact bytes stand beside them.
std::string text_report(const Report& report, bool colour);

}  // namespace gort::tool
