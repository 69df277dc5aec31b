#pragma once

// A report made by hand, with figures small enough to check by eye: a map of two steps.

#include <gort/tools/gortstat/snapshot.h>

namespace gort_test {

inline gort::tool::Report sample_report() {
  using namespace gort;
  using namespace gort::tool;
  Report report;
  report.version = "1.2.3";
  report.trace = "sample.trace";
  report.map_type = "map[string]*object";
  report.rss_before = 1 << 20;
  report.operations.set = 40;
  report.operations.inserted = 30;
  report.operations.del = 10;
  report.operations.deleted = 9;
  report.operations.mark = 1;

  Step filled;
  filled.label = "filled";
  filled.line = 41;
  filled.since.set = 40;
  filled.since.inserted = 30;
  filled.since.mark = 1;
  filled.ledger.mapped = 64 << 10;
  filled.ledger[Place::live] = 3072;
  filled.ledger[Place::map_live] = 2048;
  filled.ledger.add(Reason::dead_cells, 512);
  filled.ledger.add(Reason::array_rounding, 128);
  filled.ledger.add(Reason::span_pinned, 2432);
  filled.ledger.add(Reason::scavenger_goal, 16 << 10);
  filled.ledger[Place::metadata] = 8 << 10;
  filled.ledger[Place::reserved] = 32 << 10;
  filled.memstats.HeapAlloc = 5760;
  filled.memstats.NumGC = 3;
  filled.map = MapStats{};
  filled.map->count = 30;
  filled.map->B = 3;
  filled.map->buckets = 8;
  filled.map->overflow_buckets = 1;
  filled.map->noverflow = 1;
  filled.map->tombstones = 2;
  filled.map->bytes = 2688;
  filled.map->dead_bytes = 640;
  filled.rss = 2 << 20;

  Step released = filled;
  released.label = "release";
  released.kind = StepKind::release;
  released.line = 0;
  released.added_by_tool = true;
  released.since = OperationCounts{};
  released.since.del = 10;
  released.since.deleted = 9;
  released.since.release = 1;
  released.collections = 1;
  released.forced_collections = 1;
  released.given_back = 16 << 10;
  released.map.reset();
  released.ledger = Ledger{};
  released.ledger.mapped = 64 << 10;
  released.ledger[Place::returned] = 24 << 10;
  released.ledger[Place::metadata] = 8 << 10;
  released.ledger[Place::reserved] = 32 << 10;
  released.memstats = {};
  released.memstats.NumGC = 4;
  released.rss = (2 << 20) - (24 << 10);

  report.steps = {filled, released};
  report.last_map = {1, 9, *filled.map};
  return report;
}

}  // namespace gort_test
