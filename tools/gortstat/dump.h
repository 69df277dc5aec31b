#pragma once

// A dump is what `gortstat replay --format json` wrote (docs/formats.md), read back. Figures are
// kept by the names they have in the file, so that a dump of a later gortstat, with more places or
// more statistics, can be compared too.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gort::tool {

/// Named whole numbers, in the order of the file; true and false are 1 and 0.
using Figures = std::vector<std::pair<std::string, std::int64_t>>;
/// Null if there is none of that name.
const std::int64_t* find_figure(const Figures& figures, std::string_view name);

struct DumpStep {
  std::string label;
  std::int64_t mapped = 0;
  std::int64_t rss = 0;
  Figures places;  ///< sum to mapped
  Figures memstats;
  std::optional<Figures> map;  ///< nothing: the map is nil
};

struct DumpRemedy {
  std::string name;
  Figures figures;
};

struct Dump {
  std::string path;
  std::string trace;  ///< empty: the dump does not say
  std::vector<DumpStep> steps;
  std::vector<DumpRemedy> remedies;
};

/// Throws InputError: with the line if it is no JSON, else with the place inside the document; also
/// if the places of a step do not sum to what is mapped.
Dump parse_dump(std::string path, std::string_view text);

}  // namespace gort::tool
