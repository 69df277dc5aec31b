#pragma once

// The subcommands of gortstat. Each lives in a file of its own, <name>_command.cpp: it adds its
// options to the command line, and says what to run if it was chosen. main.cpp lists them.

#include <functional>

#include <CLI/App.hpp>

namespace gort::tool {

struct Command {
  CLI::App* app = nullptr;   ///< owned by the main App
  std::function<int()> run;  ///< the exit code; throws Failure or UsageError (error.h)
};

Command add_replay_command(CLI::App& main);
Command add_parity_command(CLI::App& main);
Command add_diff_command(CLI::App& main);

}  // namespace gort::tool
