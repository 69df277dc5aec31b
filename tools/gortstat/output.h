#pragma once

// Where results go. A command makes its whole output first and hands it over once it has succeeded,
// so a failure leaves nothing half-written: standard output has got nothing, a file is as it was.

#include <string>
#include <string_view>
#include <vector>

namespace gort::tool {

/// Writes all of `data` to standard output and flushes. Throws Failure if not all of it could be
/// written (full disk, closed pipe).
void write_stdout(std::string_view data);

/// Writes `data` beside `path` and renames it into place; a path that exists and is no regular file
/// (a device, a pipe) is written directly, and so is an open descriptor (/dev/stdout), whatever it
/// is open on. Symbolic links are followed, the mode of an existing file is kept. Throws Failure.
void write_file(const std::string& path, std::string_view data);

/// To `path`, or to standard output if that is "-".
void write_result(const std::string& path, std::string_view data);

/// Says at once what would make write_result(path) fail after a long run: no such directory, none
/// that can be written in, a directory in its place, a descriptor that is not open, or one of the
/// inputs itself (never overwritten). Throws Failure.
void check_output_path(const std::string& path, const std::vector<std::string>& inputs);

/// Makes sure that descriptors 0, 1 and 2 are open, so that no file that is opened later becomes
/// one of them: a closed standard stream gets a descriptor on which its use is an error.
void guard_standard_streams();

}  // namespace gort::tool
