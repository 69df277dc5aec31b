#include <gort/tools/gortstat/text_report.h>

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include <gort/tools/gortstat/text.h>

namespace gort::tool {
namespace {

// --- small pieces --------------------------------------------------------------------------------

class Style {
 public:
  explicit Style(bool colour) : colour_(colour) {}
  std::string bold(std::string_view text) const { return wrap("1", text); }
  std::string dim(std::string_view text) const { return wrap("2", text); }
  // A place has its colour wherever it is shown: the way out of the map is yellow, red, green.
  std::string place(Place place, std::string_view text) const {
    switch (place) {
      case Place::map_dead:
        return wrap("33", text);
      case Place::page_free:
        return wrap("31", text);
      case Place::returned:
        return wrap("32", text);
      default:
        return std::string(text);
    }
  }

 private:
  std::string wrap(std::string_view code, std::string_view text) const {
    return colour_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
  }
  bool colour_;
};

std::string padded(std::string_view text, std::size_t width) {
  const std::size_t used = display_width(text);
  return std::string(text) + std::string(used < width ? width - used : 0, ' ');
}

std::string shortened(std::string_view text, std::size_t width) {
  std::string out = printable(text);
  if (display_width(out) <= width) return out;
  while (display_width(out) > width - 3) out.pop_back();
  while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xc0) == 0x80) out.pop_back();
  return out + "...";
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += i + 1 == parts.size() ? " and " : ", ";
    out += parts[i];
  }
  return out;
}

void add_wrapped(std::string& out, std::string_view text, std::size_t indent) {
  for (const std::string& line : wrapped(text, kTextWidth - indent)) {
    out += std::string(indent, ' ') + line + '\n';
  }
}

std::string rule(std::size_t width) {
  std::string out;
  for (std::size_t i = 0; i < width; ++i) out += "─";
  return out;
}

// --- sentences: each is true because a measured figure says so
// -------------------------------------

std::string operations_text(const OperationCounts& n) {
  std::vector<std::string> parts;
  if (n.make > 0) parts.push_back(n.make == 1 ? "a new map" : with_commas(n.make) + " new maps");
  if (n.set > 0) {
    parts.push_back(
        fmt::format("{} ({} of new keys)", counted(n.set, "set"), with_commas(n.inserted)));
  }
  if (n.del > 0) {
    parts.push_back(counted(n.del, "delete") +
                    (n.deleted == n.del
                         ? std::string()
                         : fmt::format(" ({} of absent keys)", with_commas(n.del - n.deleted))));
  }
  if (n.get > 0) {
    parts.push_back(fmt::format("{} ({} found)", counted(n.get, "lookup"), with_commas(n.found)));
  }
  if (n.clear > 0) {
    parts.push_back(fmt::format("{} ({} removed)", counted(n.clear, "clear"),
                                n.cleared == 1 ? "1 entry" : with_commas(n.cleared) + " entries"));
  }
  if (n.drop > 0) parts.push_back("the map variable set to nil");
  if (n.gc > 0)
    parts.push_back(n.gc == 1 ? "a full collection" : with_commas(n.gc) + " full collections");
  if (n.release > 0) {
    parts.push_back("a collection and release of all free memory");
    if (n.release > 1) parts.back() += fmt::format(", {} times", with_commas(n.release));
  }
  return joined(parts);
}

std::string map_text(const MapStats& map) {
  std::string out =
      fmt::format("{} in {}", map.count == 1 ? "1 entry" : with_commas(map.count) + " entries",
                  counted(map.buckets, "bucket"));
  if (map.overflow_buckets > 0) {
    out += fmt::format(" and {}", counted(map.overflow_buckets, "overflow bucket"));
  }
  if (map.growing) {
    out += fmt::format("; growing: {} of {} old buckets moved", with_commas(map.nevacuate),
                       with_commas(map.old_buckets));
  }
  return out;
}

// How the map's array changed since the step before; empty if it did not.
std::string growth_text(const Step* before, const Step& now) {
  if (!now.map || now.map->buckets == 0) return {};
  const std::uint64_t old = before != nullptr && before->map ? before->map->buckets : 0;
  if (now.map->buckets == old) return {};
  if (now.since.make > 0) return {};  // another map
  if (old == 0) return fmt::format("The map got {}.", counted(now.map->buckets, "bucket"));
  return fmt::format("The map grew from {} to {}.", with_commas(old),
                     counted(now.map->buckets, "bucket"));
}

