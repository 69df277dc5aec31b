#include <gort/tools/gortstat/json_report.h>

#include <array>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <gort/hashmap/tophash.h>

namespace gort::tool {
namespace {

// Keys stay in the order they are written: a reader of the file meets them as in docs/formats.md.
using Json = nlohmann::ordered_json;

Json operations_json(const OperationCounts& counts) {
#define GORT_OPERATION_COUNT(name) {#name, counts.name},
  return {GORT_OPERATION_COUNTS(GORT_OPERATION_COUNT)};
#undef GORT_OPERATION_COUNT
}

Json ledger_json(const Ledger& ledger) {
  Json places = Json::object();
  for (const Place place : all_places()) places[std::string(place_name(place))] = ledger[place];
  Json reasons = Json::object();
  for (std::size_t i = 0; i < kReasonCount; ++i) {
    if (ledger.why[i] > 0) reasons[std::string(kReasons[i].name)] = ledger.why[i];
  }
  return {
      {"mapped", ledger.mapped}, {"places", std::move(places)}, {"reasons", std::move(reasons)}};
}

Json memstats_json(const StepMemStats& m) {
#define GORT_STEP_MEMSTAT(name) {#name, m.name},
  return {GORT_STEP_MEMSTATS(GORT_STEP_MEMSTAT)};
#undef GORT_STEP_MEMSTAT
}

Json map_json(const MapStats& map) {
#define GORT_MAP_FIELD(name) \
  { #name, map.name }
  return {GORT_MAP_FIELD(count),
          GORT_MAP_FIELD(B),
          GORT_MAP_FIELD(flags),
          GORT_MAP_FIELD(noverflow),
          GORT_MAP_FIELD(nevacuate),
          GORT_MAP_FIELD(growing),
          GORT_MAP_FIELD(same_size_growth),
          GORT_MAP_FIELD(buckets),
          GORT_MAP_FIELD(old_buckets),
          GORT_MAP_FIELD(overflow_buckets),
          GORT_MAP_FIELD(empty_overflow_buckets),
          GORT_MAP_FIELD(old_overflow_buckets),
          GORT_MAP_FIELD(spare_overflow_buckets),
          GORT_MAP_FIELD(longest_chain),
          GORT_MAP_FIELD(live_cells),
          GORT_MAP_FIELD(tombstones),
          GORT_MAP_FIELD(empty_cells),
          GORT_MAP_FIELD(moved_cells),
          GORT_MAP_FIELD(bytes),
          GORT_MAP_FIELD(live_bytes),
          GORT_MAP_FIELD(dead_bytes),
          GORT_MAP_FIELD(bucket_size),
          GORT_MAP_FIELD(key_slot),
          GORT_MAP_FIELD(elem_slot)};
#undef GORT_MAP_FIELD
}

// Cells by state, over some buckets.
using StateCounts = std::map<std::string_view, std::size_t>;

Json bucket_json(const BucketPicture& bucket, StateCounts& counts) {
  for (const std::uint8_t top : bucket.tophash) ++counts[hashmap::cell_state_name(top)];
  return {{"position", bucket.position},
          {"in_array", bucket.in_array},
          {"tophash", fmt::format("{:02x}", fmt::join(bucket.tophash, ""))},
          {"live_bytes", bucket.live_bytes},
          {"dead_bytes", bucket.dead_bytes}};
}

Json array_json(const ArrayPicture& array, StateCounts& counts) {
  Json chains = Json::array();
  for (const BucketPicture& bucket : array.all) {
    if (bucket.position == 0) chains.push_back(Json::array());
    chains.back().push_back(bucket_json(bucket, counts));
  }
  return {{"buckets", array.buckets},
          {"spare_buckets", array.spare_buckets},
          {"bytes", array.bytes},
          {"rest_bytes", array.rest_bytes},
          {"chains", std::move(chains)}};
}

Json picture_json(const MapPicture& picture) {
  StateCounts counts;
  Json current = array_json(picture.current, counts);
  Json old = picture.old.bytes == 0 ? Json(nullptr) : array_json(picture.old, counts);
  std::size_t cells = 0;
  for (const auto& [state, count] : counts) cells += count;
  Json states = Json::object();
  for (std::uint8_t top = 0; top <= hashmap::kMinTop; ++top) {
    const std::string_view state = hashmap::cell_state_name(top);
    const std::size_t count = counts[state];
    const double share = cells == 0 ? 0 : static_cast<double>(count) / static_cast<double>(cells);
    states[std::string(state)] = {{"cells", count}, {"share", share}};
  }
  return {{"states", std::move(states)},
          {"other_bytes", picture.other_bytes},
          {"current", std::move(current)},
          {"old", std::move(old)}};
}

Json step_json(const Step& step) {
  Json out = {{"label", step.label}};
  if (step.line != 0) out["line"] = step.line;
  out["added_by_tool"] = step.added_by_tool;
  out["operations"] = operations_json(step.since);
  out["collections"] = step.collections;
  out["forced_collections"] = step.forced_collections;
  out["given_back"] = step.given_back;
  out["ledger"] = ledger_json(step.ledger);
  out["memstats"] = memstats_json(step.memstats);
  out["map"] = step.map ? map_json(*step.map) : Json(nullptr);
  if (step.picture) out["picture"] = picture_json(*step.picture);
  out["rss"] = step.rss;
  return out;
}

Json last_map_json(const std::optional<LastMap>& last) {
  if (!last) return nullptr;
  return {{"number", last->number}, {"removed", last->removed}, {"map", map_json(last->stats)}};
}

Json remedy_json(const RemedyResult& result) {
  const BroughtBack back = brought_back(result.before.ledger, result.after.ledger);
  return {{"remedy", remedy_name(result.remedy)},
          {"entries_before", result.before.map ? result.before.map->count : 0},
          {"entries_after", result.after.map ? result.after.map->count : 0},
          {"freed", back.freed},
          {"returned", back.returned},
          {"free", back.free},
          {"awaiting", back.awaiting},
          {"allocated", result.allocated},
          {"cost_ns", result.cost_ns},
          {"collect_ns", result.collect_ns},
          {"release_ns", result.release_ns},
          {"before", step_json(result.before)},
          {"after", step_json(result.after)}};
}

}  // namespace

std::string json_report(const Report& report) {
  Json steps = Json::array();
  for (const Step& step : report.steps) steps.push_back(step_json(step));
  Json remedies = Json::array();
  for (const RemedyResult& result : report.remedies) remedies.push_back(remedy_json(result));
  Json out = {{"schema", kSchema},
              {"gortstat", report.version},
              {"trace", report.trace},
              {"map_type", report.map_type},
              {"gc_percent", report.gc_percent},
              {"memory_limit", report.memory_limit ? Json(*report.memory_limit) : Json(nullptr)},
              {"seed", report.seed},
              {"operations", operations_json(report.operations)},
              {"rss_before", report.rss_before},
              {"steps", std::move(steps)},
              {"last_map", last_map_json(report.last_map)},
              {"remedies", std::move(remedies)}};
  if (report.remedy_line != 0) out["remedy_line"] = report.remedy_line;
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace gort::tool
