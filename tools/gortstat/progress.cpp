#include <gort/tools/gortstat/progress.h>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include <gort/tools/gortstat/text.h>

namespace gort::tool {
namespace {

bool is_capable_terminal() {
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && terminal != nullptr && std::strcmp(terminal, "dumb") != 0;
}

}  // namespace

Progress::Progress(std::string_view what, std::size_t total)
    : what_(what), total_(total), enabled_(is_capable_terminal()) {}

Progress::~Progress() {
  if (shown_) std::fputs("\r\x1b[K", stderr);
}

void Progress::maybe_show(std::size_t done) {
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + kInterval;
  shown_ = true;
  const std::string line =
      fmt::format("\r\x1b[K{} {} of {} ({} %)", what_, with_commas(done), with_commas(total_),
                  total_ == 0 ? 100 : done * 100 / total_);
  std::fputs(line.c_str(), stderr);
}

}  // namespace gort::tool
