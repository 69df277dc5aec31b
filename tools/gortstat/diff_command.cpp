#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include <gort/tools/gortstat/command.h>
#include <gort/tools/gortstat/diff_report.h>
#include <gort/tools/gortstat/dump.h>
#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/input.h>
#include <gort/tools/gortstat/output.h>

namespace gort::tool {
namespace {

struct DiffArguments {
  std::string a;
  std::string b;
  bool exit_code = false;
  std::string output = "-";
};

int diff(const DiffArguments& arguments) {
  if (arguments.a == "-" && arguments.b == "-") {
    throw UsageError("diff: only one of the two dumps can be standard input");
  }
  check_output_path(arguments.output, {arguments.a, arguments.b});
  const Dump a = parse_dump(arguments.a, read_text_file(arguments.a));
  const Dump b = parse_dump(arguments.b, read_text_file(arguments.b));
  const DiffReport report = diff_report(a, b, layout_for(arguments.output));
  write_result(arguments.output, report.text);
  return arguments.exit_code && report.different ? kExitDifferent : kExitOk;
}

}  // namespace

Command add_diff_command(CLI::App& main) {
  auto arguments = std::make_shared<DiffArguments>();
  CLI::App* app = main.add_subcommand("diff", "Shows what changed between two dumps");
  app->add_option("A", arguments->a, "dump: JSON of `gortstat replay`; - reads standard input")
      ->required()
      ->type_name("");
  app->add_option("B", arguments->b, "dump to compare with it")->required()->type_name("");
  add_output_option(*app, arguments->output);
  app->add_flag("--exit-code", arguments->exit_code, "exit with 3 if they differ");
  app->footer(
      "Steps are matched by their label. Shown is what differs of settings, places with their\n"
      "reasons, the map's figures and statistics; times are not compared. Exit code 0 whether\n"
      "or not there are differences, with --exit-code 3 if a step or a remedy differs; 1 if a\n"
      "file is no dump.\n"
      "\n"
      "Example:\n"
      "  gortstat replay a.trace --format json -o before.json\n"
      "  GOGC=400 gortstat replay a.trace --format json -o after.json\n"
      "  gortstat diff before.json after.json");
  return {app, [arguments] { return diff(*arguments); }};
}

}  // namespace gort::tool
