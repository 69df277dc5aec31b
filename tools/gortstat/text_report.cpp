#include <gort/tools/gortstat/text_report.h>

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include <gort/tools/gortstat/text.h>
#include <gort/tools/gortstat/text_remedies.h>
#include <gort/tools/gortstat/text_sentences.h>

namespace gort::tool {
namespace {

constexpr std::size_t kIndent = 3;
constexpr std::size_t kNameWidth = 15;  // of places

// --- the head ------------------------------------------------------------------------------------

constexpr std::string_view place_meaning(Place place) {
  switch (place) {
    case Place::live:
      return "objects that are not known dead: here the keys and values";
    case Place::map_live:
      return "memory of the map that holds entries";
    case Place::map_dead:
      return "memory of the map that holds none: cells deleted or never used";
    case Place::awaiting_sweep:
      return "objects that the last collection found dead, not swept yet";
    case Place::span_free:
      return "free slots of spans; a span holds objects of one size";
    case Place::span_waste:
      return "ends of spans, too short for a slot";
    case Place::page_free:
      return "idle pages, kept for reuse";
    case Place::returned:
      return "idle pages without memory: given back, or never used yet";
    case Place::metadata:
      return "the runtime's own memory";
    case Place::reserved:
      return "address space with nothing behind it";
  }
  return {};
}

void add_header(std::string& out, const Report& report, const TextLayout& layout) {
  const Style style(layout.colour);
  out += style.bold("Where the memory of a map goes: " + printable(report.trace)) + '\n';
  const std::string what = operations_text(report.operations);
  add_wrapped(out,
              fmt::format("{}: {}. The map is a {}; only the map variable keeps anything alive; "
                          "GOGC={}, GOMEMLIMIT={}, seed {}.",
                          counted(report.operations.total(), "operation"),
                          what.empty() ? "marks only" : what, report.map_type,
                          report.gc_percent < 0 ? "off" : fmt::format("{}", report.gc_percent),
                          memory_limit_text(report.memory_limit), report.seed),
              layout.width);
  out += "\nEvery byte is in one place:\n";
  for (const Place place : all_places()) {
    out += std::string(kIndent, ' ') + style.place(place, padded(place_name(place), kNameWidth)) +
           style.dim(place_meaning(place)) + '\n';
  }
  out += '\n';
}

// --- the journey ---------------------------------------------------------------------------------

std::string rss_text(const Step& step) { return step.rss == 0 ? "?" : byte_cell(step.rss); }

void add_journey(std::string& out, const Report& report, const TextLayout& layout) {
  struct PlaceColumn {
    Place place;
    int rank;
  };
  std::vector<PlaceColumn> places = {{Place::live, 0},      {Place::map_live, 0},
                                     {Place::map_dead, 0},  {Place::span_free, 2},
                                     {Place::page_free, 0}, {Place::returned, 0}};
  const bool unswept = std::any_of(report.steps.begin(), report.steps.end(), [](const Step& s) {
    return s.ledger[Place::awaiting_sweep] != 0;
  });
  if (unswept) places.insert(places.begin() + 3, {Place::awaiting_sweep, 1});

  std::vector<Table::Column> columns = {{.heading = "entries", .rank = 3}};
  for (const auto& [place, rank] : places) {
    columns.push_back(
        {.heading = std::string(place == Place::awaiting_sweep ? "unswept" : place_name(place)),
         .rank = rank,
         .place = static_cast<int>(place)});
  }
  columns.push_back({.heading = "ledger", .rank = 4});
  columns.push_back({.heading = "rss"});
  Table table("The journey", 18, std::move(columns));
  for (std::size_t i = 0; i < report.steps.size(); ++i) {
    const Step& step = report.steps[i];
    std::vector<std::string> cells = {step.map ? with_commas(step.map->count) : "nil"};
    for (const auto& [place, rank] : places) cells.push_back(byte_cell(step.ledger[place]));
    cells.push_back(byte_cell(resident_at_most(step.ledger)));
    cells.push_back(rss_text(step));
    table.add_row(fmt::format("{}. {}", i + 1, step.label), std::move(cells));
  }
  out += table.text(layout) + '\n';
}

// --- one step ------------------------------------------------------------------------------------

std::string heading(const Step& step, std::size_t number, const TextLayout& layout) {
  const Style style(layout.colour);
  const std::string left = fmt::format("{}. {} ", number, shortened(step.label, 50));
  const std::string right = step.added_by_tool ? " added by gortstat"
                            : step.line != 0   ? fmt::format(" line {}", with_commas(step.line))
                                               : std::string();
  const std::size_t used = display_width(left) + right.size();
  return style.bold(left) + style.dim(rule(layout.width - used) + right) + '\n';
}

// One place with its bytes, as people read them and exactly.
class FigureColumns {
 public:
  explicit FigureColumns(const Ledger& ledger) : exact_(with_commas(ledger.mapped).size() + 3) {}

