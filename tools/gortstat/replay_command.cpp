#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <gort/tools/gortstat/command.h>
#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/input.h>
#include <gort/tools/gortstat/json_report.h>
#include <gort/tools/gortstat/map_replay.h>
#include <gort/tools/gortstat/map_trace.h>
#include <gort/tools/gortstat/output.h>
#include <gort/tools/gortstat/remedy_replay.h>
#include <gort/tools/gortstat/text_report.h>

namespace gort::tool {
namespace {

struct ReplayArguments {
  std::string trace;
  std::string remedy = "none";
  std::string marks = "auto";
  std::string format = "text";
  bool picture = false;
  std::uint64_t seed = 1;
  std::string output = "-";
};

constexpr std::array kRemedies = {Remedy::clear, Remedy::remake, Remedy::shrink, Remedy::nil};

// None of them, or those asked for after what they are measured against.
std::vector<Remedy> remedies_of(const std::string& name) {
  if (name == "none") return {};
  std::vector<Remedy> out = {Remedy::none};
  for (const Remedy remedy : kRemedies) {
    if (name == "all" || name == remedy_name(remedy)) out.push_back(remedy);
  }
  return out;
}

Marks marks_of(const std::string& name) {
  if (name == "all") return Marks::all;
  if (name == "last") return Marks::last;
  return name == "none" ? Marks::none : Marks::automatic;
}

int replay(const ReplayArguments& arguments) {
  const std::vector<Remedy> remedies = remedies_of(arguments.remedy);
  check_output_path(arguments.output, {arguments.trace});

  MapTrace trace;
  parse_map_trace(arguments.trace, read_text_file(arguments.trace), trace);
  Report report = replay_map_trace(trace, arguments.seed, arguments.picture);
  if (!remedies.empty()) replay_remedies(trace, remedies, report, arguments.picture);

  write_result(arguments.output,
               arguments.format == "json"
                   ? json_report(report)
                   : text_report(report, marks_of(arguments.marks), layout_for(arguments.output)));
  return kExitOk;
}

}  // namespace

Command add_replay_command(CLI::App& main) {
  auto arguments = std::make_shared<ReplayArguments>();
  CLI::App* app = main.add_subcommand("replay", "Shows the journey of what a map trace deletes");
  app->add_option("TRACE", arguments->trace, "map trace; - reads standard input")
      ->required()
      ->type_name("");
  const auto choice = [app](const char* name, std::string& value, const char* what,
                            std::vector<std::string> choices) {
    std::string names;
    for (const std::string& c : choices) names += (names.empty() ? "" : "|") + c;
    return app->add_option(name, value, what)
        ->transform(CLI::IsMember(std::move(choices), CLI::ignore_case).description(""))
        ->type_name(names)
        ->capture_default_str();
  };
  choice("--remedy", arguments->remedy, "also show what would bring the memory back, at what cost",
         {"none", "clear", "remake", "nil", "shrink", "all"});
  const CLI::Option* marks =
      choice("--marks", arguments->marks, "marks that text tells in full; auto: all, if at most 6",
             {"all", "last", "none", "auto"});
  choice("--format", arguments->format, "for people, or with every figure", {"text", "json"});
  app->add_flag("--picture", arguments->picture, "every bucket of the map");
  // Not an option of a number's type: CLI11 reads "010" as 8.
  app->add_option_function<std::string>(
         "--seed",
         [arguments](const std::string& text) {
           const ParsedNumber seed =
               parse_unsigned(text, std::numeric_limits<std::uint64_t>::max());
           if (seed.state != NumberState::ok) {
             throw CLI::ValidationError("--seed", "not a whole number of 64 bits");
           }
           arguments->seed = seed.value;
         },
         "of the hashes: the same seed gives the same map")
      ->type_name("N")
      ->default_str(std::to_string(arguments->seed));
  add_output_option(*app, arguments->output);
  app->footer(
      "At each `mark` of the trace the ledger is taken: where every byte of the heap is, and\n"
      "why it is still there. If the trace does not end with drop, gc and release, gortstat\n"
      "adds these steps, so that the way back to the operating system is always complete.\n"
      "\n"
      "Remedies, each applied at the end of the trace in a heap of its own:\n"
      "  clear   remove all entries        remake  copy the entries into a new map\n"
      "  nil     drop the map              shrink  rebuild the map, as small as can be\n"
      "  all     these four, in one table\n"
      "\n"
      "A trace has one operation a line: make HINT, set KEY [BYTES], del KEY, get KEY, clear,\n"
      "drop, gc, release, mark LABEL. # starts a comment. See docs/formats.md.\n"
      "\n"
      "Examples:\n"
      "  gortstat replay examples/traces/git-history-mps.trace\n"
      "  gortstat replay program.trace --remedy all\n"
      "  gortstat replay program.trace --format json -o program.json\n"
      "  printf 'set a 64\\ndel a\\nmark deleted\\n' | gortstat replay -");
  return {app, [arguments, marks] {
            if (marks->count() > 0 && arguments->format == "json") {
              throw UsageError("replay: --marks is for --format text: JSON has every step");
            }
            return replay(*arguments);
          }};
}

}  // namespace gort::tool
