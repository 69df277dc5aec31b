#include <gort/tools/gortstat/text_remedies.h>

#include <algorithm>

#include <fmt/format.h>

#include <gort/tools/gortstat/text.h>

namespace gort::tool {
namespace {

constexpr std::string_view remedy_meaning(Remedy remedy) {
  switch (remedy) {
    case Remedy::none:
      return "a collection and a release, the map untouched. The others begin where this ends, so "
             "what they bring back is theirs alone";
    case Remedy::clear:
      return "clear(m): the entries go, the buckets stay with the map";
    case Remedy::remake:
      return "a new map made for the entries there are, the entries copied, the old map dropped: "
             "the entries stay";
    case Remedy::shrink:
      return "shrink_to_fit(m): the same map, rebuilt in the smallest array for its entries; every "
             "copy of the variable sees it";
    case Remedy::nil:
      return "m = nil: the entries go, and the map with them";
  }
  return {};
}

std::string signed_cell(std::int64_t bytes) { return bytes == 0 ? "-" : human_signed(bytes); }

void add_brought_back(std::string& out, const Report& report, const TextLayout& layout) {
  const bool unswept =
      std::any_of(report.remedies.begin(), report.remedies.end(), [](const RemedyResult& r) {
        return brought_back(r.before.ledger, r.after.ledger).awaiting != 0;
      });
  std::vector<Table::Column> columns = {
      {.heading = "frees", .width = 11},
      {.heading = "returned", .width = 11, .place = static_cast<int>(Place::returned)},
      {.heading = "free", .width = 11}};
  if (unswept) columns.push_back({.heading = "unswept", .width = 11});
  columns.push_back({.heading = "allocates"});
  columns.push_back({.heading = "cost"});
  columns.push_back({.heading = "collect", .rank = 1});
  columns.push_back({.heading = "release", .rank = 2});
  Table table("Remedy", 7, std::move(columns));
  for (const RemedyResult& r : report.remedies) {
    const BroughtBack back = brought_back(r.before.ledger, r.after.ledger);
    std::vector<std::string> cells = {signed_cell(back.freed), signed_cell(back.returned),
                                      signed_cell(back.free)};
    if (unswept) cells.push_back(signed_cell(back.awaiting));
    cells.push_back(byte_cell(r.allocated));
    cells.push_back(r.remedy == Remedy::none ? "-" : human_duration(r.cost_ns));
    cells.push_back(human_duration(r.collect_ns));
    cells.push_back(human_duration(r.release_ns));
    table.add_row(std::string(remedy_name(r.remedy)), std::move(cells));
  }
  out += table.text(layout);
}

void add_state_afterwards(std::string& out, const Report& report, const TextLayout& layout) {
  Table table("Afterwards", 10,
              {{.heading = "entries"},
               {.heading = "live"},
               {.heading = "map_live"},
               {.heading = "map_dead", .place = static_cast<int>(Place::map_dead)},
               {.heading = "span_free"},
               {.heading = "page_free", .rank = 1, .place = static_cast<int>(Place::page_free)},
               {.heading = "rss"}});
  for (const RemedyResult& r : report.remedies) {
    const Step& s = r.after;
    table.add_row(std::string(remedy_name(r.remedy)),
                  {s.map ? with_commas(s.map->count) : "nil", byte_cell(s.ledger[Place::live]),
                   byte_cell(s.ledger[Place::map_live]), byte_cell(s.ledger[Place::map_dead]),
                   byte_cell(s.ledger[Place::span_free]), byte_cell(s.ledger[Place::page_free]),
                   s.rss == 0 ? "?" : human_bytes(s.rss)});
  }
  out += table.text(layout);
}

}  // namespace

std::string remedies_text(const Report& report, const TextLayout& layout) {
  const Style style(layout.colour);
  std::string out;
  const std::string where = report.remedy_line == 0 ? std::string("at the end of the trace")
                                                    : fmt::format("in place of the drop in line {}",
                                                                  with_commas(report.remedy_line));
  add_wrapped(
      out,
      fmt::format("What would bring it back: each remedy in a heap of its own, {}, followed "
                  "by a collection and a release.",
                  where),
      layout.width);
  for (const RemedyResult& result : report.remedies) {
    std::string text = fmt::format("{}  ", padded(remedy_name(result.remedy), 7));
    bool first = true;
    for (const std::string& line : wrapped(remedy_meaning(result.remedy), layout.width - 12)) {
      out += "   " + (first ? text : std::string(text.size(), ' ')) + style.dim(line) + '\n';
      first = false;
    }
  }
  out += '\n';
  add_brought_back(out, report, layout);
  out += '\n';
  add_state_afterwards(out, report, layout);
  out += '\n';
  add_wrapped(
      out,
      "frees: taken from live, map_live and map_dead. returned, free: where it is then, with "
      "the system or free for reuse (span_free, page_free); free is negative when slots that "
      "were free already went back with their pages. allocates: needed beside the old map. "
      "cost, collect, release: one measurement each.",
      layout.width);
  return out;
}

}  // namespace gort::tool
