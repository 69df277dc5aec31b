// gortstat: where the memory of a map goes. The tool itself is in the other files of this
// directory; here is only the command line's frame, and what becomes of errors.

#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <gort/tools/gortstat/command.h>
#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/input.h>
#include <gort/tools/gortstat/output.h>
#include <gort/tools/gortstat/text.h>

namespace gort::tool {
namespace {

constexpr const char* kDescription =
    "Shows where the memory of a map is, why it is still there, and what would bring it back.";

constexpr const char* kExamples =
    "Examples:\n"
    "  gortstat replay program.trace               the journey of what a trace deletes\n"
    "  gortstat replay program.trace --remedy all  what would bring its memory back\n"
    "  gortstat replay program.trace --format json -o a.json\n"
    "  gortstat diff a.json b.json                 what changed between two of these\n"
    "  gortstat parity tests/golden/*.jsonl        our map against recordings of Go's\n"
    "\n"
    "Exit codes: 0 done, 1 bad input or a failed check, 2 bad command line; 3 if two dumps\n"
    "differ, with diff --exit-code.\n"
    "Environment: NO_COLOR; for the heap GOGC, GOMEMLIMIT, GORT_DEBUG.";

// CLI11 says only that a command is required, also when one was given that it does not know.
std::string usage_problem(const CLI::App& app, std::string message, int argc, char** argv) {
  if (!app.get_subcommands().empty() || argc < 2 || argv[1][0] == '-') return message;
  std::string known;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    known += (known.empty() ? "" : ", ") + command->get_name();
  }
  return fmt::format("unknown command {}; known are {}\nRun with --help for more information.\n",
                     in_quotes(argv[1]), known);
}

// One line. It may have paths and other words of the caller in it.
int complain(std::string_view message, int code) {
  std::fputs((printable(message) + '\n').c_str(), stderr);
  return code;
}

int run(int argc, char** argv) {
  CLI::App app(kDescription, "gortstat");
  app.footer(kExamples);
  app.set_version_flag("--version", "gortstat " GORT_VERSION);
  app.require_subcommand(1);
  const Command commands[] = {add_replay_command(app), add_parity_command(app),
                              add_diff_command(app)};

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version are "errors" with code 0: results, so they go out like any result.
    std::ostringstream out;
    std::ostringstream err;
    const int code = app.exit(error, out, err);
    if (code == 0) {
      write_stdout(out.str());
      return kExitOk;
    }
    const std::string problem =
        fmt::format("gortstat: {}", usage_problem(app, err.str(), argc, argv));
    LineReader lines(problem);
    while (const std::optional<std::string_view> line = lines.next()) complain(*line, kExitUsage);
    return kExitUsage;
  }
  for (const Command& command : commands) {
    if (command.app->parsed()) return command.run();
  }
  throw UsageError("no command");  // require_subcommand does not let this happen
}

}  // namespace
}  // namespace gort::tool

int main(int argc, char** argv) {
  using namespace gort::tool;
  guard_standard_streams();
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond `ulimit -f` fails with EFBIG instead
  try {
    return run(argc, argv);
  } catch (const InputError& error) {
    return complain(error.what(), kExitFailure);  // begins with FILE:LINE, for editors
  } catch (const UsageError& error) {
    return complain(fmt::format("gortstat: {}", error.what()), kExitUsage);
  } catch (const std::bad_alloc&) {
    return complain("gortstat: out of memory", kExitFailure);
  } catch (const std::exception& error) {
    return complain(fmt::format("gortstat: {}", error.what()), kExitFailure);
  }
}
