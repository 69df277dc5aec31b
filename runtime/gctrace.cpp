#include <gort/runtime/gctrace.h>

#include <fmt/format.h>

#include <gort/base/os.h>

namespace gort {
namespace {

// Everything is rounded down, as Go does: MiB to whole ones.
std::size_t megabytes(std::size_t bytes) { return bytes >> 20; }

}  // namespace

std::string gctrace_ms(std::int64_t ns) {
  if (ns < 1000) return "0";
  if (ns >= 10'000'000) return fmt::format("{}", ns / 1'000'000);
  std::int64_t digits = ns / 1000;
  int decimals = 3;
  std::int64_t one = 1000;  // millisecond
  for (; digits >= 100; digits /= 10, one /= 10) --decimals;
  return fmt::format("{}.{:0{}}", digits / one, digits % one, decimals);
}

std::string gctrace_line(const gc::CycleRecord& cycle, std::int64_t start_ns,
                         int gc_percent_of_cpu) {
  const std::string first = gctrace_ms(cycle.first_stop_ns);
  const std::string mark = gctrace_ms(cycle.mark_ns);
  const std::string last = gctrace_ms(cycle.last_stop_ns);
  const std::string own = gctrace_ms(cycle.mark_cpu_ns);
  const auto processors = static_cast<std::int64_t>(os::processors());
  const std::int64_t at_ms = (cycle.start_ns - start_ns) / 1'000'000;
  return fmt::format(
      "gc {} @{}.{:03}s {}%: {}+{}+{} ms clock, {}+{}/{}/{}+{} ms cpu, {}->{}->{} MB, {} MB goal, "
      "{} MB stacks, {} MB globals, {} P{}",
      cycle.number, at_ms / 1000, at_ms % 1000, gc_percent_of_cpu, first, mark, last,
      gctrace_ms(cycle.first_stop_ns * processors), gctrace_ms(cycle.assist_ns), own,
      gctrace_ms(cycle.idle_ns), gctrace_ms(cycle.last_stop_ns * processors),
      megabytes(cycle.heap_start), megabytes(cycle.heap_end), megabytes(cycle.marked),
      megabytes(cycle.goal), megabytes(cycle.stack_bytes), megabytes(cycle.root_bytes), processors,
      cycle.reason == gc::CycleReason::forced ? " (forced)" : "");
}

}  // namespace gort
