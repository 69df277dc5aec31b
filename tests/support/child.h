#pragma once

// Runs a piece of a test in a child process, for behaviour that ends a process (fatal errors) or
// that spoils it for other tests (limits, a runtime that is started in another way).

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace gort_test {

struct ChildResult {
  int exit_code = -1;  ///< -1 if a signal ended it
  int signal = 0;      ///< 0 if it exited
  std::string errors;  ///< what it wrote to standard error
};

/// In a child, where an assertion of Catch2 would end nothing.
inline void require(bool condition) {
  if (!condition) std::abort();
}

/// `call()` until no signal handler interrupts it; a failure is a std::system_error.
template <class F>
auto system_call(const char* name, F&& call) {
  for (;;) {
    const auto result = call();
    if (result >= 0) return result;
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), name);
  }
}

/// Forks, runs `f()` in the child with standard error captured, then exits 0. An exception that
/// leaves `f` makes the child exit with 99. Throws std::system_error if there can be no child.
template <class F>
ChildResult in_child(F&& f) {
  int pipe_ends[2];
  system_call("pipe2", [&] { return ::pipe2(pipe_ends, O_CLOEXEC); });
  const pid_t pid = system_call("fork", [] { return ::fork(); });
  if (pid == 0) {
    ::dup2(pipe_ends[1], STDERR_FILENO);
    try {
      f();
    } catch (...) {
      ::_exit(99);
    }
    ::_exit(0);
  }
  ::close(pipe_ends[1]);
  ChildResult result;
  char buffer[4096];
  for (;;) {
    const ssize_t n =
        system_call("read", [&] { return ::read(pipe_ends[0], buffer, sizeof buffer); });
    if (n == 0) break;
    result.errors.append(buffer, static_cast<std::size_t>(n));
  }
  ::close(pipe_ends[0]);
  int status = 0;
  system_call("waitpid", [&] { return ::waitpid(pid, &status, 0); });
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  return result;
}

}  // namespace gort_test
