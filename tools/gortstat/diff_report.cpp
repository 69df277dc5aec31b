#include <gort/tools/gortstat/diff_report.h>

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include <gort/tools/gortstat/text.h>

namespace gort::tool {
namespace {

constexpr std::size_t kIndent = 3;

// Not compared: clocks, which differ between any two runs, and HeapAlloc's other name.
bool is_left_out(std::string_view name) {
  return name == "LastGC" || name == "PauseTotalNs" || name.ends_with("_ns") || name == "Alloc";
}

bool is_count(std::string_view name) {
  constexpr std::string_view kCounts[] = {"Mallocs",     "Frees",          "HeapObjects",  "NumGC",
                                          "NumForcedGC", "entries_before", "entries_after"};
  return std::find(std::begin(kCounts), std::end(kCounts), name) != std::end(kCounts);
}

bool is_bytes_of_map(std::string_view name) {
  return name.ends_with("bytes") || name.ends_with("_size");
}

std::string number(std::int64_t n) {
  return n < 0 ? "-" + with_commas(0 - static_cast<std::uint64_t>(n))
               : with_commas(static_cast<std::uint64_t>(n));
}

std::string change(std::int64_t a, std::int64_t b) {
  return b > a ? "+" + human_signed(b - a) : human_signed(b - a);
}

struct Pair {
  std::string name;
  std::int64_t a = 0;
  std::int64_t b = 0;
};

// The figures that differ, in the order of `a` and then of what only `b` has; absent counts as 0.
std::vector<Pair> differing(const Figures& a, const Figures& b) {
  const std::unordered_map<std::string_view, std::int64_t> in_a(a.begin(), a.end());
  const std::unordered_map<std::string_view, std::int64_t> in_b(b.begin(), b.end());
  std::vector<Pair> out;
  for (const auto& [name, value] : a) {
    const auto other = in_b.find(name);
    out.push_back({name, value, other == in_b.end() ? 0 : other->second});
  }
  for (const auto& [name, value] : b) {
    if (!in_a.contains(name)) out.push_back({name, 0, value});
  }
  std::erase_if(out, [](const Pair& p) { return p.a == p.b || is_left_out(p.name); });
  return out;
}

// "NumGC 3 -> 4, Mallocs 10 -> 12".
std::string listed(const std::vector<Pair>& pairs, bool (*in_bytes)(std::string_view)) {
  std::string out;
  for (const Pair& p : pairs) {
    // Exact where rounding would hide the difference.
    const bool bytes = in_bytes(p.name) && human_signed(p.a) != human_signed(p.b);
    out += fmt::format("{}{} {} -> {}", out.empty() ? "" : ", ", printable(p.name),
                       bytes ? human_signed(p.a) : number(p.a),
                       bytes ? human_signed(p.b) : number(p.b));
  }
  return out;
}

struct StepDifference {
  std::vector<Pair> places;
  std::string map;
  std::vector<Pair> memstats;
  bool mapped = false;

