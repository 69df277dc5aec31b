// What remedies do to real bytes of a real heap.

#include <catch2/catch.hpp>

#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/map_replay.h>
#include <gort/tools/gortstat/remedy_replay.h>

using namespace gort;
using namespace gort::tool;

namespace {

constexpr int kEntries = 4000;
constexpr int kKept = 100;
constexpr std::size_t kValue = 64;

// kEntries entries, all but kKept of them deleted.
std::string shrunken() {
  std::string text;
  for (int i = 0; i < kEntries; ++i) {
    text += "set key" + std::to_string(i) + " " + std::to_string(kValue) + "\n";
  }
  for (int i = kKept; i < kEntries; ++i) text += "del key" + std::to_string(i) + "\n";
  return text;
}

Report remedies_of(const std::string& text, const std::vector<Remedy>& wanted) {
  MapTrace trace;
  parse_map_trace("t.trace", text, trace);
  Report report;
  report.seed = 1;
  replay_remedies(trace, wanted, report);
  return report;
}

std::int64_t in_objects(const Ledger& ledger) {
  return static_cast<std::int64_t>(ledger[Place::live] + ledger[Place::map_live] +
                                   ledger[Place::map_dead]);
}

// What every remedy keeps to: the bytes it frees are somewhere else in the ledger.
void check_identity(const RemedyResult& r) {
  const BroughtBack back = brought_back(r.before.ledger, r.after.ledger);
  const auto gained = [&](Place place) {
    return static_cast<std::int64_t>(r.after.ledger[place]) -
           static_cast<std::int64_t>(r.before.ledger[place]);
  };
  CHECK(back.freed == in_objects(r.before.ledger) - in_objects(r.after.ledger));
  const std::int64_t mapped = static_cast<std::int64_t>(r.after.ledger.mapped) -
                              static_cast<std::int64_t>(r.before.ledger.mapped);
  CHECK(back.freed == back.returned + back.free + back.awaiting + gained(Place::span_waste) +
                          gained(Place::metadata) + gained(Place::reserved) - mapped);
}

}  // namespace

TEST_CASE("a collection alone frees deleted values, and nothing of the map", "[tool][remedy]") {
  const Report report = remedies_of(shrunken(), {Remedy::none});
  REQUIRE(report.remedies.size() == 1);
  const RemedyResult& none = report.remedies[0];
  check_identity(none);
  REQUIRE(none.before.map);
  REQUIRE(none.after.map);
  CHECK(none.after.map->count == kKept);
  CHECK(none.after.map->bytes == none.before.map->bytes);
  CHECK(none.after.map->dead_bytes == none.before.map->dead_bytes);
  // Each value object and its key string: 64 bytes and at least 4.
  CHECK(brought_back(none.before.ledger, none.after.ledger).freed >=
        std::int64_t{kEntries - kKept} * static_cast<std::int64_t>(kValue));
  CHECK(none.after.ledger[Place::page_free] == 0);
  CHECK(none.cost_ns == 0);
  CHECK(none.allocated == 0);
}

TEST_CASE("clear frees the entries and keeps the buckets", "[tool][remedy]") {
  const Report report = remedies_of(shrunken(), {Remedy::clear});
  const RemedyResult& clear = report.remedies[0];
  check_identity(clear);
  REQUIRE(clear.after.map);
  CHECK(clear.before.map->count == kKept);
  CHECK(clear.after.map->count == 0);
  CHECK(clear.after.map->buckets == clear.before.map->buckets);
  CHECK(clear.after.map->dead_bytes >= clear.after.map->buckets * clear.after.map->bucket_size);
  CHECK(clear.after.ledger[Place::live] == 0);
  CHECK(clear.before.ledger[Place::live] >= kKept * kValue);
}

TEST_CASE("remake keeps the entries in a map as small as a new one", "[tool][remedy]") {
  const Report report = remedies_of(shrunken(), {Remedy::remake});
  const RemedyResult& remake = report.remedies[0];
  check_identity(remake);
  REQUIRE(remake.after.map);
  CHECK(remake.after.map->count == kKept);
  CHECK(remake.after.ledger[Place::live] == remake.before.ledger[Place::live]);

  // make(100) gives 16 buckets: 100 entries at 6.5 a bucket.
  CHECK(remake.after.map->buckets == 16);
  CHECK(remake.before.map->buckets == 1024);
  CHECK(remake.allocated >= 16 * remake.after.map->bucket_size);
  CHECK(remake.allocated < remake.before.map->bytes / 8);
  CHECK(brought_back(remake.before.ledger, remake.after.ledger).freed ==
        static_cast<std::int64_t>(remake.before.map->bytes - remake.after.map->bytes));
  CHECK(remake.cost_ns > 0);
}