std::string collections_text(const Step& step) {
  const std::uint64_t own = step.collections - step.forced_collections;
  if (own == 0) return {};
  return fmt::format("{} ran by {}.", counted(own, "collection"),
                     own == 1 ? "itself" : "themselves");
}

// The one or two largest reasons why bytes that could move on have not.
std::string stuck_text(const Ledger& ledger) {
  std::array<std::size_t, kReasonCount> order{};
  for (std::size_t i = 0; i < kReasonCount; ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return ledger.why[a] > ledger.why[b]; });
  std::string out;
  for (const std::size_t i : {order[0], order[1]}) {
    // The second is worth a mention only if it is of the same kind of size.
    if (ledger.why[i] == 0 || ledger.why[i] < ledger.why[order[0]] / 4) break;
    out += fmt::format("{}{} {} {}", out.empty() ? "" : "; ", human_bytes(ledger.why[i]),
                       ledger.why[i] == 1 ? "is" : "are", kReasons[i].what);
  }
  return out;
}

// Bytes that only changed sides inside the map.
std::string moved_text(const Step* before, const Step& now) {
  if (before == nullptr) return {};
  const std::size_t live = before->ledger[Place::map_live];
  const std::size_t dead = before->ledger[Place::map_dead];
  const std::size_t live_now = now.ledger[Place::map_live];
  const std::size_t dead_now = now.ledger[Place::map_dead];
  if (live == live_now || live + dead != live_now + dead_now) return {};
  return live > live_now
             ? fmt::format("{} moved from map_live to map_dead.", human_bytes(live - live_now))
             : fmt::format("{} moved from map_dead to map_live.", human_bytes(live_now - live));
}

bool frees_something(const OperationCounts& n) {
  return n.deleted > 0 || n.clear > 0 || n.drop > 0 || n.gc > 0 || n.release > 0 || n.make > 1;
}

// What came of it for the operating system.
std::string returned_text(const Step* before, const Step& now) {
  std::string out;
  if (now.given_back > 0) {
    out = fmt::format("{} went back to the operating system", human_bytes(now.given_back));
    if (before != nullptr && now.rss != 0 && now.rss < before->rss) {
      out += fmt::format(": resident memory fell by {}", human_bytes(before->rss - now.rss));
    }
    return out + ".";
  }
  if (!frees_something(now.since)) return {};
  out = "Nothing went back to the operating system";
  if (now.removal_uncollected) {
    return out + (now.map
                      ? ": no collection has run since, so what was removed still counts as live."
                      : ": only a collection can find that nothing reaches the map any more.");
  }
  const std::string stuck = stuck_text(now.ledger);
  return stuck.empty() ? out + "." : fmt::format("{}: {}.", out, stuck);
}

bool nothing_moved(const Step* before, const Step& now) {
  return before != nullptr && before->ledger.bytes == now.ledger.bytes;
}

std::string sentence(const Step* before, const Step& now) {
  std::string out = operations_text(now.since);
  if (out.empty()) out = "Nothing was done since the step before";
  out += ".";
  if (nothing_moved(before, now)) out += " No byte has moved.";
  for (const std::string& more : {growth_text(before, now), moved_text(before, now),
                                  collections_text(now), returned_text(before, now)}) {
    if (!more.empty()) out += " " + more;
  }
  out.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(out.front())));
  return out;
}

// --- one step ------------------------------------------------------------------------------------

std::string heading(const Step& step, std::size_t number, const Style& style) {
  const std::string left = fmt::format("{}. {} ", number, shortened(step.label, 50));
  const std::string right = step.added_by_tool ? " added by gortstat"
                            : step.line != 0   ? fmt::format(" line {}", with_commas(step.line))
                                               : std::string();
  const std::size_t used = display_width(left) + right.size();
  return style.bold(left) + style.dim(rule(kTextWidth - used) + right) + '\n';
}

constexpr std::size_t kIndent = 3;
constexpr std::size_t kNameWidth = 16;
constexpr std::size_t kReasonColumn = kIndent + kNameWidth + 10 + 15 + 13 + 3;

