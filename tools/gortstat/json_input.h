#pragma once

// JSON as the tool reads it: what is none ends in an InputError that names the place.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/text.h>

namespace gort::tool {

/// `text` begins at line `first_line` of the file. Throws InputError.
template <class Json>
Json parse_json(const std::string& path, std::size_t first_line, std::string_view text) {
  // nlohmann prefixes what happened with "[json.exception...] parse error at line 1, column 9: ".
  const auto reason = [](std::string_view what) {
    for (const std::string_view end : {"] ", ": "}) {
      const std::size_t at = what.find(end);
      if (at != std::string_view::npos) what.remove_prefix(at + end.size());
    }
    return printable(what);
  };
  try {
    return Json::parse(text);
  } catch (const typename Json::parse_error& error) {
    const std::string_view before = text.substr(0, error.byte == 0 ? 0 : error.byte - 1);
    const auto lines = std::count(before.begin(), before.end(), '\n');
    throw InputError(path, first_line + static_cast<std::size_t>(lines),
                     fmt::format("no JSON: byte {}: {}", error.byte, reason(error.what())));
  } catch (const typename Json::exception& error) {  // a number out of range; it does not say where
    const bool one_line = text.find('\n') == std::string_view::npos;
    throw InputError(path, one_line ? first_line : 0,
                     fmt::format("no JSON: {}", reason(error.what())));
  }
}

}  // namespace gort::tool
