#include <gort/tools/gortstat/input.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <system_error>

#include <gort/tools/gortstat/error.h>

namespace gort::tool {
namespace {

struct Close {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};

}  // namespace

std::string read_text_file(const std::string& path) {
  const std::unique_ptr<std::FILE, Close> file(
      path == kStandardStream ? stdin : std::fopen(path.c_str(), "rb"));
  if (file == nullptr)
    throw InputError(path, 0, fmt::format("cannot open: {}", std::strerror(errno)));

  std::string text;
  char buffer[1 << 16];
  for (;;) {
    errno = 0;
    const std::size_t n = std::fread(buffer, 1, sizeof buffer, file.get());
    const std::string_view piece(buffer, n);
    // Here and not afterwards, so that /dev/zero or a disk image fails at its first byte.
    if (const std::size_t nul = piece.find('\0'); nul != std::string_view::npos) {
      const auto lines =
          std::count(text.begin(), text.end(), '\n') +
          std::count(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(nul), '\n');
      throw InputError(path, static_cast<std::size_t>(lines) + 1,
                       "a NUL byte: this is not a text file");
    }
    text += piece;
    if (n == sizeof buffer) continue;
    // A directory opens well, and fails here with EISDIR.
    if (std::ferror(file.get()) != 0) {
      throw InputError(path, 0, fmt::format("cannot read: {}", std::strerror(errno)));
    }
    break;
  }
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);  // a byte order mark
  if (text.empty()) throw InputError(path, 0, "the file is empty");
  return text;
}

std::optional<std::string_view> LineReader::next() {
  if (rest_.empty()) return std::nullopt;
  const std::size_t end = std::min(rest_.find('\n'), rest_.size());
  std::string_view line = rest_.substr(0, end);
  rest_.remove_prefix(std::min(end + 1, rest_.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  ++number_;
  return line;
}

ParsedNumber parse_unsigned(std::string_view text, std::uint64_t max) {
  ParsedNumber result;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), result.value);
  if (end != text.data() + text.size() || error == std::errc::invalid_argument) return {};
  const bool fits = error == std::errc() && result.value <= max;
  result.state = fits ? NumberState::ok : NumberState::too_large;
  return result;
}

}  // namespace gort::tool
