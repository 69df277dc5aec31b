#include <gort/tools/gortstat/remedy_replay.h>

#include <new>

#include <fmt/format.h>

#include <gort/base/clock.h>
#include <gort/runtime/mem_stats.h>
#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/exact_run.h>
#include <gort/tools/gortstat/map_player.h>
#include <gort/tools/gortstat/progress.h>

namespace gort::tool {
namespace {

using Kind = TraceOperation::Kind;

// Number of operations before the remedy: all, or those before the drop after which no map is made.
std::size_t operations_before_remedy(const MapTrace& trace) {
  std::size_t count = trace.operations.size();
  for (std::size_t i = trace.operations.size(); i-- > 0;) {
    if (trace.operations[i].kind == Kind::make) break;
    if (trace.operations[i].kind == Kind::drop) count = i;
  }
  return count;
}

template <class F>
std::int64_t nanoseconds(F&& f) {
  const std::int64_t before = now_ns();
  f();
  return now_ns() - before;
}

void apply(Remedy remedy, MapPlayer& player) {
  switch (remedy) {
    case Remedy::none:
      break;
    case Remedy::clear:
      player.clear();
      break;
    case Remedy::remake:
      player.remake();
      break;
    case Remedy::shrink:
      player.shrink();
      break;
    case Remedy::nil:
      player.drop();
      break;
  }
}

RemedyResult replay_remedy(const MapTrace& trace, std::size_t operations, Remedy remedy,
                           std::uint64_t seed, bool pictures) {
  const ExactRun run(seed);
  MapPlayer player(trace.path);
  if (pictures) player.take_pictures();
  {
    Progress progress(fmt::format("replaying for remedy {}:", remedy_name(remedy)), operations);
    for (std::size_t i = 0; i < operations; ++i) {
      progress.update(i);
      player.play(trace.operations[i]);
    }
  }
  if (!player.has_map()) throw InputError(trace.path, 0, "no map in this trace to remedy");
  if (remedy != Remedy::none) {
    player.gc();
    player.release();
  }
  RemedyResult result;
  result.remedy = remedy;
  result.before = player.take_step(StepKind::end_of_trace, "before");
  const std::uint64_t allocated = mem_stats().TotalAlloc;
  try {
    result.cost_ns = nanoseconds([&] { apply(remedy, player); });
  } catch (const std::bad_alloc&) {
    throw Failure(fmt::format("remedy {}: out of memory", remedy_name(remedy)));
  }
  result.allocated = mem_stats().TotalAlloc - allocated;
  if (remedy == Remedy::none) result.cost_ns = 0;
  result.collect_ns = nanoseconds([&] { player.gc(); });
  result.release_ns = nanoseconds([&] { player.release(); });
  result.after = player.take_step(StepKind::release, "after");
  return result;
}

}  // namespace

void replay_remedies(const MapTrace& trace, const std::vector<Remedy>& wanted, Report& report,
                     bool pictures) {
  const std::size_t operations = operations_before_remedy(trace);
  report.remedy_line = operations < trace.operations.size() ? trace.operations[operations].line : 0;
  for (const Remedy remedy : wanted) {
    report.remedies.push_back(replay_remedy(trace, operations, remedy, report.seed, pictures));
  }
}

}  // namespace gort::tool
