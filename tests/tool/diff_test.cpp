#include <catch2/catch.hpp>

#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

#include <gort/tests/tool/run_gortstat.h>
#include <gort/tests/tool/sample_report.h>
#include <gort/tools/gortstat/diff_report.h>
#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/json_report.h>

using namespace gort;
using namespace gort::tool;
using Catch::Contains;
using Json = nlohmann::ordered_json;

namespace {

Dump dump_of(const Report& report, const std::string& path = "x.json") {
  return parse_dump(path, json_report(report));
}

std::string diff_of(const Report& a, const Report& b) {
  return diff_report(dump_of(a, "a.json"), dump_of(b, "b.json"), {}).text;
}

// What reading a dump says after `change` was made to a good one.
template <class F>
std::string error_after(F&& change) {
  Json json = Json::parse(json_report(gort_test::sample_report()));
  change(json);
  try {
    (void)parse_dump("x.json", json.dump());
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("a dump is read back as it was written", "[tool][dump]") {
  const Report report = gort_test::sample_report();
  const Dump dump = dump_of(report);
  CHECK(dump.trace == "sample.trace");
  REQUIRE(dump.steps.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    const DumpStep& read = dump.steps[i];
    const Step& written = report.steps[i];
    CHECK(read.label == written.label);
    CHECK(read.mapped == static_cast<std::int64_t>(written.ledger.mapped));
    CHECK(read.rss == static_cast<std::int64_t>(written.rss));
    REQUIRE(read.places.size() == kPlaceCount);
    for (const Place place : all_places()) {
      const Whole* bytes = find_figure(read.places, place_name(place));
      REQUIRE(bytes != nullptr);
      CHECK(*bytes == static_cast<std::int64_t>(written.ledger[place]));
    }
    for (std::size_t r = 0; r < kReasonCount; ++r) {
      const Whole* bytes = find_figure(read.reasons, kReasons[r].name);
      REQUIRE(bytes != nullptr);
      CHECK(*bytes == static_cast<std::int64_t>(written.ledger.why[r]));
    }
  }
  CHECK(*find_figure(*dump.steps[0].map, "count") == 30);
  CHECK_FALSE(dump.steps[1].map);
  CHECK(find_figure(dump.steps[0].memstats, "GCCPUFraction") == nullptr);
}

TEST_CASE("equal dumps have no difference", "[tool][diff]") {
  const Report report = gort_test::sample_report();
  const std::string text = diff_of(report, report);
  CHECK_THAT(text, Contains("Without a difference: 1. filled and 2. release."));
  CHECK_THAT(text, Catch::EndsWith("2 steps in both, 0 changed\n"));
}

TEST_CASE("places, map and counts that differ are shown, others are not", "[tool][diff]") {
  const Report a = gort_test::sample_report();
  Report b = a;
  Step& step = b.steps[0];
  step.ledger[Place::live] += 1024;
  step.ledger[Place::reserved] -= 1024;
  step.map->tombstones = 5;
  step.memstats.NumGC = 4;
  step.memstats.HeapAlloc += 1;  // the same when rounded
  const std::string text = diff_of(a, b);
  CHECK_THAT(text,
             Contains("   live                        3.0 KiB       4.0 KiB      +1.0 KiB\n"));
  CHECK_THAT(text,
             Contains("   reserved                   32.0 KiB      31.0 KiB      -1.0 KiB\n"));
  CHECK_THAT(text,
             Contains("   mapped                     64.0 KiB      64.0 KiB          same\n"));
  CHECK_THAT(text, Contains("   map: tombstones 2 -> 5\n"));
  CHECK_THAT(text, Contains("memstats: HeapAlloc 5,760 -> 5,761, NumGC 3 -> 4\n"));
  CHECK_THAT(text, !Contains("map_live"));
  CHECK_THAT(text, Contains("Without a difference: 2. release."));
  CHECK_THAT(text, Catch::EndsWith("2 steps in both, 1 changed\n"));
}

TEST_CASE("times and resident memory alone are no difference", "[tool][diff]") {
  const Report a = gort_test::sample_report();
  Report b = a;
  b.steps[0].rss += 4096;
  b.steps[0].memstats.LastGC = 12345;
  b.steps[0].memstats.PauseTotalNs = 12345;
  b.steps[0].memstats.GCCPUFraction = 0.5;
  CHECK_THAT(diff_of(a, b), Catch::EndsWith("2 steps in both, 0 changed\n"));
}

TEST_CASE("a map that is nil in one dump is a difference", "[tool][diff]") {
  const Report a = gort_test::sample_report();
  Report b = a;
  b.steps[0].map.reset();
  CHECK_THAT(diff_of(a, b), Contains("   map: 30 entries -> nil\n"));
  CHECK_THAT(diff_of(b, a), Contains("   map: nil -> 30 entries\n"));
}

TEST_CASE("steps are matched by label, the second with the second", "[tool][diff]") {
  Report a = gort_test::sample_report();
  a.steps.push_back(a.steps[0]);  // filled, release, filled
  Report b = a;
  b.steps[2].label = "other";
  b.steps[0].ledger[Place::live] += 8;
  b.steps[0].ledger[Place::reserved] -= 8;
  const std::string text = diff_of(a, b);
  CHECK_THAT(text, Contains("1. filled  ") && Contains("+8 B"));
  CHECK_THAT(text, Contains("Only in A: 3. filled.\n"));
  CHECK_THAT(text, Contains("Only in B: 3. other.\n"));
  CHECK_THAT(text, Catch::EndsWith("2 steps in both, 1 changed\n"));
}

TEST_CASE("figures of 64 bits are kept, the largest is none, and absent is not 0",
          "[tool][dump][diff]") {
  constexpr std::uint64_t kHalf = std::uint64_t{1} << 63;
  Report a = gort_test::sample_report();
  a.steps[0].memstats.NextGC = std::numeric_limits<std::uint64_t>::max();
  a.steps[0].memstats.Mallocs = kHalf;
  Report b = a;
  b.steps[0].memstats.NextGC = std::uint64_t{4} << 20;
  b.steps[0].memstats.Mallocs = kHalf + 1;
  CHECK_THAT(diff_of(a, b), Contains("memstats: Mallocs 9,223,372,036,854,775,808 -> "
                                     "9,223,372,036,854,775,809, NextGC none -> 4.0 MiB\n"));
  const Dump dump = dump_of(a);
  const Whole* goal = find_figure(dump.steps[0].memstats, "NextGC");
  REQUIRE(goal != nullptr);
  CHECK(*goal == kNone);

  Json json = Json::parse(json_report(a));
  json["steps"][0]["memstats"].erase("NumForcedGC");  // 0
  json["steps"][0]["ledger"]["places"]["swapped"] = 0;
  const DiffReport report = diff_report(dump, parse_dump("b.json", json.dump()), {});
  CHECK_THAT(report.text, Contains("memstats: NumForcedGC 0 -> absent\n"));
  CHECK_THAT(report.text, Contains("   swapped                      absent           0 B"));
}

TEST_CASE("reasons that differ are shown below their place", "[tool][diff]") {
  const Report a = gort_test::sample_report();
  Report b = a;
  auto& why = b.steps[0].ledger.why;
  std::swap(why[static_cast<std::size_t>(Reason::scavenger_goal)],
            why[static_cast<std::size_t>(Reason::scavenger_pace)]);
  const std::string text = diff_of(a, b);
  CHECK_THAT(text, Contains("   page_free                  16.0 KiB      16.0 KiB          same\n"
                            "     scavenger_goal           16.0 KiB           0 B     -16.0 KiB\n"
                            "     scavenger_pace                0 B      16.0 KiB     +16.0 KiB\n"
                            "   mapped"));
  CHECK_THAT(text, Catch::EndsWith("2 steps in both, 1 changed\n"));
}

TEST_CASE("settings that differ are shown, and are no difference", "[tool][diff]") {
  Report a = gort_test::sample_report();
  a.seed = 7;
  Report b = a;
  b.seed = 1;
  b.gc_percent = -1;
  b.memory_limit = std::uint64_t{512} << 20;
  b.version = "1.3.0";
  b.map_type = "map[int]int";
  const DiffReport report = diff_report(dump_of(a), dump_of(b), {.width = 200});
  CHECK_THAT(report.text,
             Contains("\nSettings: gortstat 1.2.3 -> 1.3.0, map_type map[string]*object -> "
                      "map[int]int, GOGC 100 -> off, GOMEMLIMIT off -> 512MiB, seed 7 -> 1\n\n"));
  CHECK_FALSE(report.different);
  CHECK_THAT(diff_of(a, a), !Contains("Settings"));
}

TEST_CASE("remedies are compared by name", "[tool][diff]") {
  Report a = gort_test::sample_report();
  RemedyResult nil;
  nil.remedy = Remedy::nil;
  nil.before = a.steps[0];
  nil.after = a.steps[1];
  nil.cost_ns = 100;
  a.remedies = {nil};
  Report b = a;
  CHECK_THAT(diff_of(a, b), Contains("   nil: no difference; cost 100 ns -> 100 ns\n"));
  b.remedies[0].cost_ns = 2500;
  b.remedies[0].allocated = 64;
  CHECK_THAT(diff_of(a, b), Contains("   nil: allocated 0 B -> 64 B; cost 100 ns -> 2.5 us\n"));
  CHECK(diff_report(dump_of(a), dump_of(b), {}).different);
  b.remedies[0].remedy = Remedy::clear;
  b.steps[1].label = "other";
  const DiffReport report = diff_report(dump_of(a), dump_of(b), {});
  CHECK_THAT(report.text, Contains("Only in A: 2. release and remedy nil.\n"
                                   "Only in B: 2. other and remedy clear.\n"));
  CHECK(report.different);
}

TEST_CASE("what is no dump is an error that says where", "[tool][dump]") {
  const auto error = [](const std::string& text) {
    try {
      (void)parse_dump("x.json", text);
    } catch (const InputError& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  CHECK_THAT(error("{\n \"schema\": 1,\n oops"), Catch::StartsWith("x.json:3: no JSON: byte "));
  CHECK(error("[1e999]") == "x.json:1: no JSON: number overflow parsing '1e999'");
  CHECK(error("[\n1e999]") == "x.json: no JSON: number overflow parsing '1e999'");
  CHECK_THAT(error("[]"), Catch::StartsWith("x.json: no dump of gortstat"));
  CHECK_THAT(error("{\"a\":1}"), Catch::StartsWith("x.json: no dump of gortstat"));
  CHECK(error_after([](Json&) {}) == "no error");
  CHECK(error_after([](Json& j) { j["schema"] = 2; }) ==
        "x.json: schema 2: this gortstat reads schemas up to 1");
  CHECK(error_after([](Json& j) { j["steps"] = 3; }) == "x.json: steps must be an array");
  CHECK(error_after([](Json& j) { j["steps"][1] = 3; }) == "x.json: steps[1] must be an object");
  CHECK(error_after([](Json& j) { j["steps"][1].erase("rss"); }) ==
        "x.json: steps[1].rss is missing");
  CHECK(error_after([](Json& j) { j["steps"][0]["label"] = 1; }) ==
        "x.json: steps[0].label must be a string");
  CHECK(error_after([](Json& j) { j["steps"][0]["rss"] = 1.5; }) ==
        "x.json: steps[0].rss must be a whole number");
  CHECK(error_after([](Json& j) { j["steps"][0]["ledger"]["places"]["live"] = "much"; }) ==
        "x.json: steps[0].ledger.places.live must be a whole number");
  CHECK(error_after([](Json& j) {
          j["steps"][0]["ledger"]["places"]["live"] = std::int64_t{1} << 60;
        }) == "x.json: steps[0].ledger.places.live must be a number of bytes, at most 2^56");
  CHECK(error_after([](Json& j) { j["steps"][0]["map"] = "none"; }) ==
        "x.json: steps[0].map must be an object");
  CHECK(error_after([](Json& j) { j["remedies"] = Json::array({1}); }) ==
        "x.json: remedies[0] must be an object");
}

TEST_CASE("a dump whose places do not sum to mapped is refused", "[tool][dump]") {
  CHECK(error_after([](Json& j) { j["steps"][0]["ledger"]["places"]["live"] = 3073; }) ==
        "x.json: steps[0].ledger (\"filled\"): the places sum to 65,537, but mapped is 65,536");
  CHECK_THAT(error_after([](Json& j) {  // 2^64 and what is there: 64 bits hold the sum no more
               Json& places = j["steps"][0]["ledger"]["places"];
               for (int i = 0; i < 256; ++i) places[std::to_string(i)] = std::int64_t{1} << 56;
             }),
             Contains("the places sum to at least 1,152,921,504,606,846,976, but mapped is"));
}

TEST_CASE("a dump whose reasons do not sum to their place is refused", "[tool][dump]") {
  CHECK(
      error_after([](Json& j) { j["steps"][0]["ledger"]["reasons"]["dead_cells"] = 500; }) ==
      "x.json: steps[0].ledger (\"filled\"): the reasons of map_dead sum to 628, but the place is "
      "640");
  CHECK_THAT(error_after([](Json& j) { j["steps"][0]["ledger"]["reasons"].clear(); }),
             Contains("the reasons of map_dead sum to 0, but the place is 640"));
  // A reason that this gortstat does not know may belong to any place.
  const auto with_new_reason = [](std::int64_t dead_cells) {
    return error_after([&](Json& j) {
      j["steps"][0]["ledger"]["reasons"]["dead_cells"] = dead_cells;
      j["steps"][0]["ledger"]["reasons"]["tired"] = 12;
    });
  };
  CHECK(with_new_reason(500) == "no error");
  CHECK_THAT(with_new_reason(513), Contains("sum to 641"));
}

TEST_CASE("names in a dump cannot write control codes", "[tool][dump][diff]") {
  CHECK(error_after([](Json& j) { j["steps"][0]["ledger"]["places"]["\x1b[31m"] = "much"; }) ==
        "x.json: steps[0].ledger.places.?[31m must be a whole number");
  Json json = Json::parse(json_report(gort_test::sample_report()));
  const Dump plain = parse_dump("a.json", json.dump());
  json["steps"][0]["memstats"]["\x1b[31m"] = 5;
  json["gortstat"] = "\x1b[32m";
  const std::string text = diff_report(plain, parse_dump("b.json", json.dump()), {}).text;
  CHECK_THAT(text, Contains("?[31m absent -> 5 B") && !Contains("\x1b"));
  CHECK_THAT(text, Contains("Settings: gortstat 1.2.3 -> ?[32m\n"));
}

TEST_CASE("costs may be as large as numbers are", "[tool][diff]") {
  Dump dump = dump_of(gort_test::sample_report());
  dump.remedies = {{"clear", {{"cost_ns", std::numeric_limits<std::int64_t>::max()}}}};
  CHECK_THAT(diff_report(dump, dump, {}).text,
             Contains("clear: no difference; cost 9223372036.9 s"));
}

TEST_CASE("a dump may have figures this gortstat does not know", "[tool][dump]") {
  CHECK(error_after([](Json& j) {
          Json& ledger = j["steps"][0]["ledger"];
          ledger["places"]["swapped"] = 100;
          ledger["mapped"] = 65636;
          j["steps"][0]["memstats"]["Fashion"] = "new";
          j["author"] = nullptr;
        }) == "no error");
}

TEST_CASE("two dumps of the program are compared from end to end", "[tool][diff]") {
  using gort_test::gortstat;
  const gort_test::ScratchDirectory scratch;
  const std::string a = scratch / "a.json";
  const std::string b = scratch / "b.json";
  const auto write = [](const std::string& path, const std::string& trace) {
    const auto outcome = gortstat({"replay", "-", "--format", "json", "-o", path}, {.in = trace});
    REQUIRE(outcome.exit_code == 0);
  };
  write(a, "set a 64\nmark x\n");
  write(b, "set a 64\nset b 640\nmark x\nmark y\n");
  const auto outcome = gortstat({"diff", a, b});
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.err.empty());
  CHECK_THAT(outcome.out, Contains("count 1 -> 2"));
  CHECK_THAT(outcome.out, Contains("Only in B: 2. y."));
  CHECK(gortstat({"diff", "-", b}, {.in = gort_test::contents(a)}).exit_code == 0);
  CHECK(gortstat({"diff", a, b, "--exit-code"}).exit_code == 3);
  CHECK(gortstat({"diff", a, a, "--exit-code"}).exit_code == 0);
  const auto absent = gortstat({"diff", a, scratch / "absent"});
  CHECK(absent.exit_code == 1);
  CHECK_THAT(absent.err, Contains("absent: cannot open: No such file"));
}