TEST_CASE("shrink keeps the entries in the smallest array", "[tool][remedy]") {
  const Report report = remedies_of(shrunken(), {Remedy::shrink});
  const RemedyResult& shrink = report.remedies[0];
  check_identity(shrink);
  REQUIRE(shrink.after.map);
  CHECK(shrink.after.map->count == kKept);
  CHECK(shrink.after.map->buckets == 16);
  CHECK(shrink.after.map->tombstones == 0);
  CHECK(shrink.after.ledger[Place::live] == shrink.before.ledger[Place::live]);
  CHECK(brought_back(shrink.before.ledger, shrink.after.ledger).freed ==
        static_cast<std::int64_t>(shrink.before.map->bytes - shrink.after.map->bytes));
}

TEST_CASE("a map that is as small as its entries allow has nothing to shrink", "[tool][remedy]") {
  const Report report = remedies_of("set a 64\nset b 64\n", {Remedy::shrink});
  const RemedyResult& shrink = report.remedies[0];
  CHECK(shrink.after.map->bytes == shrink.before.map->bytes);
  CHECK(shrink.allocated == 0);
}

TEST_CASE("a remade or shrunken map has every entry, with key and value", "[tool][remedy]") {
  // If the copies lost a key or a value, the collection would free it and the gets would miss.
  MapTrace trace;
  parse_map_trace("t.trace", shrunken() + "gc\nmark x\n", trace);
  Report remade;
  remade.seed = 3;
  replay_remedies(trace, {Remedy::none, Remedy::remake, Remedy::shrink}, remade);
  for (const std::size_t i : {1U, 2U}) {
    CHECK(remade.remedies[i].after.ledger[Place::live] ==
          remade.remedies[0].after.ledger[Place::live]);
  }
}

TEST_CASE("nil frees the map and everything in it", "[tool][remedy]") {
  const Report report = remedies_of(shrunken(), {Remedy::nil});
  const RemedyResult& nil = report.remedies[0];
  check_identity(nil);
  CHECK_FALSE(nil.after.map);
  CHECK(in_objects(nil.after.ledger) == 0);
  CHECK(brought_back(nil.before.ledger, nil.after.ledger).freed == in_objects(nil.before.ledger));
  CHECK(nil.after.ledger[Place::span_free] + nil.after.ledger[Place::page_free] == 0);
}

TEST_CASE("each remedy begins from the same map", "[tool][remedy]") {
  const Report report = remedies_of(
      shrunken(), {Remedy::none, Remedy::clear, Remedy::remake, Remedy::shrink, Remedy::nil});
  CHECK(report.remedy_line == 0);
  REQUIRE(report.remedies.size() == 5);
  const RemedyResult& none = report.remedies[0];
  for (std::size_t i = 1; i < 5; ++i) {
    const Step& before = report.remedies[i].before;
    CHECK(before.map->bytes == none.after.map->bytes);
    CHECK(before.ledger[Place::live] == none.after.ledger[Place::live]);
    CHECK(before.ledger[Place::map_dead] == none.after.ledger[Place::map_dead]);
    CHECK(before.ledger[Place::page_free] == 0);
  }
}

TEST_CASE("where a remedy stands in for the last drop", "[tool][remedy]") {
  const auto line = [](const std::string& text) {
    return remedies_of(text, {Remedy::none}).remedy_line;
  };
  CHECK(line("set a\n") == 0);
  CHECK(line("set a\ndrop\n") == 2);
  CHECK(line("set a\ndrop\ngc\ndrop\nmark x\n") == 2);
  CHECK(line("set a\ndrop\nmake 0\nset b\n") == 0);
  CHECK(line("set a\ndrop\nmake 0\nset b\ndrop\n") == 5);
  CHECK_THROWS_AS(line("drop\n"), InputError);
  CHECK_THROWS_AS(line("mark x\n"), InputError);
}

TEST_CASE("the remedies of a map that was replaced are those of its last one", "[tool][remedy]") {
  const Report report = remedies_of("set a 64\nset b 64\nmake 0\nset c 64\n", {Remedy::nil});
  CHECK(report.remedies[0].before.map->count == 1);
}
