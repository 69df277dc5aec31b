#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include <gort/tests/tool/sample_report.h>
#include <gort/tools/gortstat/json_report.h>

using namespace gort;
using namespace gort::tool;
using Json = nlohmann::json;

namespace {

Json sample() { return Json::parse(json_report(gort_test::sample_report())); }

}  // namespace

TEST_CASE("the JSON report has the schema's keys", "[tool][json]") {
  const Json j = sample();
  CHECK(j["schema"] == 1);
  CHECK(j["gortstat"] == "1.2.3");
  CHECK(j["trace"] == "sample.trace");
  CHECK(j["operations"]["set"] == 40);
  CHECK(j["operations"]["deleted"] == 9);
  CHECK(j["memory_limit"].is_null());
  CHECK(j["remedies"] == Json::array());
  CHECK(j["last_map"]["number"] == 1);
  CHECK(j["last_map"]["removed"] == 9);
  CHECK(j["last_map"]["map"] == j["steps"][0]["map"]);
  REQUIRE(j["steps"].is_array());
  REQUIRE(j["steps"].size() == 2);
  for (const Json& step : j["steps"]) {
    for (const char* key : {"label", "ledger", "memstats", "map", "rss"}) CHECK(step.contains(key));
  }
}

TEST_CASE("the JSON ledger has every place, in the ledger's order, and sums to mapped",
          "[tool][json]") {
  const auto ordered = nlohmann::ordered_json::parse(json_report(gort_test::sample_report()));
  for (const auto& step : ordered["steps"]) {
    std::size_t sum = 0;
    std::size_t at = 0;
    for (const auto& [name, bytes] : step["ledger"]["places"].items()) {
      CHECK(name == place_name(all_places()[at++]));
      sum += bytes.get<std::size_t>();
    }
    CHECK(at == kPlaceCount);
    CHECK(sum == step["ledger"]["mapped"]);
  }
}

TEST_CASE("the JSON ledger has the reasons that hold bytes", "[tool][json]") {
  const Json ledger = sample()["steps"][0]["ledger"];
  CHECK(ledger["places"]["map_dead"] == 640);
  CHECK(ledger["reasons"] == Json{{"dead_cells", 512},
                                  {"array_rounding", 128},
                                  {"span_pinned", 2432},
                                  {"scavenger_goal", 16384}});
}

TEST_CASE("a JSON step says where it comes from and what was done before it", "[tool][json]") {
  const Json steps = sample()["steps"];
  CHECK(steps[0]["label"] == "filled");
  CHECK(steps[0]["line"] == 41);
  CHECK(steps[0]["added_by_tool"] == false);
  CHECK_FALSE(steps[1].contains("line"));
  CHECK(steps[1]["added_by_tool"] == true);
  CHECK(steps[1]["operations"]["del"] == 10);
  CHECK(steps[1]["collections"] == 1);
  CHECK(steps[1]["rss"] == (2 << 20) - (24 << 10));
}

TEST_CASE("memstats have Go's names", "[tool][json]") {
  const Json stats = sample()["steps"][0]["memstats"];
  CHECK(stats["HeapAlloc"] == 5760);
  CHECK(stats["NumGC"] == 3);
  for (const char* name : {"HeapInuse", "HeapIdle", "HeapReleased", "Sys", "HeapSys", "TotalAlloc",
                           "Mallocs", "Frees", "HeapObjects", "NextGC", "PauseTotalNs"}) {
    CHECK(stats.contains(name));
  }
}

TEST_CASE("a nil map is null in JSON", "[tool][json]") {
  const Json steps = sample()["steps"];
  CHECK(steps[0]["map"]["count"] == 30);
  CHECK(steps[0]["map"]["B"] == 3);
  CHECK(steps[0]["map"]["tombstones"] == 2);
  CHECK(steps[0]["map"]["dead_bytes"] == 640);
  CHECK(steps[1]["map"].is_null());
}

TEST_CASE("labels of any bytes make valid JSON", "[tool][json]") {
  Report report = gort_test::sample_report();
  report.steps[0].label = "\xff\"\\\x01";
  const Json j = Json::parse(json_report(report));
  CHECK(j["steps"][0]["label"] == "\xef\xbf\xbd\"\\\x01");
}
