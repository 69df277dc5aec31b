#include <gort/runtime/gctrace.h>

#include <fmt/format.h>

#include <gort/base/os.h>

namespace gort {
namespace {

// Rounded down to whole MiB, as Go does.
std::size_t megabytes(std::size_t bytes) { return bytes >> 20; }

}  // namespace

std::string gctrace_ms(std::int64_t ns) {
  if (ns < 1000) return "0";
  const double ms = static_cast<double>(ns) / 1e6;
  if (ms >= 10) return fmt::format("{}", static_cast<std::int64_t>(ms));
  // Two significant digits, at most three decimals, as below 1 us nothing is shown.
  int decimals = 1;
  for (double unit = 1; ms < unit && decimals < 3; unit /= 10) ++decimals;
  return fmt::format("{:.{}f}", ms, decimals);
}

std::string gctrace_line(const gc::CycleRecord& cycle, std::int64_t start_ns,
                         int gc_percent_of_cpu) {
  const std::string first = gctrace_ms(cycle.first_stop_ns);
  const std::string mark = gctrace_ms(cycle.mark_ns);
  const std::string last = gctrace_ms(cycle.last_stop_ns);
  const std::string own = gctrace_ms(cycle.mark_cpu_ns);
  const auto processors = static_cast<std::int64_t>(os::processors());
  const double at = static_cast<double>(cycle.start_ns - start_ns) / 1e9;
  return fmt::format(
      "gc {} @{:.3f}s {}%: {}+{}+{} ms clock, {}+{}/{}/{}+{} ms cpu, {}->{}->{} MB, {} MB goal, "
      "{} MB stacks, 0 MB globals, {} P{}",
      cycle.number, at, gc_percent_of_cpu, first, mark, last,
      gctrace_ms(cycle.first_stop_ns * processors), gctrace_ms(cycle.assist_ns), own,
      gctrace_ms(cycle.idle_ns), gctrace_ms(cycle.last_stop_ns * processors),
      megabytes(cycle.heap_start), megabytes(cycle.heap_end), megabytes(cycle.marked),
      megabytes(cycle.goal), megabytes(cycle.stack_bytes), processors,
      cycle.reason == gc::CycleReason::forced ? " (forced)" : "");
}

}  // namespace gort
