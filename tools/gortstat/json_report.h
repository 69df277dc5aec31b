#pragma once

#include <string>

#include <gort/tools/gortstat/snapshot.h>

namespace gort::tool {

/// Rises when a key changes its meaning or goes away, those in pictures excepted.
inline constexpr int kSchema = 1;

/// The report as JSON (docs/formats.md), indented, with a newline at the end. Bytes that
/// are not UTF-8 in labels and paths become U+FFFD.
std::string json_report(const Report& report);

}  // namespace gort::tool
