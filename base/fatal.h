#pragma once

// The fatal path: the message is formatted into a buffer on the stack, written to standard error by
// one write(2), and the process aborts. Nothing here allocates, locks or calls back into the
// runtime, so it works from a signal handler, with the heap corrupt, and with any lock held.

#include <fmt/format.h>

#include <gort/base/config.h>

namespace gort {

inline constexpr int kFatalMessageMax = 1024;  ///< Bytes; a longer message is cut.

/// Writes "gort: fatal: <message>\n" to standard error and aborts. Async-signal-safe.
[[noreturn]] GORT_COLD void fatal_message(std::string_view message) noexcept;

/// Writes "fatal error: <message>\n", the text Go prints, to standard error and exits with status
/// 2, as Go does: for misuse that Go calls unrecoverable (concurrent map writes).
[[noreturn]] GORT_COLD void go_fatal(std::string_view message) noexcept;

/// `fatal("page {} is on no list", page)`: formats, then fatal_message.
template <class... Args>
[[noreturn]] GORT_COLD void fatal(fmt::format_string<Args...> format, Args&&... args) noexcept {
  char buffer[kFatalMessageMax];
  const auto result = fmt::format_to_n(buffer, sizeof buffer, format, static_cast<Args&&>(args)...);
  const std::size_t length = result.size < sizeof buffer ? result.size : sizeof buffer;
  fatal_message(std::string_view(buffer, length));
}

/// Writes one line to standard error without allocating; for warnings and traces of the core.
void write_line(std::string_view line) noexcept;

}  // namespace gort

/// An invariant that holds in every build: a broken one means the heap cannot be trusted any more.
#define GORT_CHECK(condition, ...)                                 \
  do {                                                             \
    if (GORT_UNLIKELY(!(condition))) {                             \
      ::gort::fatal("check failed: " #condition ": " __VA_ARGS__); \
    }                                                              \
  } while (0)

/// The same, in debug builds only: for checks that a hot path cannot pay for.
#ifdef NDEBUG
#define GORT_DCHECK(condition, ...) \
  do {                              \
  } while (0)
#else
#define GORT_DCHECK(condition, ...) GORT_CHECK(condition, __VA_ARGS__)
#endif