  bool any() const { return mapped || !places.empty() || !map.empty() || !memstats.empty(); }
};

std::string map_difference(const DumpStep& a, const DumpStep& b) {
  const auto shown = [](const std::optional<Figures>& map) {
    if (!map) return std::string("nil");
    const std::int64_t* count = find_figure(*map, "count");
    return count == nullptr ? std::string("a map") : fmt::format("{} entries", number(*count));
  };
  if (a.map.has_value() != b.map.has_value()) {
    return fmt::format("{} -> {}", shown(a.map), shown(b.map));
  }
  return a.map ? listed(differing(*a.map, *b.map), is_bytes_of_map) : std::string();
}

StepDifference compare(const DumpStep& a, const DumpStep& b) {
  return {differing(a.places, b.places), map_difference(a, b), differing(a.memstats, b.memstats),
          a.mapped != b.mapped};
}

void add_step(std::string& out, const std::string& name, const DumpStep& a, const DumpStep& b,
              const StepDifference& difference, const TextLayout& layout) {
  Table table(name, 24,
              {{.heading = "A", .width = 14},
               {.heading = "B", .width = 14},
               {.heading = "change", .width = 14}});
  const auto row = [&table](const std::string& what, std::int64_t x, std::int64_t y) {
    table.add_row(std::string(kIndent, ' ') + what,
                  {human_signed(x), human_signed(y), x == y ? "same" : change(x, y)});
  };
  for (const Pair& p : difference.places) row(p.name, p.a, p.b);
  row("mapped", a.mapped, b.mapped);
  row("rss", a.rss, b.rss);
  out += table.text(layout);
  if (!difference.map.empty()) {
    add_wrapped(out, "map: " + difference.map, layout.width, kIndent);
  }
  if (!difference.memstats.empty()) {
    add_wrapped(
        out,
        "memstats: " + listed(difference.memstats, [](std::string_view n) { return !is_count(n); }),
        layout.width, kIndent);
  }
  out += '\n';
}

// For each step of `these` the one of `others` with the same label, the n-th for the n-th, by
// index; others.size() if there is none.
std::vector<std::size_t> partners(const std::vector<DumpStep>& these,
                                  const std::vector<DumpStep>& others) {
  std::unordered_map<std::string_view, std::vector<std::size_t>> places;
  for (std::size_t i = 0; i < others.size(); ++i) places[others[i].label].push_back(i);
  std::unordered_map<std::string_view, std::size_t> before;
  std::vector<std::size_t> out;
  for (const DumpStep& step : these) {
    const std::vector<std::size_t>& same = places[step.label];
    const std::size_t n = before[step.label]++;
    out.push_back(n < same.size() ? same[n] : others.size());
  }
  return out;
}

std::string step_name(const std::vector<DumpStep>& steps, std::size_t i) {
  return fmt::format("{}. {}", i + 1, printable(steps[i].label));
}

std::vector<std::string> only_in(const std::vector<DumpStep>& these,
                                 const std::vector<DumpStep>& others) {
  const std::vector<std::size_t> other = partners(these, others);
  std::vector<std::string> out;
  for (std::size_t i = 0; i < these.size(); ++i) {
    if (other[i] == others.size()) out.push_back(step_name(these, i));
  }
  return out;
}

void add_names(std::string& out, std::string_view what, const std::vector<std::string>& names,
               const TextLayout& layout) {
  if (!names.empty()) add_wrapped(out, fmt::format("{}: {}.", what, joined(names)), layout.width);
}

void add_remedies(std::string& out, const Dump& a, const Dump& b, const TextLayout& layout) {
  std::string text;
  for (const DumpRemedy& one : a.remedies) {
    const auto other = std::find_if(b.remedies.begin(), b.remedies.end(),
                                    [&](const DumpRemedy& r) { return r.name == one.name; });
    if (other == b.remedies.end()) continue;
    const std::vector<Pair> pairs = differing(one.figures, other->figures);
    std::string line = fmt::format("{}: ", printable(one.name));
    line += pairs.empty() ? "no difference"
                          : listed(pairs, [](std::string_view n) { return !is_count(n); });
    const std::int64_t* cost_a = find_figure(one.figures, "cost_ns");
    const std::int64_t* cost_b = find_figure(other->figures, "cost_ns");
    if (cost_a != nullptr && cost_b != nullptr && (*cost_a > 0 || *cost_b > 0)) {
      line += fmt::format("; cost {} -> {}", human_duration(*cost_a), human_duration(*cost_b));
    }
    add_wrapped(text, line, layout.width, kIndent);
  }
  if (!text.empty()) out += Style(layout.colour).bold("Remedies") + '\n' + text + '\n';
}

std::string title(std::string_view name, const Dump& dump) {
  return fmt::format("{}  {}: {}{}\n", name, printable(dump.path),
                     counted(dump.steps.size(), "step"),
                     dump.trace.empty() ? "" : " of " + printable(dump.trace));
}

}  // namespace

std::string diff_report(const Dump& a, const Dump& b, const TextLayout& layout) {
  std::string out = title("A", a) + title("B", b) + '\n';
  std::vector<std::string> same;
  std::size_t matched = 0;
  const std::vector<std::size_t> in_b = partners(a.steps, b.steps);
  for (std::size_t i = 0; i < a.steps.size(); ++i) {
    const std::size_t j = in_b[i];
    if (j == b.steps.size()) continue;
    ++matched;
    const StepDifference difference = compare(a.steps[i], b.steps[j]);
    if (difference.any()) {
      add_step(out, step_name(a.steps, i), a.steps[i], b.steps[j], difference, layout);
    } else {
      same.push_back(step_name(a.steps, i));
    }
  }
  add_remedies(out, a, b, layout);
  constexpr std::size_t kNamed = 8;
  if (same.size() <= kNamed) add_names(out, "Without a difference", same, layout);
  add_names(out, "Only in A", only_in(a.steps, b.steps), layout);
  add_names(out, "Only in B", only_in(b.steps, a.steps), layout);
  out += fmt::format("{} in both, {} changed\n", counted(matched, "step"), matched - same.size());
  return out;
}

}  // namespace gort::tool
