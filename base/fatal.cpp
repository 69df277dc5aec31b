#include <gort/base/fatal.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <poll.h>
#include <unistd.h>

#include <gort/base/clock.h>

namespace gort {
namespace {

// Leaves errno alone: lines are written in the middle of other people's calls.
void write_all(const char* data, std::size_t size) noexcept {
  const int before = errno;
  // For the reader of a pipe whose writers must not block.
  const std::int64_t give_up = now_ns() + 1'000'000'000;
  while (size > 0) {
    const ssize_t n = ::write(STDERR_FILENO, data, size);
    if (n > 0) {
      data += n;
      size -= static_cast<std::size_t>(n);
    } else if (n < 0 && errno == EAGAIN) {
      if (now_ns() > give_up) break;
      pollfd room{STDERR_FILENO, POLLOUT, 0};
      ::poll(&room, 1, 10);
    } else if (n == 0 || errno != EINTR) {
      break;  // standard error is gone: there is nobody left to tell
    }
  }
  errno = before;
}

// One write per line keeps lines of several threads whole.
void write_prefixed(std::string_view prefix, std::string_view message) noexcept {
  char line[kFatalMessageMax + 32];
  const std::size_t room = sizeof line - prefix.size() - 1;
  const std::size_t length = message.size() < room ? message.size() : room;
  std::memcpy(line, prefix.data(), prefix.size());
  std::memcpy(line + prefix.size(), message.data(), length);
  line[prefix.size() + length] = '\n';
  write_all(line, prefix.size() + length + 1);
}

}  // namespace

void fatal_message(std::string_view message) noexcept {
  write_prefixed("gort: fatal: ", message);
  std::abort();
}

void go_fatal(std::string_view message) noexcept {
  write_prefixed("fatal error: ", message);
  ::_exit(2);
}

void write_line(std::string_view line) noexcept { write_prefixed("", line); }

}  // namespace gort
