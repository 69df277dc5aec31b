#pragma once

// A dump is what `gortstat replay --format json` wrote (docs/formats.md), read back. Figures are
// kept by the names they have in the file, so that a dump of a later gortstat, with more places,
// reasons or statistics, can be compared too.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gort::tool {

/// A whole number of 64 bits, with a sign or without.
using Whole = __int128;
/// Stands for "none": a goal or a limit that is off.
inline constexpr Whole kNone = std::numeric_limits<std::uint64_t>::max();

/// In the order of the file.
template <class T>
using Named = std::vector<std::pair<std::string, T>>;
/// Whole numbers; true and false are 1 and 0.
using Figures = Named<Whole>;
/// Null if there is none of that name.
const Whole* find_figure(const Figures& figures, std::string_view name);

struct DumpStep {
  std::string label;
  std::int64_t mapped = 0;
  std::int64_t rss = 0;
  Figures places;   ///< sum to mapped
  Figures reasons;  ///< sum to their places; those this gortstat knows are all there
  Figures memstats;
  std::optional<Figures> map;  ///< nothing: the map is nil
};

struct DumpRemedy {
  std::string name;
  Figures figures;
};

struct Dump {
  std::string path;
  std::string trace;            ///< empty: the dump does not say
  Named<std::string> settings;  ///< as the command line or the environment has them: GOGC off
  std::vector<DumpStep> steps;
  std::vector<DumpRemedy> remedies;
};

/// Throws InputError: with the line if it is no JSON, else with the place inside the document; also
/// if the places of a step do not sum to what is mapped, or the reasons not to their place.
Dump parse_dump(std::string path, std::string_view text);

}  // namespace gort::tool
