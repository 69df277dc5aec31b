#pragma once

// Numbers and strings as people read them. Pure functions.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gort::tool {

/// 1234567 -> "1,234,567".
std::string with_commas(std::uint64_t n);
/// "1 delete", "5,386 deletes": the count and the noun, with an s unless the count is 1.
std::string counted(std::uint64_t n, std::string_view noun);

/// Bytes in binary units with one decimal: "0 B", "512 B", "1.2 KiB", "64.0 MiB". Rounded half away
/// from zero; the exact figure belongs beside it where the reader adds up.
std::string human_bytes(std::uint64_t bytes);
/// The same for a difference after - before, with its sign: "+1.2 KiB", "-3 B", "0 B".
std::string human_change(std::uint64_t before, std::uint64_t after);

/// The same for a difference that may be negative: "1.2 KiB", "-3 B".
std::string human_signed(std::int64_t bytes);
/// A limit in the words of GOMEMLIMIT, exactly: "512MiB", "1000B", and "off" if there is none.
std::string memory_limit_text(std::optional<std::uint64_t> bytes);
/// A duration with one decimal: "950 ns", "12.3 us", "4.0 ms", "1.5 s".
std::string human_duration(std::int64_t nanoseconds);

/// For messages about input: in double quotes, at most `limit` bytes (then "..."), everything that
/// is not printable ASCII as \xNN, so that no input can write control codes to a terminal.
std::string in_quotes(std::string_view text, std::size_t limit = 40);
/// For text that is shown as it is (labels): control characters, and bytes that are no UTF-8,
/// become '?'.
std::string printable(std::string_view text);

/// Breaks `text` at spaces into lines of at most `width` characters; a longer word stands alone.
std::vector<std::string> wrapped(std::string_view text, std::size_t width);

/// The first `count` code points of UTF-8 text.
std::string_view first_characters(std::string_view text, std::size_t count);

/// Columns that UTF-8 text takes on a terminal, counting one for each code point.
std::size_t display_width(std::string_view text);

}  // namespace gort::tool
