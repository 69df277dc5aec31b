#pragma once

// Text files as the tool reads them: whole, by line, with errors that name the place.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gort::tool {

/// As a path: standard input or output.
inline constexpr std::string_view kStandardStream = "-";

/// The contents of a text file, without a byte order mark; "-" reads standard input. Throws
/// InputError for a path that cannot be read, a directory, an empty file, and (with its line) a
/// file that is not text: one with a NUL byte.
std::string read_text_file(const std::string& path);

/// Walks over the lines of a text. A line ends with \n or \r\n, which are not part of it; the last
/// one may lack its end.
class LineReader {
 public:
  explicit LineReader(std::string_view text) : rest_(text) {}

  /// The next line, or nothing at the end. The view points into the text.
  std::optional<std::string_view> next();
  /// Number of the line that next() returned last; the first is 1.
  std::size_t number() const { return number_; }

 private:
  std::string_view rest_;
  std::size_t number_ = 0;
};

/// What a text says about an unsigned number.
enum class NumberState : std::uint8_t { ok, not_a_number, too_large };
struct ParsedNumber {
  NumberState state = NumberState::not_a_number;
  std::uint64_t value = 0;
};
/// Decimal digits and nothing else, at most `max`.
ParsedNumber parse_unsigned(std::string_view text, std::uint64_t max);

}  // namespace gort::tool
