// gortstat replay from end to end: the JSON is read back and must add up, for every shipped trace.

#include <catch2/catch.hpp>

#include <map>

#include <nlohmann/json.hpp>

#include <gort/base/ledger.h>
#include <gort/hashmap/inspect.h>
#include <gort/hashmap/tophash.h>
#include <gort/tests/tool/run_gortstat.h>

using namespace gort_test;
using Json = nlohmann::json;

namespace {

Json replay_json(const std::vector<std::string>& arguments, const RunOptions& options = {}) {
  std::vector<std::string> all = {"replay", "--format", "json"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const Outcome outcome = gortstat(all, options);
  REQUIRE(outcome.exit_code == 0);
  REQUIRE(outcome.err.empty());
  return Json::parse(outcome.out);
}

void check_sums(const Json& step) {
  INFO(step["label"]);
  const Json& ledger = step["ledger"];
  std::uint64_t sum = 0;
  for (const auto& [name, bytes] : ledger["places"].items()) sum += bytes.get<std::uint64_t>();
  CHECK(ledger["places"].size() == gort::kPlaceCount);
  CHECK(sum == ledger["mapped"].get<std::uint64_t>());
  for (const gort::ReasonInfo& any : gort::kReasons) {
    std::uint64_t by_reason = 0;
    for (const gort::ReasonInfo& reason : gort::kReasons) {
      if (reason.place != any.place) continue;
      by_reason += ledger["reasons"].value(std::string(reason.name), std::uint64_t{0});
    }
    CHECK(by_reason == ledger["places"][std::string(gort::place_name(any.place))]);
  }
  const Json& map = step["map"];
  if (map.is_null()) return;
  CHECK(map["live_bytes"].get<std::uint64_t>() + map["dead_bytes"].get<std::uint64_t>() ==
        map["bytes"].get<std::uint64_t>());
  CHECK(map["live_cells"] == map["count"]);
  CHECK(ledger["places"]["map_live"] == map["live_bytes"]);
  CHECK(ledger["places"]["map_dead"] == map["dead_bytes"]);
}

std::uint64_t place(const Json& step, const char* name) {
  return step["ledger"]["places"][name].get<std::uint64_t>();
}

// 2,000 entries, all but 100 deleted.
std::string shrunken_trace() {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "set key" + std::to_string(i) + " 64\n";
  for (int i = 100; i < 2000; ++i) text += "del key" + std::to_string(i) + "\n";
  return text + "mark deleted\n";
}

}  // namespace

TEST_CASE("every shipped trace: the places sum to mapped at each step, and the map is in them",
          "[tool][replay_program]") {
  const std::vector<std::string> traces = files_in(kTraceDirectory, ".trace");
  REQUIRE_FALSE(traces.empty());
  for (const std::string& trace : traces) {
    INFO(trace);
    const Json dump = replay_json({trace, "--remedy", "all"});
    CHECK(dump["schema"] == 1);
    REQUIRE(dump["steps"].size() >= 3);
    // With a collection between, the dropped map would have left the ledger; none runs by itself
    // between `drop` and the step after it.
    for (const Json& step : dump["steps"]) {
      if (step["map"].is_null()) continue;
      check_sums(step);
    }
    REQUIRE(dump["remedies"].size() == 5);
    for (const Json& remedy : dump["remedies"]) {
      check_sums(remedy["before"]);
      check_sums(remedy["after"]);
    }
    const Json& end = dump["steps"].back();
    CHECK(end["map"].is_null());
    CHECK(place(end, "live") + place(end, "map_live") + place(end, "map_dead") == 0);
    CHECK(place(end, "page_free") == 0);
  }
}

TEST_CASE("replay --picture gives every bucket, and they add up to the map",
          "[tool][replay_program]") {
  // The last `set` begins a growth, which stalls.
  std::string trace;
  for (int i = 0; i < 417; ++i) trace += "set key" + std::to_string(i) + "\n";
  for (int i = 0; i < 50; ++i) trace += "del key" + std::to_string(i) + "\nmark x\n";
  const auto number = [](const Json& j) { return j.get<std::uint64_t>(); };
  bool growing = false;
  const Json dump = replay_json({"-", "--picture"}, {.in = trace});
  REQUIRE(dump["steps"].size() > 50);
  for (const Json& step : dump["steps"]) {
    const Json& map = step["map"];
    if (map.is_null()) {
      CHECK_FALSE(step.contains("picture"));
      continue;
    }
    const Json& picture = step["picture"];
    growing = growing || !picture["old"].is_null();
    CHECK(picture["old"].is_null() != map["growing"].get<bool>());
    std::map<std::string, std::uint64_t> states;
    std::uint64_t live = number(picture["other_bytes"]);
    std::uint64_t dead = 0;
    for (const char* name : {"current", "old"}) {
      const Json& array = picture[name];
      if (array.is_null()) continue;
      CHECK(array["chains"].size() == array["buckets"]);
      dead += number(array["rest_bytes"]);
      for (const Json& chain : array["chains"]) {
        std::uint64_t position = 0;
        for (const Json& bucket : chain) {
          CHECK(bucket["position"] == position++);
          const std::string digits = bucket["tophash"];
          REQUIRE(digits.size() == 16);
          std::uint64_t live_cells = 0;
          for (std::size_t i = 0; i < digits.size(); i += 2) {
            const auto top =
                static_cast<std::uint8_t>(std::stoul(digits.substr(i, 2), nullptr, 16));
            ++states[std::string(gort::hashmap::cell_state_name(top))];
            live_cells += gort::hashmap::is_live(top);
          }
          const std::uint64_t cell = 1 + number(map["key_slot"]) + number(map["elem_slot"]);
          CHECK(bucket["live_bytes"] ==
                (live_cells == 0 ? 0 : number(map["bucket_size"]) - (8 - live_cells) * cell));
          CHECK(bucket.size() == 5);  // nothing that follows from these: there are many buckets
          live += number(bucket["live_bytes"]);
          dead += number(bucket["dead_bytes"]);
        }
      }
    }
    CHECK(live == number(map["live_bytes"]));
    CHECK(dead == number(map["dead_bytes"]));
    double shares = 0;
    for (const auto& [name, state] : picture["states"].items()) {
      CHECK(number(state["cells"]) == states[name]);
      shares += state["share"].get<double>();
    }
    CHECK(shares == Approx(1));
    CHECK(picture["states"]["live"]["cells"] == map["count"]);
    CHECK(picture["states"]["empty"]["cells"] == map["tombstones"]);
  }
  CHECK(growing);
}

TEST_CASE("the states before and after a remedy have a picture, too", "[tool][replay_program]") {
  const Json dump =
      replay_json({"-", "--picture", "--remedy", "all"}, {.in = "set a 64\nset b 64\ndel a\n"});
  REQUIRE(dump["remedies"].size() == 5);
  for (const Json& remedy : dump["remedies"]) {
    CHECK(remedy["before"]["picture"]["current"]["buckets"] == 1);
    CHECK(remedy["after"].contains("picture") == (remedy["remedy"] != "nil"));
  }
}

TEST_CASE("of the resident memory that a report shows, it takes little itself",
          "[tool][replay_program]") {
  std::string trace = "set a\n";
  for (int i = 0; i < 2000; ++i) trace += "mark x\n";
  const Json steps = replay_json({"-"}, {.in = trace})["steps"];
  CHECK(steps[1999]["rss"].get<std::int64_t>() - steps[0]["rss"].get<std::int64_t>() < 6 << 20);
}

TEST_CASE("replay --picture shows the buckets to people as well", "[tool][replay_program]") {
  std::string trace;
  for (int i = 0; i < 417; ++i) trace += "set key" + std::to_string(i) + "\n";
  trace += "mark full\ndel key1\nmark less\n";
  const Outcome plain = gortstat({"replay", "-"}, {.in = trace});
  const Outcome shown = gortstat({"replay", "-", "--picture"}, {.in = trace});
  CHECK(shown.exit_code == 0);
  CHECK(plain.out.find("bucket by bucket") == std::string::npos);
  CHECK(shown.out.find("The map, bucket by bucket\ncount 417  B 7") != std::string::npos);
  CHECK(shown.out.find("\nold array: 64 buckets") != std::string::npos);
  CHECK(shown.out.find("chain moved") != std::string::npos);
}

TEST_CASE("the same trace and seed give the same dump", "[tool][replay_program]") {
  const RunOptions options = {.in = shrunken_trace(), .env = {{"GOGC", "off"}}};
  const auto maps = [&](const char* seed) {
    Json out;
    const Json dump = replay_json({"-", "--seed", seed}, options);
    for (const Json& step : dump["steps"]) {
      out.push_back({step["label"], step["map"], step["ledger"]["places"]["live"]});
    }
    return out;
  };
  CHECK(maps("1") == maps("1"));
  CHECK(maps("1") != maps("2"));
}

TEST_CASE("what a trace does not do itself is added, and only that", "[tool][replay_program]") {
  const auto labels = [](const std::string& trace) {
    std::vector<std::string> out;
    const Json dump = replay_json({"-"}, {.in = trace});
    for (const Json& step : dump["steps"]) out.push_back(step["label"]);
    return out;
  };
  using Labels = std::vector<std::string>;
  CHECK(labels("set a\n") == Labels{"end of trace", "gc", "drop", "gc after drop", "release"});
  CHECK(labels("set a\ngc\nmark x\n") == Labels{"x", "drop", "gc after drop", "release"});
  CHECK(labels("set a\ndrop\nmark x\n") == Labels{"x", "gc after drop", "release"});
  CHECK(labels("set a\ndrop\ngc\nmark x\n") == Labels{"x", "release"});
  CHECK(labels("set a\ndrop\nrelease\nmark x\n") == Labels{"x"});
  CHECK(labels("mark x\n") == Labels{"x"});
}

TEST_CASE("a trace in text tells its marks and its ending", "[tool][replay_program]") {
  const Outcome outcome = gortstat({"replay", "-"}, {.in = shrunken_trace()});
  REQUIRE(outcome.exit_code == 0);
  using Catch::Contains;
  CHECK_THAT(outcome.out, Contains("3,901 operations: 2,000 sets (2,000 of new keys) and 1,900 "
                                   "deletes."));
  for (const char* heading :
       {"\n1. deleted ", "\n2. gc ", "\n3. drop ", "\n4. gc after drop ", "\n5. release "}) {
    CHECK_THAT(outcome.out, Contains(heading));
  }
  CHECK_THAT(outcome.out, Contains("The map: 100 entries in 512 buckets"));
  CHECK_THAT(outcome.out, Contains("no collection looks for empty cells"));
  CHECK_THAT(outcome.out, Contains("\nIn short\n1,900 entries were removed from the map."));
}

TEST_CASE("the answer is about the map that was dropped last, as it was then",
          "[tool][replay_program]") {
  using Catch::Contains;
  const auto answer = [](const std::string& trace) {
    std::string out = gortstat({"replay", "-"}, {.in = trace}).out;
    out.erase(0, out.find("\nIn short\n"));
    std::replace(out.begin(), out.end(), '\n', ' ');
    return out;
  };
  CHECK_THAT(answer("set a\nset b\nset c\nmark full\ndel a\ndrop\n"),
             Contains("1 entry was removed from the map. Before it was dropped, it kept ") &&
                 Contains(" for 2 entries: "));
  const std::string second = answer("set a\nset b\ndel a\nmark x\nmake 0\nset c\n");
  CHECK_THAT(second, Contains(" Before it was dropped, the last of 2 maps kept ") &&
                         Contains(" for 1 entry: ") && !Contains("removed"));
  std::string full;
  for (int i = 0; i < 8; ++i) full += "set key" + std::to_string(i) + "\n";
  CHECK_THAT(answer(full), Contains(" for 8 entries, all of it in use. "));
  CHECK(answer("gc\nmark x\n").empty());
}

TEST_CASE("a clear of an empty map and a drop of none remove nothing", "[tool][replay_program]") {
  using Catch::Contains;
  const Outcome outcome =
      gortstat({"replay", "-"}, {.in = "set a\ndel a\ngc\nmark gone\nclear\nmark x\n"
                                       "drop\ngc\ndrop\nmark y\n"});
  CHECK_THAT(outcome.out, Contains("1 clear (0 entries removed)."));
  CHECK_THAT(outcome.out, !Contains("no collection has run since"));
  CHECK_THAT(outcome.out, !Contains("only a collection can find"));
}

TEST_CASE("each remedy alone is shown after what it is measured against",
          "[tool][replay_program]") {
  const RunOptions options = {.in = shrunken_trace()};
  const auto names = [&](const char* remedy) {
    std::vector<std::string> out;
    const Json dump = replay_json({"-", "--remedy", remedy}, options);
    for (const Json& r : dump["remedies"]) out.push_back(r["remedy"]);
    return out;
  };
  using Names = std::vector<std::string>;
  CHECK(names("NONE").empty());
  CHECK(names("clear") == Names{"none", "clear"});
  CHECK(names("remake") == Names{"none", "remake"});
  CHECK(names("nil") == Names{"none", "nil"});
  CHECK(names("shrink") == Names{"none", "shrink"});
  CHECK(names("all") == Names{"none", "clear", "remake", "shrink", "nil"});
}

TEST_CASE("a trace without a map has nothing to remedy", "[tool][replay_program]") {
  const Outcome outcome = gortstat({"replay", "-", "--remedy", "nil"}, {.in = "gc\nmark x\n"});
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.err == "-: no map in this trace to remedy\n");
}

