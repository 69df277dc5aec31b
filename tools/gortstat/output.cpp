#include <gort/tools/gortstat/output.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <unistd.h>

#include <gort/tools/gortstat/error.h>

namespace gort::tool {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void fail(std::string_view path, std::string_view what, int error) {
  throw Failure(fmt::format("{}: {}: {}", path, what, std::strerror(error)));
}

// Writes and closes. Returns errno of the first failure, 0 if there was none.
int write_and_close(std::FILE* file, std::string_view data) {
  errno = 0;
  const bool written = std::fwrite(data.data(), 1, data.size(), file) == data.size();
  const bool flushed = std::fflush(file) == 0;
  const int error = errno;
  const bool closed = std::fclose(file) == 0;  // NFS and quotas report here
  if (written && flushed) return closed ? 0 : errno;
  return error != 0 ? error : EIO;
}

// The file behind symbolic links; `path` itself if there is none yet.
fs::path target_of(const std::string& path) {
  std::error_code error;
  fs::path resolved = fs::weakly_canonical(path, error);
  return error ? fs::path(path) : resolved;
}

bool is_special(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  return !error && fs::exists(status) && !fs::is_regular_file(status);
}

}  // namespace

void write_stdout(std::string_view data) {
  errno = 0;
  const bool written = std::fwrite(data.data(), 1, data.size(), stdout) == data.size();
  if (!written || std::fflush(stdout) != 0) {
    fail("standard output", "cannot write", errno != 0 ? errno : EIO);
  }
}

void write_file(const std::string& path, std::string_view data) {
  if (is_special(path)) {
    std::FILE* file = std::fopen(path.c_str(), "wb");
    if (file == nullptr) fail(path, "cannot open", errno);
    if (const int error = write_and_close(file, data); error != 0)
      fail(path, "cannot write", error);
    return;
  }
  const fs::path target = target_of(path);
  const std::string temporary = fmt::format("{}.{}.tmp", target.string(), ::getpid());
  std::FILE* file = std::fopen(temporary.c_str(), "wbx");
  if (file == nullptr) fail(path, "cannot create a file beside it", errno);
  std::error_code error(write_and_close(file, data), std::generic_category());
  if (!error) {
    std::error_code no_mode;  // the target may not exist yet: then the umask's mode is right
    const fs::file_status old = fs::status(target, no_mode);
    if (fs::exists(old)) fs::permissions(temporary, old.permissions(), error);
  }
  if (!error) fs::rename(temporary, target, error);
  if (error) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    fail(path, "cannot write", error.value());
  }
}

void check_output_path(const std::string& path, const std::string& input) {
  std::error_code error;
  if (fs::is_directory(path, error)) throw Failure(path + ": is a directory");
  if (fs::equivalent(path, input, error) && !is_special(path)) {
    throw Failure(path + ": is the input, and would be overwritten");
  }
  const fs::path parent = target_of(path).parent_path();
  if (!parent.empty() && !fs::is_directory(parent, error)) {
    throw Failure(fmt::format("{}: no such directory: {}", path, parent.string()));
  }
}

bool stdout_wants_colour() {
  const auto set = [](const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0';
  };
  const char* terminal = std::getenv("TERM");
  const bool dumb = terminal != nullptr && std::strcmp(terminal, "dumb") == 0;
  return ::isatty(STDOUT_FILENO) == 1 && !set("NO_COLOR") && !dumb;
}

}  // namespace gort::tool
