#pragma once

// Runs the program itself: what it writes, where, and how it ends.

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace gort_test {

struct Outcome {
  int exit_code = -1;  ///< -1 if a signal ended it
  int signal = 0;      ///< 0 if it exited
  std::string out;     ///< standard output
  std::string err;     ///< standard error
};

struct RunOptions {
  std::string in{};                                        ///< standard input, all of it
  std::string stdin_from{};                                ///< a path, instead
  std::vector<std::pair<std::string, std::string>> env{};  ///< set besides; the rest is inherited
  std::string stdout_to{};                                 ///< a path, instead of capturing
  bool close_stdout = false;
  bool ignore_sigpipe = false;
  bool reader_leaves = false;         ///< nobody reads standard output
  rlim_t file_limit = RLIM_INFINITY;  ///< bytes; ulimit -f
  unsigned short columns = 0;  ///< not 0: standard output and error are a terminal of this width
};

namespace run_detail {

struct Pipe {
  int read = -1;
  int write = -1;
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) == 0) {
      read = ends[0];
      write = ends[1];
    }
  }
};

inline Pipe terminal(unsigned short columns) {
  Pipe pair;
  ::close(pair.read);
  ::close(pair.write);
  pair.read = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  ::grantpt(pair.read);
  ::unlockpt(pair.read);
  pair.write = ::open(::ptsname(pair.read), O_RDWR | O_NOCTTY | O_CLOEXEC);
  winsize size{};
  size.ws_col = columns;
  size.ws_row = 50;
  ::ioctl(pair.write, TIOCSWINSZ, &size);
  return pair;
}

[[noreturn]] inline void become_gortstat(const std::vector<std::string>& arguments,
                                         const RunOptions& options, int in, int out, int err) {
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(err, 2);
  if (!options.stdin_from.empty()) ::dup2(::open(options.stdin_from.c_str(), O_RDONLY), 0);
  if (!options.stdout_to.empty()) ::dup2(::open(options.stdout_to.c_str(), O_WRONLY), 1);
  if (options.close_stdout) ::close(1);
  if (options.file_limit != RLIM_INFINITY) {
    const rlimit limit{options.file_limit, options.file_limit};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ::signal(SIGPIPE, options.ignore_sigpipe ? SIG_IGN : SIG_DFL);
  for (const char* name : {"NO_COLOR", "COLUMNS", "GOGC", "GOMEMLIMIT", "GORT_DEBUG"}) {
    ::unsetenv(name);
  }
  for (const auto& [name, value] : options.env) ::setenv(name.c_str(), value.c_str(), 1);
  static const std::string program = GORT_BIN_DIR "/gortstat";
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  ::_exit(127);
}

// One read from each of the two that has something; closed ones become -1. A terminal whose other
// end is closed reports an error instead of an end.
inline void drain(int& out, std::string& out_text, int& err, std::string& err_text) {
  std::array<char, 65536> buffer{};
  while (out >= 0 || err >= 0) {
    std::array<pollfd, 2> polls = {pollfd{out, POLLIN, 0}, pollfd{err, POLLIN, 0}};
    if (::poll(polls.data(), polls.size(), -1) < 0) continue;
    for (auto [poll, fd, text] :
         {std::tuple(&polls[0], &out, &out_text), {&polls[1], &err, &err_text}}) {
      if (poll->revents == 0) continue;
      const ssize_t n = ::read(*fd, buffer.data(), buffer.size());
      if (n > 0) {
        text->append(buffer.data(), static_cast<std::size_t>(n));
      } else {
        ::close(*fd);
        *fd = -1;
      }
    }
  }
}

}  // namespace run_detail

inline Outcome gortstat(const std::vector<std::string>& arguments, const RunOptions& options = {}) {
  using namespace run_detail;
  // From a file: a pipe could fill up before the program reads.
  std::array<char, 32> name{"/tmp/gortstat-test-XXXXXX"};
  const int in = ::mkostemp(name.data(), O_CLOEXEC);
  ::unlink(name.data());
  if (::write(in, options.in.data(), options.in.size()) < 0) return {};
  ::lseek(in, 0, SEEK_SET);
  Pipe out = options.columns > 0 ? terminal(options.columns) : Pipe();
  Pipe err = options.columns > 0 ? terminal(options.columns) : Pipe();
  const pid_t pid = ::fork();
  if (pid == 0) become_gortstat(arguments, options, in, out.write, err.write);
  for (const int fd : {in, out.write, err.write}) ::close(fd);
  if (options.reader_leaves) {
    ::close(out.read);
    out.read = -1;
  }
  Outcome outcome;
  drain(out.read, outcome.out, err.read, outcome.err);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  return outcome;
}

/// A directory for one test, removed with it.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::array<char, 32> name{"/tmp/gortstat-test-XXXXXX"};
    path_ = ::mkdtemp(name.data());
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  /// Writes a file, and returns its path.
  std::string file(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return *this / name;
  }
  std::size_t file_count() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

inline std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The files below tests/ or examples/ whose names end so, sorted.
inline std::vector<std::string> files_in(const std::string& directory, const std::string& end) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().string().ends_with(end)) out.push_back(entry.path().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

inline const std::string kTraceDirectory = GORT_TEST_DATA_DIR "/../examples/traces";
inline const std::string kGoldenDirectory = GORT_TEST_DATA_DIR "/golden";

}  // namespace gort_test
