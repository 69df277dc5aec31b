#pragma once

#include <string>

#include <gort/tools/gortstat/snapshot.h>
#include <gort/tools/gortstat/text_style.h>

namespace gort::tool {

/// The table of what each remedy brings back, at what cost, and how things are afterwards. The
/// report has remedies.
std::string remedies_text(const Report& report, const TextLayout& layout);

}  // namespace gort::tool