std::string figures(std::string_view name, std::size_t bytes, std::string_view change) {
  return fmt::format("{}{}{:>10}{:>15}{:>13}", std::string(kIndent, ' '), padded(name, kNameWidth),
                     human_bytes(bytes), with_commas(bytes), change);
}

// "dead_cells 96.2 KiB" for each reason of a place; the name alone if it covers the place. In lines
// that break between reasons only.
std::vector<std::string> reason_lines(const Ledger& ledger, Place place) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < kReasonCount; ++i) {
    if (kReasons[i].place != place || ledger.why[i] == 0) continue;
    std::string item(kReasons[i].name);
    if (ledger.why[i] != ledger[place]) item += " " + human_bytes(ledger.why[i]);
    if (lines.empty()) {
      lines.push_back(std::move(item));
    } else if (kReasonColumn + lines.back().size() + 2 + item.size() <= kTextWidth) {
      lines.back() += ", " + item;
    } else {
      lines.back() += ",";
      lines.push_back(std::move(item));
    }
  }
  return lines;
}

void add_ledger(std::string& out, const Step* before, const Step& now, const Style& style) {
  for (const Place place : all_places()) {
    const std::size_t bytes = now.ledger[place];
    const std::size_t old = before == nullptr ? 0 : before->ledger[place];
    if (nothing_moved(before, now) || (bytes == 0 && old == 0)) continue;
    const std::string change =
        before == nullptr || bytes == old ? std::string() : human_change(old, bytes);
    std::string row = figures(place_name(place), bytes, change);
    const std::vector<std::string> why = reason_lines(now.ledger, place);
    if (why.empty()) row.erase(row.find_last_not_of(' ') + 1);
    out += style.place(place, row);
    for (std::size_t i = 0; i < why.size(); ++i) {
      out += i == 0 ? "   " : std::string(kReasonColumn, ' ');
      out += style.dim(why[i]) + '\n';
    }
    if (why.empty()) out += '\n';
  }
  out += style.bold(figures("sum", now.ledger.sum(), "= mapped"));
  if (now.rss != 0) {
    out += fmt::format("   rss {}", human_bytes(now.rss));
    if (before != nullptr && before->rss != 0 && before->rss != now.rss) {
      out += fmt::format(" ({})", human_change(before->rss, now.rss));
    }
  }
  out += '\n';
}

// Explains each reason once, where it first matters.
void add_new_reasons(std::string& out, const Ledger& ledger, std::set<std::size_t>& explained,
                     const Style& style) {
  std::string text;
  constexpr std::size_t kText = kIndent + kNameWidth + 2;
  for (std::size_t i = 0; i < kReasonCount; ++i) {
    if (ledger.why[i] == 0 || !explained.insert(i).second) continue;
    bool first = true;
    for (const std::string& what :
         {std::string(kReasons[i].what), "-> " + std::string(kReasons[i].remedy)}) {
      for (const std::string& line : wrapped(what, kTextWidth - kText)) {
        const std::string_view name = first ? kReasons[i].name : std::string_view();
        text += fmt::format("{}{}  {}\n", std::string(kIndent, ' '), padded(name, kNameWidth),
                            style.dim(line));
        first = false;
      }
    }
  }
  if (!text.empty()) out += "\n" + text;
}

// --- the whole -----------------------------------------------------------------------------------

constexpr std::string_view place_meaning(Place place) {
  switch (place) {
    case Place::live:
      return "objects that are not known dead: here the keys and values";
    case Place::map_live:
      return "memory of the map itself that holds entries";
    case Place::map_dead:
      return "memory of the map itself that holds none: deleted or never used cells";
    case Place::awaiting_sweep:
      return "objects that the last collection found dead, not swept yet";
    case Place::span_free:
      return "free slots of spans; a span holds objects of one size";
    case Place::span_waste:
      return "ends of spans, too short for a slot";
    case Place::page_free:
      return "idle pages, kept for reuse";
    case Place::returned:
      return "idle pages with no memory behind them: given back, or never used yet";
    case Place::metadata:
      return "the runtime's own memory";
    case Place::reserved:
      return "address space with nothing behind it";
  }
  return {};
}

