#pragma once

// The subcommands of gortstat. Each lives in a file of its own, <name>_command.cpp: it adds its
// options to the command line, and says what to run if it was chosen. main.cpp lists them.

#include <functional>
#include <string>

#include <CLI/App.hpp>

namespace gort::tool {

struct Command {
  CLI::App* app = nullptr;   ///< owned by the main App
  std::function<int()> run;  ///< the exit code; throws Failure or UsageError (error.h)
};

/// -o FILE, the same for every command; "-", the default, is standard output. The command itself
/// calls check_output_path() before and write_result() after its work (output.h).
void add_output_option(CLI::App& command, std::string& path);

Command add_replay_command(CLI::App& main);
Command add_parity_command(CLI::App& main);
Command add_diff_command(CLI::App& main);

}  // namespace gort::tool
