#include <gort/tools/gortstat/diff_figures.h>

#include <fmt/format.h>

namespace gort::tool {

bool is_left_out(std::string_view name) {
  return name == "LastGC" || name == "PauseTotalNs" || name.ends_with("_ns") || name == "Alloc";
}

std::string shown(Whole n, Magnitude magnitude) {
  if (n == kNone) return "none";
  return n < 0 ? "-" + magnitude(static_cast<std::uint64_t>(-n))
               : magnitude(static_cast<std::uint64_t>(n));
}

std::string change(Whole a, Whole b) { return (b > a ? "+" : "") + shown(b - a, human_bytes); }

std::string listed(const std::vector<Pair<std::string>>& pairs) {
  std::string out;
  for (const Pair<std::string>& p : pairs) {
    out += fmt::format("{}{} {} -> {}", out.empty() ? "" : ", ", printable(p.name),
                       printable(p.a.value_or("absent")), printable(p.b.value_or("absent")));
  }
  return out;
}

std::string listed(const std::vector<Pair<Whole>>& pairs, bool (*in_bytes)(std::string_view)) {
  std::vector<Pair<std::string>> out;
  for (const Pair<Whole>& p : pairs) {
    const auto text = [&p](Magnitude magnitude) {
      Pair<std::string> words{p.name, std::nullopt, std::nullopt};
      if (p.a) words.a = shown(*p.a, magnitude);
      if (p.b) words.b = shown(*p.b, magnitude);
      return words;
    };
    out.push_back(text(in_bytes(p.name) ? human_bytes : with_commas));
    // Exact where rounding would hide the difference.
    if (out.back().a == out.back().b) out.back() = text(with_commas);
  }
  return listed(out);
}

}  // namespace gort::tool