void add_header(std::string& out, const Report& report, const Style& style) {
  out += style.bold("Where the memory of a map goes: " + printable(report.trace)) + '\n';
  const std::string what = operations_text(report.operations);
  add_wrapped(out,
              fmt::format("{}: {}.", counted(report.operations.total(), "operation"),
                          what.empty() ? "marks only" : what),
              0);
  out += fmt::format("The map is a {}; only the map variable keeps anything alive; GOGC={}.\n",
                     report.map_type,
                     report.gc_percent < 0 ? "off" : fmt::format("{}", report.gc_percent));
  out += '\n';
  for (const Place place : all_places()) {
    out += std::string(kIndent, ' ') + style.place(place, padded(place_name(place), kNameWidth)) +
           style.dim(place_meaning(place)) + '\n';
  }
  out += '\n';
}

std::string cell(std::size_t bytes) { return bytes == 0 ? "-" : human_bytes(bytes); }

void add_table(std::string& out, const Report& report, const Style& style) {
  constexpr std::array<Place, 7> kColumns = {
      Place::live,      Place::map_live, Place::map_dead,      Place::span_free,
      Place::page_free, Place::returned, Place::awaiting_sweep};
  const bool sweep = std::any_of(report.steps.begin(), report.steps.end(), [](const Step& s) {
    return s.ledger[Place::awaiting_sweep] != 0;
  });
  const auto columns = std::vector<Place>(kColumns.begin(), kColumns.end() - (sweep ? 0 : 1));
  constexpr std::size_t kWidth = 11;
  const std::size_t label_width = kTextWidth - kWidth * (columns.size() + 1);

  out += style.bold(padded("The journey", label_width));
  for (const Place place : columns) {
    const std::string_view name =
        place_name(place) == "awaiting_sweep" ? "unswept" : place_name(place);
    out += style.bold(fmt::format("{:>{}}", name, kWidth));
  }
  out += style.bold(fmt::format("{:>{}}\n", "rss", kWidth));
  for (std::size_t i = 0; i < report.steps.size(); ++i) {
    const Step& step = report.steps[i];
    out +=
        padded(shortened(fmt::format("{}. {}", i + 1, step.label), label_width - 1), label_width);
    for (const Place place : columns) {
      const std::string text = fmt::format("{:>{}}", cell(step.ledger[place]), kWidth);
      out += style.place(place, text);
    }
    out += fmt::format("{:>{}}\n", step.rss == 0 ? "?" : human_bytes(step.rss), kWidth);
  }
}

void add_resident(std::string& out, const Report& report) {
  if (report.steps.empty() || report.rss_before == 0 || report.steps.back().rss == 0) return;
  const Step& last = report.steps.back();
  const auto peak = std::max_element(report.steps.begin(), report.steps.end(),
                                     [](const Step& a, const Step& b) { return a.rss < b.rss; });
  const std::size_t heap = resident_at_most(last.ledger);
  add_wrapped(
      out,
      fmt::format("Resident memory: {} before the heap was started, {} at most ({}), {} at "
                  "the end. The ledger has {} at the end that can be resident (mapped, less "
                  "returned and reserved); the rest is the program itself and the trace.",
                  human_bytes(report.rss_before), human_bytes(peak->rss), printable(peak->label),
                  human_bytes(last.rss), human_bytes(heap)),
      0);
}

}  // namespace

std::string text_report(const Report& report, bool colour) {
  const Style style(colour);
  std::string out;
  add_header(out, report, style);
  std::set<std::size_t> explained;
  for (std::size_t i = 0; i < report.steps.size(); ++i) {
    const Step* before = i == 0 ? nullptr : &report.steps[i - 1];
    const Step& step = report.steps[i];
    out += heading(step, i + 1, style);
    add_wrapped(out, sentence(before, step), kIndent);
    if (step.map) add_wrapped(out, "The map: " + map_text(*step.map) + ".", kIndent);
    out += '\n';
    add_ledger(out, before, step, style);
    add_new_reasons(out, step.ledger, explained, style);
    out += '\n';
  }
  add_table(out, report, style);
  out += '\n';
  add_resident(out, report);
  return out;
}

}  // namespace gort::tool
