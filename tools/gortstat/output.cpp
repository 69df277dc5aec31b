#include <gort/tools/gortstat/output.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <optional>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/input.h>

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

// What is behind symbolic links.
struct Target {
  fs::path path;                  // whether or not it is there yet
  std::optional<int> descriptor;  // it is one of this process: /dev/stdout, /dev/fd/3
};

std::optional<int> own_descriptor(const fs::path& path) {
  const std::string name = path.filename();
  const ParsedNumber number = parse_unsigned(name, std::numeric_limits<int>::max());
  std::error_code error;
  if (number.state != NumberState::ok ||
      !fs::equivalent(path.parent_path(), "/proc/self/fd", error))
    return std::nullopt;
  return static_cast<int>(number.value);
}

Target target_of(const std::string& path) {
  constexpr int kMaxLinks = 40;  // as Linux has it
  Target target{path, own_descriptor(path)};
  std::error_code error;
  for (int i = 0; i < kMaxLinks && fs::is_symlink(fs::symlink_status(target.path, error)); ++i) {
    if (target.descriptor) break;  // what it is open on is not to be replaced
    const fs::path next = fs::read_symlink(target.path, error);
    if (error) break;
    target.path = target.path.parent_path() / next;  // an absolute `next` replaces the whole
    target.descriptor = own_descriptor(target.path);
  }
  return target;
}

fs::path directory_of(const fs::path& target) {
  const fs::path parent = target.parent_path();
  return parent.empty() ? fs::path(".") : parent;
}

// Written directly: not replaced by another file.
bool is_special(const Target& target) {
  std::error_code error;
  const fs::file_status status = fs::status(target.path, error);
  return target.descriptor || (!error && fs::exists(status) && !fs::is_regular_file(status));
}

// Goes on behind what a descriptor has been used for; to open its name would cut its file to
// nothing.
std::FILE* open_special(const Target& target) {
  if (!target.descriptor) return std::fopen(target.path.c_str(), "wb");
  const int copy = ::fcntl(*target.descriptor, F_DUPFD_CLOEXEC, 3);
  return copy == -1 ? nullptr : ::fdopen(copy, "wb");
}

// What open_special() would run into, without opening: a pipe may have no reader yet.
void check_special(const Target& target, std::string_view path) {
  if (target.descriptor) {
    const int flags = ::fcntl(*target.descriptor, F_GETFL);
    if (flags == -1) fail(path, "cannot open", errno);
    if ((flags & O_ACCMODE) == O_RDONLY) fail(path, "cannot write", EBADF);
  } else if (::access(target.path.c_str(), W_OK) != 0) {
    fail(path, "cannot open", errno);
  }
}

struct NewFile {
  fs::path path;
  std::FILE* file;
};

// In the directory of `target`, so that it can be renamed to it, with the umask's mode, which
// mkstemp does not give; `path` is for errors. The name is short: that of the target may be as long
// as names can be. Names that are taken, by what an earlier process left behind, are passed over.
NewFile new_file_beside(const fs::path& target, std::string_view path) {
  for (int i = 0;; ++i) {
    fs::path name = directory_of(target) / fmt::format(".gortstat-{}-{}", ::getpid(), i);
    if (std::FILE* file = std::fopen(name.c_str(), "wbxe")) return {std::move(name), file};
    if (errno != EEXIST) fail(path, "cannot create a file beside it", errno);
  }
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
  const Target behind = target_of(path);
  if (is_special(behind)) {
    std::FILE* file = open_special(behind);
    if (file == nullptr) fail(path, "cannot open", errno);
    if (const int error = write_and_close(file, data); error != 0)
      fail(path, "cannot write", error);
    return;
  }
  const fs::path& target = behind.path;
  const NewFile temporary = new_file_beside(target, path);
  std::error_code error(write_and_close(temporary.file, data), std::generic_category());
  if (!error) {
    std::error_code no_mode;  // the target may not exist yet: then the umask's mode is right
    const fs::file_status old = fs::status(target, no_mode);
    if (fs::exists(old)) fs::permissions(temporary.path, old.permissions(), error);
  }
  if (!error) fs::rename(temporary.path, target, error);
  if (error) {
    std::error_code ignored;
    fs::remove(temporary.path, ignored);
    fail(path, "cannot write", error.value());
  }
}

void write_result(const std::string& path, std::string_view data) {
  if (path == kStandardStream) {
    write_stdout(data);
  } else {
    write_file(path, data);
  }
}

void check_output_path(const std::string& path, const std::vector<std::string>& inputs) {
  if (path == kStandardStream) return;
  std::error_code error;
  if (fs::is_directory(path, error)) throw Failure(path + ": is a directory");
  const Target target = target_of(path);
  if (is_special(target)) {
    check_special(target, path);
    return;
  }
  for (const std::string& input : inputs) {
    if (fs::equivalent(path, input == kStandardStream ? "/dev/stdin" : input, error)) {
      throw Failure(path + ": is the input, and would be overwritten");
    }
  }
  const fs::path parent = directory_of(target.path);
  if (!fs::is_directory(parent, error)) {
    throw Failure(fmt::format("{}: no such directory: {}", path, parent.string()));
  }
  (void)fs::symlink_status(target.path, error);
  if (error && error != std::errc::no_such_file_or_directory) {
    fail(path, "cannot write", error.value());
  }
  const NewFile probe = new_file_beside(target.path, path);
  std::fclose(probe.file);
  fs::remove(probe.path, error);
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
