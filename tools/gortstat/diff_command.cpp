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
};

int diff(const DiffArguments& arguments) {
  if (arguments.a == "-" && arguments.b == "-") {
    throw UsageError("diff: only one of the two dumps can be standard input");
  }
  const Dump a = parse_dump(arguments.a, read_text_file(arguments.a));
  const Dump b = parse_dump(arguments.b, read_text_file(arguments.b));
  write_stdout(diff_report(a, b, stdout_layout()));
  return kExitOk;
}

}  // namespace

Command add_diff_command(CLI::App& main) {
  auto arguments = std::make_shared<DiffArguments>();
  CLI::App* app = main.add_subcommand("diff", "Shows what changed between two dumps");
  app->add_option("A", arguments->a, "dump: JSON of `gortstat replay`; - reads standard input")
      ->required()
      ->type_name("");
  app->add_option("B", arguments->b, "dump to compare with it")->required()->type_name("");
  app->footer(
      "Steps are matched by their label. Shown are the places, the map's figures and the\n"
      "statistics that differ; times are not compared. Exit code 0 whether or not there are\n"
      "differences, 1 if a file is no dump.\n"
      "\n"
      "Example:\n"
      "  gortstat replay a.trace --format json -o before.json\n"
      "  GOGC=400 gortstat replay a.trace --format json -o after.json\n"
      "  gortstat diff before.json after.json");
  return {app, [arguments] { return diff(*arguments); }};
}

}  // namespace gort::tool