TEST_CASE("remedies stand in for the drop that ends a trace", "[tool][replay_program]") {
  const Json dump = replay_json({"-", "--remedy", "clear"},
                                {.in = "set a 64\nset b 64\nmark x\ndrop\nget a\ngc\nmark y\n"});
  CHECK(dump["remedy_line"] == 4);
  CHECK(dump["remedies"][1]["entries_before"] == 2);
  CHECK(dump["remedies"][1]["entries_after"] == 0);
}

TEST_CASE("all recordings of real maps are reproduced", "[tool][parity_program]") {
  const std::vector<std::string> golden = files_in(kGoldenDirectory, ".jsonl");
  REQUIRE(golden.size() >= 21);
  for (const std::string& path : golden) {
    const Outcome outcome = gortstat({"parity", path});
    INFO(outcome.out << outcome.err);
    CHECK(outcome.exit_code == 0);
    CHECK_THAT(outcome.out, Catch::EndsWith(" snapshots, 0 mismatches\n"));
  }
  std::vector<std::string> all = {"parity"};
  all.insert(all.end(), golden.begin(), golden.end());
  CHECK_THAT(gortstat(all).out, Catch::EndsWith(" snapshots, 0 mismatches\n"));
}

TEST_CASE("a recording that was tampered with is a mismatch and exit code 1",
          "[tool][parity_program]") {
  const ScratchDirectory scratch;
  const std::string text = contents(kGoldenDirectory + "/int64_grow_300.jsonl");
  const std::size_t at = text.find("\"count\":");
  REQUIRE(at != std::string::npos);
  const std::size_t line = static_cast<std::size_t>(
      std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n') + 1);
  const std::string path =
      scratch.file("tampered.jsonl", text.substr(0, at + 8) + "1" + text.substr(at + 8));
  const Outcome outcome = gortstat({"parity", path});
  CHECK(outcome.exit_code == 1);
  CHECK_THAT(outcome.out,
             Catch::Contains(path + ":" + std::to_string(line) + ": count: expected 1"));
  CHECK_THAT(outcome.out, Catch::EndsWith(", 1 mismatches\n"));
}

TEST_CASE("a recording cut off anywhere is bad input, never a crash", "[tool][parity_program]") {
  const ScratchDirectory scratch;
  const std::string text = contents(kGoldenDirectory + "/string_grow_200.jsonl");
  for (std::size_t i = 1; i <= 20; ++i) {
    const std::string part = text.substr(0, text.size() * i / 21);
    if (part.ends_with('\n') || text[part.size()] == '\n') continue;  // between lines
    const Outcome outcome = gortstat({"parity", scratch.file("cut.jsonl", part)});
    CHECK(outcome.exit_code == 1);
    CHECK(outcome.out.empty());
    CHECK_THAT(outcome.err, Catch::Contains("cut.jsonl:") && Catch::Contains("no JSON"));
  }
}