  std::string row(std::string_view name, std::size_t bytes, std::string_view change) const {
    return fmt::format("{}{}{:>10}{:>{}}{:>11}", std::string(kIndent, ' '),
                       padded(name, kNameWidth), human_bytes(bytes), with_commas(bytes), exact_,
                       change);
  }
  std::size_t reasons_at() const { return kIndent + kNameWidth + 10 + exact_ + 11 + 2; }

 private:
  std::size_t exact_;
};

// "dead_cells 96.2 KiB" for each reason of a place; the name alone if it covers the place. In lines
// that break between reasons only.
std::vector<std::string> reason_lines(const Ledger& ledger, Place place, std::size_t width) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < kReasonCount; ++i) {
    if (kReasons[i].place != place || ledger.why[i] == 0) continue;
    std::string item(kReasons[i].name);
    if (ledger.why[i] != ledger[place]) item += " " + byte_cell(ledger.why[i]);
    if (lines.empty()) {
      lines.push_back(std::move(item));
    } else if (lines.back().size() + 2 + item.size() < width) {
      lines.back() += ", " + item;
    } else {
      lines.back() += ",";
      lines.push_back(std::move(item));
    }
  }
  return lines;
}

bool same_reasons(const Ledger& before, const Ledger& now, Place place) {
  for (std::size_t i = 0; i < kReasonCount; ++i) {
    if (kReasons[i].place == place && before.why[i] != now.why[i]) return false;
  }
  return true;
}

// Rows for the places that changed, in bytes or in reasons, and for the map's own: that those do
// not change is the point.
void add_ledger(std::string& out, const Step* before, const Step& now, const TextLayout& layout) {
  const Style style(layout.colour);
  const FigureColumns columns(now.ledger);
  std::vector<std::string> unchanged;
  for (const Place place : all_places()) {
    const std::size_t bytes = now.ledger[place];
    const std::size_t old = before == nullptr ? 0 : before->ledger[place];
    if (nothing_moved(before, now) || (bytes == 0 && old == 0)) continue;
    const bool maps_own = place == Place::map_live || place == Place::map_dead;
    const bool same =
        before != nullptr && bytes == old && same_reasons(before->ledger, now.ledger, place);
    if (same && !maps_own) {
      unchanged.emplace_back(place_name(place));
      continue;
    }
    const std::string change = before == nullptr ? std::string()
                               : bytes == old    ? "unchanged"
                                                 : human_change(old, bytes);
    std::string row = columns.row(place_name(place), bytes, change);
    // The reasons of what did not change stand in the step before.
    const std::vector<std::string> why =
        same ? std::vector<std::string>()
             : reason_lines(now.ledger, place, layout.width - columns.reasons_at());
    if (why.empty()) row.erase(row.find_last_not_of(' ') + 1);
    out += style.place(place, row);
    for (std::size_t i = 0; i < why.size(); ++i) {
      out += i == 0 ? "  " : std::string(columns.reasons_at(), ' ');
      out += style.dim(why[i]) + '\n';
    }
    if (why.empty()) out += '\n';
  }
  if (!unchanged.empty()) {
    out += std::string(kIndent, ' ') + style.dim("unchanged: " + joined(unchanged)) + '\n';
  }
  out += style.bold(columns.row("sum", now.ledger.sum(), "= mapped"));
  if (now.rss != 0) {
    out += "  rss " + human_bytes(now.rss);
    if (before != nullptr && before->rss != 0 && before->rss != now.rss) {
      out += fmt::format(" ({})", human_change(before->rss, now.rss));
    }
  }
  out += '\n';
}

