#pragma once

// What two dumps have by the same name, side by side: which of it differs, and how people read
// that. Absent is not 0: the two gortstats may not be the same.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <gort/tools/gortstat/dump.h>
#include <gort/tools/gortstat/text.h>

namespace gort::tool {

/// Not compared: clocks, which differ between any two runs, and HeapAlloc's other name.
bool is_left_out(std::string_view name);

template <class T>
struct Pair {
  std::string name;
  std::optional<T> a;  ///< nothing: absent
  std::optional<T> b;

  bool differs() const { return a != b && !is_left_out(name); }
};

/// In the order of `a`, and then what only `b` has.
template <class T>
std::vector<Pair<T>> paired(const Named<T>& a, const Named<T>& b) {
  std::vector<Pair<T>> out;
  std::unordered_map<std::string_view, std::size_t> index;
  for (const auto& [name, value] : a) {
    index.emplace(name, out.size());
    out.push_back({name, value, std::nullopt});
  }
  for (const auto& [name, value] : b) {
    const auto found = index.find(name);
    if (found == index.end()) {
      out.push_back({name, std::nullopt, value});
    } else {
      out[found->second].b = value;
    }
  }
  return out;
}

template <class T>
std::vector<Pair<T>> differing(const Named<T>& a, const Named<T>& b) {
  std::vector<Pair<T>> out = paired(a, b);
  std::erase_if(out, [](const Pair<T>& p) { return !p.differs(); });
  return out;
}

/// with_commas or human_bytes.
using Magnitude = std::string (*)(std::uint64_t);
/// "-1,234", "-1.2 KiB", "none".
std::string shown(Whole n, Magnitude magnitude);
/// In bytes: "+1.2 KiB".
std::string change(Whole a, Whole b);

/// "GOGC 100 -> off, seed 7 -> 1".
std::string listed(const std::vector<Pair<std::string>>& pairs);
/// "NumGC 3 -> 4, HeapAlloc 1.5 KiB -> 2.0 KiB"; `in_bytes` says of a name whether bytes go by it.
std::string listed(const std::vector<Pair<Whole>>& pairs, bool (*in_bytes)(std::string_view));

}  // namespace gort::tool
