#pragma once

#include <string>

#include <gort/tools/gortstat/snapshot.h>

namespace gort::tool {

/// The report as JSON, schema 1 (docs/formats.md), indented, with a newline at the end. Bytes that
/// are not UTF-8 in labels and paths become U+FFFD.
std::string json_report(const Report& report);

}  // namespace gort::tool
