#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <gort/tools/gortstat/command.h>
#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/exact_run.h>
#include <gort/tools/gortstat/golden_replay.h>
#include <gort/tools/gortstat/golden_trace.h>
#include <gort/tools/gortstat/input.h>
#include <gort/tools/gortstat/output.h>
#include <gort/tools/gortstat/text.h>

namespace gort::tool {
namespace {

struct ParityArguments {
  std::vector<std::string> paths;
  std::string output = "-";
};

// A broken map differs in every bucket: this many lines of one file are enough to see how.
constexpr std::size_t kShownMismatches = 20;

std::string result_text(std::size_t snapshots, std::size_t mismatches) {
  return fmt::format("{} snapshots, {} mismatches", snapshots, mismatches);
}

void add_file(std::string& out, const GoldenTrace& trace, const GoldenResult& result) {
  const std::vector<Mismatch>& mismatches = result.mismatches;
  const std::string path = printable(trace.path);
  out += fmt::format("{}: {} of go{}.{}: {}\n", path, printable(trace.type), trace.go_major,
                     trace.go_minor, result_text(trace.snapshots.size(), mismatches.size()));
  if (result.with_process_bytes > 0) {
    out += fmt::format(
        "{}: in {} of them heap_bytes has 96, 1,856 or 1,952 bytes of Go's own process in it\n",
        path, result.with_process_bytes);
  }
  for (std::size_t i = 0; i < std::min(mismatches.size(), kShownMismatches); ++i) {
    const Mismatch& m = mismatches[i];
    out += fmt::format("{}:{}: {}: expected {}, got {}\n", path, m.line, m.difference.what,
                       m.difference.expected, m.difference.got);
  }
  if (mismatches.size() > kShownMismatches) {
    out += fmt::format("{}: and {} more\n", path, mismatches.size() - kShownMismatches);
  }
}

int parity(const ParityArguments& arguments) {
  const std::vector<std::string>& paths = arguments.paths;
  if (std::count(paths.begin(), paths.end(), kStandardStream) > 1) {
    throw UsageError("parity: only one of the traces can be standard input");
  }
  check_output_path(arguments.output, paths);
  // All files are read before any is played: bad input leaves no half report.
  std::vector<GoldenTrace> traces;
  for (const std::string& path : paths) {
    traces.push_back(parse_golden_trace(path, read_text_file(path)));
    check_golden_trace(traces.back());
  }
  const ExactRun run;
  std::string out;
  std::size_t snapshots = 0;
  std::size_t total = 0;
  for (const GoldenTrace& trace : traces) {
    const GoldenResult result = replay_golden_trace(trace);
    add_file(out, trace, result);
    snapshots += trace.snapshots.size();
    total += result.mismatches.size();
  }
  out += result_text(snapshots, total) + '\n';
  write_result(arguments.output, out);
  return total == 0 ? kExitOk : kExitFailure;
}

}  // namespace

Command add_parity_command(CLI::App& main) {
  auto arguments = std::make_shared<ParityArguments>();
  CLI::App* app =
      main.add_subcommand("parity", "Compares our map with recordings of real Go's maps");
  app->add_option("GOLDEN", arguments->paths, "golden traces; - reads standard input")
      ->required()
      ->type_name("");
  add_output_option(*app, arguments->output);
  app->footer(
      "Each recording has the hash that Go computed for every key. Played with these hashes,\n"
      "our map must have at every snapshot the same header, the same tophash bytes and keys in\n"
      "every bucket, and the same size on the heap (within 64 bytes). Exit code 1 on any\n"
      "difference.\n"
      "\n"
      "Example:\n"
      "  gortstat parity tests/golden/*.jsonl");
  return {app, [arguments] { return parity(*arguments); }};
}

}  // namespace gort::tool
