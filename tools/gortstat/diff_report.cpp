#include <gort/tools/gortstat/diff_report.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <unordered_map>

#include <fmt/format.h>

#include <gort/base/ledger.h>
#include <gort/tools/gortstat/diff_figures.h>
#include <gort/tools/gortstat/text.h>

namespace gort::tool {
namespace {

constexpr std::size_t kIndent = 3;

bool is_count(std::string_view name) {
  constexpr std::string_view kCounts[] = {"Mallocs",     "Frees",          "HeapObjects",  "NumGC",
                                          "NumForcedGC", "entries_before", "entries_after"};
  return std::find(std::begin(kCounts), std::end(kCounts), name) != std::end(kCounts);
}

bool is_bytes(std::string_view name) { return !is_count(name); }

bool is_bytes_of_map(std::string_view name) {
  return name.ends_with("bytes") || name.ends_with("_size") || name.ends_with("_slot");
}

// --- steps ---------------------------------------------------------------------------------------

struct StepDifference {
  std::vector<Pair<Whole>> places;
  std::vector<Pair<Whole>> reasons;
  std::string map;
  std::vector<Pair<Whole>> memstats;
  bool mapped = false;

  bool any() const {
    return mapped || !places.empty() || !reasons.empty() || !map.empty() || !memstats.empty();
  }
};

std::string map_difference(const DumpStep& a, const DumpStep& b) {
  const auto words = [](const std::optional<Figures>& map) {
    if (!map) return std::string("nil");
    const Whole* count = find_figure(*map, "count");
    return count == nullptr ? std::string("a map")
                            : fmt::format("{} entries", shown(*count, with_commas));
  };
  if (a.map.has_value() != b.map.has_value()) {
    return fmt::format("{} -> {}", words(a.map), words(b.map));
  }
  return a.map ? listed(differing(*a.map, *b.map), is_bytes_of_map) : std::string();
}

StepDifference compare(const DumpStep& a, const DumpStep& b) {
  return {differing(a.places, b.places), differing(a.reasons, b.reasons), map_difference(a, b),
          differing(a.memstats, b.memstats), a.mapped != b.mapped};
}

// Empty: a reason of a later gortstat.
std::string_view place_of(std::string_view reason) {
  for (const ReasonInfo& info : kReasons) {
    if (info.name == reason) return place_name(info.place);
  }
  return {};
}

void add_step(std::string& out, const std::string& name, const DumpStep& a, const DumpStep& b,
              const StepDifference& difference, const TextLayout& layout) {
  Table table(name, 24,
              {{.heading = "A", .width = 14},
               {.heading = "B", .width = 14},
               {.heading = "change", .width = 14}});
  const auto row = [&table](const Pair<Whole>& p, std::size_t indent) {
    const auto cell = [](const std::optional<Whole>& n) {
      return n ? shown(*n, human_bytes) : std::string("absent");
    };
    table.add_row(std::string(indent, ' ') + p.name, {cell(p.a), cell(p.b),
                                                      !p.a || !p.b ? std::string()
                                                      : p.a == p.b ? "same"
                                                                   : change(*p.a, *p.b)});
  };
  // Those that have changed, below their place.
  const auto reason_rows = [&](std::string_view place) {
    for (const Pair<Whole>& reason : difference.reasons) {
      if (place_of(reason.name) == place) row(reason, kIndent + 2);
    }
  };
  for (const Pair<Whole>& place : paired(a.places, b.places)) {
    const bool other_reasons =
        std::any_of(difference.reasons.begin(), difference.reasons.end(),
                    [&](const Pair<Whole>& r) { return place_of(r.name) == place.name; });
    if (!place.differs() && !other_reasons) continue;
    row(place, kIndent);
    reason_rows(place.name);
  }
  reason_rows({});
  row({"mapped", a.mapped, b.mapped}, kIndent);
  row({"rss", a.rss, b.rss}, kIndent);
  out += table.text(layout);
  if (!difference.map.empty()) {
    add_wrapped(out, "map: " + difference.map, layout.width, kIndent);
  }
  if (!difference.memstats.empty()) {
    add_wrapped(out, "memstats: " + listed(difference.memstats, is_bytes), layout.width, kIndent);
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

// --- the whole -----------------------------------------------------------------------------------

const DumpRemedy* find_remedy(const Dump& dump, std::string_view name) {
  const auto found = std::find_if(dump.remedies.begin(), dump.remedies.end(),
                                  [&](const DumpRemedy& r) { return r.name == name; });
  return found == dump.remedies.end() ? nullptr : &*found;
}

std::vector<std::string> only_in(const Dump& these, const Dump& others) {
  const std::vector<std::size_t> other = partners(these.steps, others.steps);
  std::vector<std::string> out;
  for (std::size_t i = 0; i < these.steps.size(); ++i) {
    if (other[i] == others.steps.size()) out.push_back(step_name(these.steps, i));
  }
  for (const DumpRemedy& remedy : these.remedies) {
    if (find_remedy(others, remedy.name) == nullptr) {
      out.push_back("remedy " + printable(remedy.name));
    }
  }
  return out;
}

void add_names(std::string& out, std::string_view what, const std::vector<std::string>& names,
               const TextLayout& layout) {
  if (!names.empty()) add_wrapped(out, fmt::format("{}: {}.", what, joined(names)), layout.width);
}

// True if one that is in both has changed.
bool add_remedies(std::string& out, const Dump& a, const Dump& b, const TextLayout& layout) {
  bool different = false;
  std::string text;
  for (const DumpRemedy& one : a.remedies) {
    const DumpRemedy* other = find_remedy(b, one.name);
    if (other == nullptr) continue;
    const std::vector<Pair<Whole>> pairs = differing(one.figures, other->figures);
    different = different || !pairs.empty();
    std::string line = fmt::format("{}: ", printable(one.name));
    line += pairs.empty() ? "no difference" : listed(pairs, is_bytes);
    const Whole* cost_a = find_figure(one.figures, "cost_ns");
    const Whole* cost_b = find_figure(other->figures, "cost_ns");
    if (cost_a != nullptr && cost_b != nullptr && (*cost_a > 0 || *cost_b > 0)) {
      const auto duration = [](Whole ns) {
        constexpr Whole kMax = std::numeric_limits<std::int64_t>::max();
        return human_duration(static_cast<std::int64_t>(std::clamp<Whole>(ns, 0, kMax)));
      };
      line += fmt::format("; cost {} -> {}", duration(*cost_a), duration(*cost_b));
    }
    add_wrapped(text, line, layout.width, kIndent);
  }
  if (!text.empty()) out += Style(layout.colour).bold("Remedies") + '\n' + text + '\n';
  return different;
}

std::string title(std::string_view name, const Dump& dump) {
  return fmt::format("{}  {}: {}{}\n", name, printable(dump.path),
                     counted(dump.steps.size(), "step"),
                     dump.trace.empty() ? "" : " of " + printable(dump.trace));
}

}  // namespace

DiffReport diff_report(const Dump& a, const Dump& b, const TextLayout& layout) {
  std::string out = title("A", a) + title("B", b);
  if (const auto settings = differing(a.settings, b.settings); !settings.empty()) {
    add_wrapped(out, "Settings: " + listed(settings), layout.width);
  }
  out += '\n';
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
  const bool other_remedies = add_remedies(out, a, b, layout);
  constexpr std::size_t kNamed = 8;
  if (same.size() <= kNamed) add_names(out, "Without a difference", same, layout);
  const std::vector<std::string> only_a = only_in(a, b);
  const std::vector<std::string> only_b = only_in(b, a);
  add_names(out, "Only in A", only_a, layout);
  add_names(out, "Only in B", only_b, layout);
  out += fmt::format("{} in both, {} changed\n", counted(matched, "step"), matched - same.size());
  return {std::move(out),
          other_remedies || matched > same.size() || !only_a.empty() || !only_b.empty()};
}

}  // namespace gort::tool
