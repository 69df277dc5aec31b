#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <gort/tools/gortstat/snapshot.h>
#include <gort/tools/gortstat/text_style.h>

namespace gort::tool {

/// Which marks of the trace the report tells in full. Always told in full are marks before which
/// the trace clears, drops, collects or releases, and the steps that gortstat adds.
enum class Marks : std::uint8_t {
  all,
  last,  ///< the state before the trace's end
  none,
  automatic,  ///< all, if they are few
};
inline constexpr std::size_t kFewMarks = 6;

/// The report for people: the journey in one table, then the steps that matter in full (what
/// happened, where every byte was, why it was still there), resident memory beside the ledger, what
/// each remedy brings back if that was asked for, and the answer in a few words. Sizes are shown in
/// binary units; where the reader may add up, the exact bytes stand beside them.
std::string text_report(const Report& report, Marks marks, const TextLayout& layout);

/// The steps told in full, each with what was done since the one told before it.
std::vector<Step> told_steps(const std::vector<Step>& steps, Marks marks);

}  // namespace gort::tool