// Explains each reason once, where it first matters: where it holds a noticeable part of what can
// be resident, or of what the map holds without entries.
void add_new_reasons(std::string& out, const Ledger& ledger, std::set<std::size_t>& explained,
                     const TextLayout& layout) {
  const Style style(layout.colour);
  std::string text;
  constexpr std::size_t kReasonName = 16;
  constexpr std::size_t kText = kIndent + kReasonName + 2;
  for (std::size_t i = 0; i < kReasonCount; ++i) {
    const bool of_map = kReasons[i].place == Place::map_dead;
    const std::size_t noticeable =
        of_map ? ledger[Place::map_dead] / 20 : resident_at_most(ledger) / 100;
    if (ledger.why[i] == 0 || ledger.why[i] < noticeable) continue;
    if (!explained.insert(i).second) continue;
    bool first = true;
    for (const std::string& what :
         {std::string(kReasons[i].what), "-> " + std::string(kReasons[i].remedy)}) {
      for (const std::string& line : wrapped(what, layout.width - kText)) {
        const std::string_view name = first ? kReasons[i].name : std::string_view();
        text += fmt::format("{}{}  {}\n", std::string(kIndent, ' '), padded(name, kReasonName),
                            style.dim(line));
        first = false;
      }
    }
  }
  if (!text.empty()) out += "\n" + text;
}

void add_told_steps(std::string& out, const Report& report, const std::vector<Step>& told,
                    const TextLayout& layout) {
  const Style style(layout.colour);
  std::set<std::size_t> explained;
  std::size_t at = 0;
  for (std::size_t i = 0; i < told.size(); ++i) {
    const Step* before = i == 0 ? nullptr : &told[i - 1];
    const Step& step = told[i];
    // Its number in the journey's table: steps are told in order.
    while (report.steps[at].label != step.label || report.steps[at].line != step.line) ++at;
    out += heading(step, ++at, layout);
    add_wrapped(out, sentence(before, step), layout.width, kIndent);
    if (step.map) add_wrapped(out, "The map: " + map_text(*step.map) + ".", layout.width, kIndent);
    out += '\n';
    add_ledger(out, before, step, layout);
    add_new_reasons(out, step.ledger, explained, layout);
    if (step.picture)
      out += "\n" + style.bold("The map, bucket by bucket") + "\n" + text(*step.picture);
    out += '\n';
  }
}

// --- the end -------------------------------------------------------------------------------------

void add_resident(std::string& out, const Report& report, const std::vector<Step>& told,
                  const TextLayout& layout) {
  if (told.empty() || report.rss_before == 0 || told.back().rss == 0) return;
  Table table("Resident memory", 24,
              {{.heading = "ledger", .width = 14},
               {.heading = "rss", .width = 14},
               {.heading = "since start", .width = 14}});
  for (const Step& step : told) {
    table.add_row(step.label, {human_bytes(resident_at_most(step.ledger)), rss_text(step),
                               human_change(report.rss_before, step.rss)});
  }
  out += table.text(layout);
  add_wrapped(out,
              fmt::format("ledger: what of the heap can be resident (mapped, less returned and "
                          "reserved). rss: the whole process. since start: rss, less the {} before "
                          "the heap was started, with the trace already read.",
                          human_bytes(report.rss_before)),
              layout.width);
  out += '\n';
}

