#include <gort/tools/gortstat/map_replay.h>

#include <gort/base/os.h>
#include <gort/tools/gortstat/exact_run.h>
#include <gort/tools/gortstat/map_player.h>
#include <gort/tools/gortstat/progress.h>

namespace gort::tool {
namespace {

void play_trace(const MapTrace& trace, MapPlayer& player, Report& report) {
  Progress progress("replaying", trace.operations.size());
  for (std::size_t i = 0; i < trace.operations.size(); ++i) {
    progress.update(i);
    const TraceOperation& operation = trace.operations[i];
    player.play(operation);
    if (operation.kind == TraceOperation::Kind::mark) {
      report.steps.push_back(player.take_step(StepKind::mark, operation.text, operation.line));
    }
  }
}

void play_ending(MapPlayer& player, Report& report) {
  const auto take_step = [&](StepKind kind, std::string_view label) {
    report.steps.push_back(player.take_step(kind, label));
  };
  if (report.steps.empty() || player.anything_new()) {
    take_step(StepKind::end_of_trace, "end of trace");
  }
  if (player.has_map()) {
    if (!player.collected()) {
      player.gc();
      take_step(StepKind::collect, "gc");
    }
    player.play({.kind = TraceOperation::Kind::drop});
    take_step(StepKind::drop, "drop");
  }
  if (!player.collected()) {
    player.gc();
    take_step(StepKind::collect, "gc after drop");
  }
  if (!player.released()) {
    player.release();
    take_step(StepKind::release, "release");
  }
}

}  // namespace

Report replay_map_trace(const MapTrace& trace, std::uint64_t seed, bool pictures) {
  Report report;
  report.version = GORT_VERSION;
  report.trace = trace.path;
  report.map_type = kMapType;
  report.rss_before = os::resident_bytes();
  report.seed = seed;
  const ExactRun run(seed);
  report.gc_percent = run.options().gc_percent;
  if (run.options().memory_limit != kNoMemoryLimit) {
    report.memory_limit = run.options().memory_limit;
  }
  MapPlayer player(trace.path);
  if (pictures) player.take_pictures();
  play_trace(trace, player, report);
  report.operations = player.counts();
  play_ending(player, report);
  report.last_map = player.last_map();
  return report;
}

}  // namespace gort::tool
