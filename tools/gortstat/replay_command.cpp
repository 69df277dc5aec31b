#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include <gort/tools/gortstat/command.h>
#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/input.h>
#include <gort/tools/gortstat/json_report.h>
#include <gort/tools/gortstat/map_replay.h>
#include <gort/tools/gortstat/map_trace.h>
#include <gort/tools/gortstat/output.h>
#include <gort/tools/gortstat/text_report.h>

namespace gort::tool {
namespace {

struct ReplayArguments {
  std::string trace;
  std::string format = "text";
  std::string output;
};

int replay(const ReplayArguments& arguments) {
  const bool to_file = !arguments.output.empty();
  if (to_file) check_output_path(arguments.output, arguments.trace);

  MapTrace trace;
  parse_map_trace(arguments.trace, read_text_file(arguments.trace), trace);
  const Report report = replay_map_trace(trace);

  const std::string text = arguments.format == "json"
                               ? json_report(report)
                               : text_report(report, !to_file && stdout_wants_colour());
  if (to_file) {
    write_file(arguments.output, text);
  } else {
    write_stdout(text);
  }
  return kExitOk;
}

}  // namespace

Command add_replay_command(CLI::App& main) {
  auto arguments = std::make_shared<ReplayArguments>();
  CLI::App* app =
      main.add_subcommand("replay", "Replays a map trace and shows the journey of what it deletes");
  app->add_option("TRACE", arguments->trace, "map trace; - reads standard input")->required();
  app->add_option("--format", arguments->format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  app->add_option("-o,--output", arguments->output, "write to FILE instead of standard output")
      ->type_name("FILE")
      ->check([](const std::string& path) {
        return path.empty() ? std::string("the file name is empty") : std::string();
      });
  app->footer(
      "At each `mark` of the trace the ledger is taken: where every byte of the heap is, and why "
      "it\n"
      "is still there. If the trace does not end with drop, gc and release, gortstat adds these\n"
      "steps, so that the way back to the operating system is always complete.\n"
      "\n"
      "A trace has one operation a line: make HINT, set KEY [BYTES], del KEY, get KEY, clear, "
      "drop,\n"
      "gc, release, mark LABEL. # starts a comment. See docs/formats.md.\n"
      "\n"
      "Examples:\n"
      "  gortstat replay examples/traces/git-history-mps.trace\n"
      "  gortstat replay program.trace --format json -o program.json\n"
      "  printf 'set a 64\\ndel a\\nmark deleted\\n' | gortstat replay -");
  return {app, [arguments] { return replay(*arguments); }};
}

}  // namespace gort::tool
