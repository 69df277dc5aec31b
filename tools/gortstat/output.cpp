#include <gort/tools/gortstat/output.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
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

// The file behind symbolic links, whether or not it is there yet.
fs::path target_of(const std::string& path) {
  constexpr int kMaxLinks = 40;  // as Linux has it
  fs::path target = path;
  std::error_code error;
  for (int i = 0; i < kMaxLinks && fs::is_symlink(fs::symlink_status(target, error)); ++i) {
    const fs::path next = fs::read_symlink(target, error);
    if (error) break;
    target = target.parent_path() / next;  // an absolute `next` replaces the whole
  }
  return target;
}

fs::path directory_of(const fs::path& target) {
  const fs::path parent = target.parent_path();
  return parent.empty() ? fs::path(".") : parent;
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
  if (is_special(path)) return;
  const fs::path parent = directory_of(target_of(path));
  if (!fs::is_directory(parent, error)) {
    throw Failure(fmt::format("{}: no such directory: {}", path, parent.string()));
  }
  if (::access(parent.c_str(), W_OK) != 0) {
    throw Failure(
        fmt::format("{}: cannot write in {}: {}", path, parent.string(), std::strerror(errno)));
  }
}

void guard_standard_streams() {
  // Each the wrong way round: reading from 0, writing to 1 and 2 fails with EBADF as before.
  for (const auto& [descriptor, mode] : {std::pair(0, O_WRONLY), {1, O_RDONLY}, {2, O_RDONLY}}) {
    if (::fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    // The lowest free descriptor is this one: those below are open by now.
    if (::open("/dev/null", mode) != descriptor) std::abort();
  }
}

}  // namespace gort::tool