// What brings memory back and keeps the entries: of shrink and remake the one that leaves less.
std::string keeping_text(const std::vector<RemedyResult>& remedies) {
  const RemedyResult* best = nullptr;
  for (const RemedyResult& r : remedies) {
    const bool keeps = r.remedy == Remedy::shrink || r.remedy == Remedy::remake;
    if (!keeps || !r.before.map || !r.after.map || r.after.map->count == 0) continue;
    if (r.after.map->bytes >= r.before.map->bytes) continue;
    if (best == nullptr || r.after.map->bytes < best->after.map->bytes) best = &r;
  }
  if (best == nullptr) return {};
  return fmt::format(
      " To keep the entries, {} the map: {} instead of {}, for {} of work with {} beside the old "
      "map.",
      remedy_name(best->remedy), human_bytes(best->after.map->bytes),
      human_bytes(best->before.map->bytes), human_duration(best->cost_ns),
      human_bytes(best->allocated));
}

// The question the tool is there for, answered with the run's own figures.
void add_answer(std::string& out, const Report& report, const TextLayout& layout) {
  if (!report.last_map) return;
  const auto& [number, removed, map] = *report.last_map;
  std::string name =
      number == 1 ? "the map" : fmt::format("the last of {} maps", with_commas(number));
  std::string text;
  if (removed > 0) {
    text = fmt::format("{} {} removed from {}. ", entries_text(removed),
                       removed == 1 ? "was" : "were", name);
    name = "it";
  }
  text += fmt::format("Before it was dropped, {} kept {} for {}", name, human_bytes(map.bytes),
                      entries_text(map.count));
  text +=
      map.dead_bytes == 0
          ? ", all of it in use."
          : fmt::format(": {} of that, {} %, hold no entry, and no collection can take {} from it.",
                        human_bytes(map.dead_bytes), map.dead_bytes * 100 / map.bytes,
                        map.dead_bytes == 1 ? "it" : "them");
  const Step& end = report.steps.back();
  const Ledger& rest = end.ledger;
  if (rest[Place::live] + rest[Place::map_live] + rest[Place::map_dead] + rest[Place::page_free] ==
      0) {
    text += " After the drop, a collection freed everything, and the release gave it back.";
  }
  text += keeping_text(report.remedies);
  if (report.remedies.empty()) {
    text += " What else would bring it back, and at what cost: --remedy all.";
  }
  out += Style(layout.colour).bold("In short") + '\n';
  add_wrapped(out, text, layout.width);
}

}  // namespace

std::vector<Step> told_steps(const std::vector<Step>& steps, Marks marks) {
  const auto is_mark = [](const Step& step) { return step.kind == StepKind::mark; };
  if (marks == Marks::automatic) {
    const auto count = static_cast<std::size_t>(std::count_if(steps.begin(), steps.end(), is_mark));
    marks = count <= kFewMarks ? Marks::all : Marks::last;
  }
  std::vector<Step> told;
  Step hidden;  // what was done in steps that are not told
  for (std::size_t i = 0; i < steps.size(); ++i) {
    Step step = steps[i];
    const OperationCounts& since = step.since;
    const bool way_back = since.clear + since.drop + since.gc + since.release > 0;
    const bool last = i + 1 == steps.size() ||
                      (!is_mark(steps[i + 1]) && steps[i + 1].kind != StepKind::end_of_trace);
    const bool tell =
        !is_mark(step) || way_back || marks == Marks::all || (marks == Marks::last && last);
    hidden.since += step.since;
    hidden.collections += step.collections;
    hidden.forced_collections += step.forced_collections;
    hidden.given_back += step.given_back;
    if (!tell) continue;
    step.since = hidden.since;
    step.collections = hidden.collections;
    step.forced_collections = hidden.forced_collections;
    step.given_back = hidden.given_back;
    hidden = Step();
    told.push_back(std::move(step));
  }
  return told;
}

std::string text_report(const Report& report, Marks marks, const TextLayout& layout) {
  std::string out;
  add_header(out, report, layout);
  add_journey(out, report, layout);
  const std::vector<Step> told = told_steps(report.steps, marks);
  add_told_steps(out, report, told, layout);
  add_resident(out, report, told, layout);
  if (!report.remedies.empty()) out += remedies_text(report, layout) + '\n';
  add_answer(out, report, layout);
  return out;
}

}  // namespace gort::tool
