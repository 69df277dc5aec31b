// Plays what real Go's maps did (tests/golden/README.md) on ours.

#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <gort/hashmap/rules.h>
#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/exact_run.h>
#include <gort/tools/gortstat/golden_replay.h>
#include <gort/tools/gortstat/golden_trace.h>
#include <gort/tools/gortstat/input.h>

using namespace gort::tool;
using Kind = GoldenOperation::Kind;

namespace {

const std::filesystem::path kDirectory = std::filesystem::path(GORT_TEST_DATA_DIR) / "golden";

GoldenTrace golden(const std::string& path) {
  GoldenTrace trace = parse_golden_trace(path, read_text_file(path));
  check_golden_trace(trace);
  return trace;
}

std::vector<std::string> recordings() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(kDirectory)) {
    if (entry.path().extension() == ".jsonl") out.push_back(entry.path().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

// The recordings whose name begins so, played after `change`: what mismatched, and how often.
std::vector<std::string> mismatches(const std::string& name,
                                    const std::function<void(GoldenTrace&)>& change) {
  GoldenTrace trace = golden((kDirectory / name).string());
  change(trace);
  std::vector<std::string> out;
  for (const Mismatch& m : replay_golden_trace(trace).mismatches) {
    out.push_back(m.difference.what);
  }
  return out;
}

// One of that type in which a key is set.
std::string recording_of(const std::string& type) {
  for (const std::string& path : recordings()) {
    const GoldenTrace trace = golden(path);
    const bool sets = std::any_of(trace.operations.begin(), trace.operations.end(),
                                  [](const GoldenOperation& o) { return o.kind == Kind::set; });
    if (trace.type == type && sets) return path;
  }
  return {};
}

GoldenOperation& first(GoldenTrace& trace, Kind kind) {
  return *std::find_if(trace.operations.begin(), trace.operations.end(),
                       [kind](const GoldenOperation& o) { return o.kind == kind; });
}

}  // namespace

TEST_CASE("a key is spelled as the recorder spells it", "[tool][golden_trace]") {
  const auto error = [](const std::string& kind, const std::string& changed) {
    GoldenTrace trace = golden((kDirectory / kind).string());
    first(trace, Kind::set).key = changed;
    try {
      check_golden_trace(trace);
    } catch (const InputError& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  const std::string numbers = recording_of("map[int64]int64");
  CHECK(error(numbers, "7") == "no error");
  CHECK_THAT(error(numbers, "007"), Catch::EndsWith("\"007\" is no key of a map[int64]int64"));
  const std::string floats = recording_of("map[float64]int64");
  CHECK(error(floats, "3ff0000000000000") == "no error");
  CHECK_THAT(error(floats, "3FF0000000000000"),
             Catch::Contains("is no key of a map[float64]int64"));
}

TEST_CASE("maps do what real Go's maps did, byte for byte", "[tool][golden]") {
  const ExactRun run;
  std::size_t snapshots = 0;
  std::size_t doubling = 0;
  std::size_t same_size = 0;
  std::size_t same_size_after_loop = 0;
  std::size_t after_loop = 0;
  std::size_t old_copies_kept = 0;
  std::size_t nans = 0;
  std::size_t loops_over_growth = 0;
  for (const std::string& path : recordings()) {
    const GoldenTrace trace = golden(path);
    INFO(path);
    const GoldenResult result = replay_golden_trace(trace);
    for (const Mismatch& m : result.mismatches) {
      UNSCOPED_INFO(m.line << ": " << m.difference.what << ": expected " << m.difference.expected
                           << ", got " << m.difference.got);
    }
    CHECK(result.mismatches.empty());
    for (const GoldenSnapshot& snapshot : trace.snapshots) {
      const GoldenState& s = snapshot.state;
      ++snapshots;
      const bool growing = !s.old_buckets.empty();
      const bool same = (s.flags & 8) != 0;
      const bool loop = (s.flags & 3) != 0;
      doubling += growing && !same;
      same_size += growing && same;
      same_size_after_loop += growing && same && loop;
      after_loop += loop;
      old_copies_kept += growing && loop && s.nevacuate > 0 && !s.old_buckets[0][0].was.empty();
    }
    bool loop = false;
    for (const GoldenOperation& o : trace.operations) {
      nans += o.moved.size();
      if (o.kind == Kind::range) loop = true;
      if (o.kind == Kind::leave) loop = false;
      if (o.kind == Kind::snap && loop) {
        loops_over_growth += !trace.snapshots[o.snapshot].state.old_buckets.empty();
      }
    }
  }
  // What the recordings must have been made of for all this to mean something.
  CHECK(snapshots >= 300);
  CHECK(doubling >= 50);
  CHECK(same_size >= 15);
  CHECK(same_size_after_loop >= 6);
  CHECK(after_loop >= 60);
  CHECK(old_copies_kept >= 20);
  CHECK(nans >= 50);
  CHECK(loops_over_growth >= 15);
}

TEST_CASE("a replay that fails leaves the rules of maps as they were", "[tool][golden]") {
  const ExactRun run;
  GoldenTrace trace = golden(recording_of("map[int64]int64"));
  trace.go_minor = 0;
  first(trace, Kind::set).key = "007";  // whose hash the map asks for as that of 7
  CHECK_THROWS_AS(replay_golden_trace(trace), InputError);
  CHECK(gort::map_rules() == gort::GoVersion{});
}

TEST_CASE("a recording that says something else is a mismatch", "[tool][golden]") {
  using Changes = std::vector<std::string>;
  const ExactRun run;
  // Two loops with a growth between them: the first snapshot is in the middle of a growth.
  const std::string name = "ptr_ranging_60.jsonl";
  CHECK(mismatches(name, [](GoldenTrace&) {}).empty());
  CHECK(mismatches(name, [](GoldenTrace& t) { t.snapshots[0].heap_bytes += 65; }) ==
        Changes{"heap_bytes"});
  CHECK(mismatches(name, [](GoldenTrace& t) { t.snapshots[0].state.flags ^= 3; }) ==
        Changes{"flags"});
  CHECK(mismatches(name, [](GoldenTrace& t) { ++t.snapshots[0].state.extra->spares; }) ==
        Changes{"spare buckets"});
  CHECK(mismatches(name, [](GoldenTrace& t) {
          t.snapshots[0].state.old_buckets[0][0].data = "ffff";
        }) == Changes{"old bucket 0: data"});
  CHECK(mismatches(name, [](GoldenTrace& t) {
          t.snapshots[1].state.old_buckets[0][0].was = {"1"};
        }) == Changes{"old bucket 0: keys in cells not live"});
  CHECK(mismatches(name, [](GoldenTrace& t) { first(t, Kind::range).seen.pop_back(); }) ==
        Changes{"keys of the loop"});
  CHECK(mismatches(name, [](GoldenTrace& t) { first(t, Kind::next).end = true; }) ==
        Changes{"end of the loop"});
  // Another start makes another loop; the map is the same.
  const Changes other = mismatches(name, [](GoldenTrace& t) { first(t, Kind::range).offset ^= 4; });
  CHECK_FALSE(other.empty());
  CHECK(std::all_of(other.begin(), other.end(), [](const std::string& what) {
    return what == "keys of the loop" || what == "end of the loop" || what == "heap_bytes";
  }));
}
