#pragma once

// How gortstat fails. Every failure is one line on standard error and one of two exit codes; no
// half-written output is left behind (output.h).

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace gort::tool {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure =
    1;                                ///< bad input, a failed check, output that cannot be written
inline constexpr int kExitUsage = 2;  ///< bad command line
inline constexpr int kExitDifferent = 3;  ///< of diff --exit-code

/// Exit code 1. The message is what the user sees.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A file that cannot be used: "FILE:LINE: what", or "FILE: what" for line 0 (the file as a whole).
class InputError : public Failure {
 public:
  InputError(std::string_view file, std::size_t line, std::string_view what)
      : Failure(line == 0 ? fmt::format("{}: {}", file, what)
                          : fmt::format("{}:{}: {}", file, line, what)) {}
};

/// A command line or environment that cannot be used. Exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace gort::tool
