#include <catch2/catch.hpp>

#include <algorithm>
#include <sstream>
#include <utility>

#include <fmt/format.h>

#include <gort/tests/tool/sample_report.h>
#include <gort/tools/gortstat/text.h>
#include <gort/tools/gortstat/text_report.h>

using namespace gort;
using namespace gort::tool;
using Catch::Contains;

namespace {

Step step_of(StepKind kind, const std::string& label) {
  Step step;
  step.kind = kind;
  step.label = label;
  step.since.set = 1;
  return step;
}

std::vector<std::string> labels(const std::vector<Step>& steps) {
  std::vector<std::string> out;
  for (const Step& step : steps) out.push_back(step.label);
  return out;
}

// Without the breaks that depend on the width.
std::string unwrapped(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

// Ten plain marks, the ninth after a collection, and the tool's ending.
std::vector<Step> long_journey() {
  std::vector<Step> steps;
  for (int i = 1; i <= 10; ++i) steps.push_back(step_of(StepKind::mark, fmt::format("m{}", i)));
  steps[8].since.gc = 1;
  steps.push_back(step_of(StepKind::drop, "drop"));
  steps.push_back(step_of(StepKind::release, "release"));
  return steps;
}

Report report_with_remedies() {
  Report report = gort_test::sample_report();
  for (const Remedy remedy : {Remedy::none, Remedy::clear, Remedy::remake, Remedy::nil}) {
    RemedyResult r;
    r.remedy = remedy;
    r.before = report.steps[0];
    r.after = remedy == Remedy::nil ? report.steps[1] : report.steps[0];
    r.cost_ns = 1500;
    r.collect_ns = 2'000'000;
    r.release_ns = 3'000;
    r.allocated = 4096;
    if (remedy == Remedy::remake) r.after.map->bytes = 1024;
    report.remedies.push_back(r);
  }
  return report;
}

}  // namespace

TEST_CASE("few marks are all told, of many only those on the way back and the last",
          "[tool][text_report]") {
  using Labels = std::vector<std::string>;
  const std::vector<Step> many = long_journey();
  CHECK(labels(told_steps(many, Marks::automatic)) == Labels{"m9", "m10", "drop", "release"});
  CHECK(labels(told_steps(many, Marks::last)) == Labels{"m9", "m10", "drop", "release"});
  CHECK(labels(told_steps(many, Marks::none)) == Labels{"m9", "drop", "release"});
  CHECK(told_steps(many, Marks::all).size() == many.size());
  const std::vector<Step> few(many.begin(), many.begin() + 6);
  CHECK(told_steps(few, Marks::automatic).size() == 6);
}

TEST_CASE("an end of the trace is told in place of the last mark", "[tool][text_report]") {
  std::vector<Step> steps = long_journey();
  steps.insert(steps.begin() + 10, step_of(StepKind::end_of_trace, "end"));
  CHECK(labels(told_steps(steps, Marks::last)) ==
        std::vector<std::string>{"m9", "end", "drop", "release"});
}

TEST_CASE("what was done in steps that are not told is told with the next", "[tool][text_report]") {
  std::vector<Step> steps = long_journey();
  steps[3].collections = 2;
  steps[4].given_back = 4096;
  const std::vector<Step> told = told_steps(steps, Marks::last);
  CHECK(told[0].since.set == 9);
  CHECK(told[0].since.gc == 1);
  CHECK(told[0].collections == 2);
  CHECK(told[0].given_back == 4096);
  CHECK(told[1].since.set == 1);
}

TEST_CASE("a report has the journey, the steps, resident memory and the answer",
          "[tool][text_report]") {
  const std::string text =
      text_report(gort_test::sample_report(), Marks::automatic, {.width = 120, .colour = false});
  CHECK_THAT(text, Catch::StartsWith("Where the memory of a map goes: sample.trace\n"));
  CHECK_THAT(unwrapped(text), Contains("; GOGC=100, GOMEMLIMIT=off, seed 0. "));
  CHECK_THAT(text, Contains("1. filled                 30   3.0 KiB   2.0 KiB     640 B   2.4 KiB  "
                            "16.0 KiB         -  32.0 KiB   2.0 MiB\n"));
  CHECK_THAT(text,
             Contains("\n   map_dead            640 B      640             dead_cells 512 B,"));
  CHECK_THAT(text, Contains("dead_cells 512 B"));
  CHECK_THAT(text, Contains("\n   sum              64.0 KiB   65,536   = mapped  rss 2.0 MiB\n"));
  CHECK_THAT(text, Contains("unchanged: metadata and reserved\n"));
  CHECK_THAT(text,
             Contains("\nrelease                        8.0 KiB       2.0 MiB   +1000.0 KiB\n"));
  CHECK_THAT(unwrapped(text),
             Contains("In short 9 entries were removed from the map. Before it was dropped, it "
                      "kept 2.6 KiB for 30 entries: 640 B of that, 23 %, hold no entry"));
  CHECK_THAT(unwrapped(text), Contains("--remedy all"));
}

TEST_CASE("bytes that have another reason than before are shown with it", "[tool][text_report]") {
  Report report = gort_test::sample_report();
  report.steps[1] = report.steps[0];
  report.steps[1].label = "later";
  auto& why = report.steps[1].ledger.why;
  std::swap(why[static_cast<std::size_t>(Reason::scavenger_goal)],
            why[static_cast<std::size_t>(Reason::scavenger_pace)]);
  const std::string text = text_report(report, Marks::all, {.width = 120, .colour = false});
  CHECK_THAT(text,
             Contains("\n   page_free        16.0 KiB   16,384  unchanged  scavenger_pace\n"));
  CHECK_THAT(text, Contains("unchanged: live, span_free, metadata and reserved\n"));
  CHECK_THAT(text, !Contains("No byte has moved"));
}

TEST_CASE("the answer for a map without an empty cell, and for the last of several",
          "[tool][text_report]") {
  Report report = gort_test::sample_report();
  report.last_map = {3, 0, *report.steps[0].map};
  report.last_map->stats.dead_bytes = 0;
  CHECK_THAT(unwrapped(text_report(report, Marks::all, {})),
             Contains("In short Before it was dropped, the last of 3 maps kept 2.6 KiB for 30 "
                      "entries, all of it in use."));
}

TEST_CASE("the remedies' table has cost and state afterwards", "[tool][text_report]") {
  const std::string text =
      text_report(report_with_remedies(), Marks::automatic, {.width = 100, .colour = false});
  CHECK_THAT(text, Contains("\nRemedy       frees   returned       free allocates      cost   "
                            "collect   release\n"));
  CHECK_THAT(text, Contains("\nnil        5.6 KiB   24.0 KiB  -18.4 KiB   4.0 KiB    1.5 us    "
                            "2.0 ms    3.0 us\n"));
  CHECK_THAT(text, Contains("\nnone             -          -          -   4.0 KiB         -    "
                            "2.0 ms    3.0 us\n"));
  CHECK_THAT(unwrapped(text),
             Contains("To keep the entries, remake the map: 1.0 KiB instead of 2.6 KiB, for "
                      "1.5 us"));
  CHECK_THAT(text, !Contains("--remedy all"));
}

TEST_CASE("a reason is explained once, if it holds a noticeable part", "[tool][text_report]") {
  Report report = gort_test::sample_report();
  Ledger& ledger = report.steps[0].ledger;
  ledger.add(Reason::spare_overflow, 8);  // too little to explain, beside 640 bytes of map_dead
  ledger[Place::reserved] -= 8;
  report.steps[1].ledger.add(Reason::dead_cells, 512);
  report.steps[1].ledger[Place::reserved] -= 512;
  const std::string text = text_report(report, Marks::all, {.width = 120, .colour = false});
  const auto explained = [&](std::string_view name) {
    std::size_t count = 0;
    const std::string line = fmt::format("\n   {:<16}  ", name);
    for (std::size_t at = 0; (at = text.find(line, at)) != std::string::npos; ++at) ++count;
    return count;
  };
  CHECK(explained("dead_cells") == 1);
  CHECK(explained("scavenger_goal") == 1);
  CHECK(explained("spare_overflow") == 0);
}

TEST_CASE("no line is wider than asked for", "[tool][text_report]") {
  for (const std::size_t width : {80U, 90U, 100U, 120U}) {
    std::istringstream lines(text_report(report_with_remedies(), Marks::all, {.width = width}));
    for (std::string line; std::getline(lines, line);) {
      INFO(line);
      CHECK(display_width(line) <= width);
    }
  }
}

TEST_CASE("colour changes nothing but colour", "[tool][text_report]") {
  const Report report = report_with_remedies();
  std::string coloured = text_report(report, Marks::all, {.width = 100, .colour = true});
  CHECK_THAT(coloured, Contains("\x1b[33m"));
  for (std::size_t at = 0; (at = coloured.find('\x1b')) != std::string::npos;) {
    coloured.erase(at, coloured.find('m', at) - at + 1);
  }
  CHECK(coloured == text_report(report, Marks::all, {.width = 100, .colour = false}));
}

TEST_CASE("a table leaves out the columns that matter least", "[tool][text_style]") {
  Table table("T", 10,
              {{.heading = "a"}, {.heading = "b", .rank = 2}, {.heading = "c", .rank = 1}});
  table.add_row("a long label", {"1", "2", "3"});
  const auto at = [&](std::size_t width) { return table.text({.width = width}); };
  CHECK(at(40) ==
        "T                  a         b         c\na long...          1         2         3\n");
  CHECK(at(39) == "T                  a         c\na long...          1         3\n");
  CHECK(at(29) == "T                  a\na long...          1\n");
  CHECK(at(5) == "T                  a\na long...          1\n");
}

TEST_CASE("a shortened text never ends inside a character", "[tool][text_style]") {
  CHECK(shortened("abcdef", 6) == "abcdef");
  CHECK(shortened("abcdefg", 6) == "abc...");
  CHECK(shortened("abcdefg", 2) == "...");
  CHECK(shortened(std::string(20'000'000, 'a'), 5) == "aa...");  // in one go
  CHECK(shortened("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6", 4) == "\xc3\xa4...");
}

TEST_CASE("a cell has at most nine columns", "[tool][text_style]") {
  CHECK(byte_cell(0) == "-");
  CHECK(byte_cell(1536) == "1.5 KiB");
  CHECK(byte_cell(1023 * 1024) == "1023 KiB");
}
