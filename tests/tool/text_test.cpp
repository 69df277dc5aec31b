#include <catch2/catch.hpp>

#include <limits>

#include <gort/tools/gortstat/text.h>

using namespace gort::tool;

TEST_CASE("numbers get a comma every three digits", "[tool][text]") {
  CHECK(with_commas(0) == "0");
  CHECK(with_commas(999) == "999");
  CHECK(with_commas(1000) == "1,000");
  CHECK(with_commas(1234567) == "1,234,567");
  CHECK(with_commas(std::numeric_limits<std::uint64_t>::max()) == "18,446,744,073,709,551,615");
}

TEST_CASE("a count of one has no plural", "[tool][text]") {
  CHECK(counted(0, "delete") == "0 deletes");
  CHECK(counted(1, "delete") == "1 delete");
  CHECK(counted(5386, "delete") == "5,386 deletes");
}

TEST_CASE("bytes are shown in the unit that leaves one to four digits", "[tool][text]") {
  CHECK(human_bytes(0) == "0 B");
  CHECK(human_bytes(1023) == "1023 B");
  CHECK(human_bytes(1024) == "1.0 KiB");
  CHECK(human_bytes(1536) == "1.5 KiB");
  CHECK(human_bytes(1023 * 1024) == "1023.0 KiB");
  CHECK(human_bytes(std::uint64_t{64} << 20) == "64.0 MiB");
  CHECK(human_bytes(std::numeric_limits<std::uint64_t>::max()) == "16.0 EiB");
}

TEST_CASE("rounding never shows 1024 of a unit", "[tool][text]") {
  CHECK(human_bytes((std::uint64_t{1} << 20) - 1) == "1.0 MiB");
}

TEST_CASE("a change has its sign", "[tool][text]") {
  CHECK(human_change(10, 10) == "0 B");
  CHECK(human_change(0, 2048) == "+2.0 KiB");
  CHECK(human_change(5, 2) == "-3 B");
}

TEST_CASE("quoted input cannot write control codes", "[tool][text]") {
  CHECK(in_quotes("set") == "\"set\"");
  CHECK(in_quotes("\x1b[31m\"\\") == "\"\\x1b[31m\\\"\\\\\"");
  CHECK(in_quotes("abcdef", 3) == "\"abc\"...");
  CHECK(printable("a\tb\x1b") == "a?b?");
}

TEST_CASE("printable text has no control codes and is UTF-8", "[tool][text]") {
  CHECK(printable("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80") ==
        "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
  CHECK(printable("\xc2\x9b"
                  "31m") == "?31m");  // U+009B begins a command on some terminals
  CHECK(printable("\x9b"
                  "31m") == "?31m");
  CHECK(printable("\xc3") == "?");
  CHECK(printable("\xe2\x82") == "??");
  CHECK(printable("\xe2\x82x") == "??x");
  CHECK(printable("\xf0\x9f\x98x") == "???x");
  CHECK(printable("\xff"
                  "a") == "?a");
}

TEST_CASE("a character is UTF-8 in its shortest form only, and no surrogate", "[tool][text]") {
  for (const std::string good : {"\xc2\xa0", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                                 "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    CHECK(printable(good) == good);
  }
  for (const std::string bad :
       {"\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80"}) {
    CHECK(printable(bad) == std::string(bad.size(), '?'));
  }
}

TEST_CASE("differences, limits and durations", "[tool][text]") {
  CHECK(human_signed(-1536) == "-1.5 KiB");
  CHECK(human_signed(0) == "0 B");
  CHECK(human_signed(std::numeric_limits<std::int64_t>::min()) == "-8.0 EiB");
  CHECK(memory_limit_text(std::nullopt) == "off");
  CHECK(memory_limit_text(0) == "0B");
  CHECK(memory_limit_text(1000) == "1000B");
  CHECK(memory_limit_text(std::uint64_t{1536} << 20) == "1536MiB");
  CHECK(memory_limit_text(std::uint64_t{2048} << 40) == "2048TiB");
  CHECK(human_duration(0) == "0 ns");
  CHECK(human_duration(999) == "999 ns");
  CHECK(human_duration(1000) == "1.0 us");
  CHECK(human_duration(999'960) == "1.0 ms");
  CHECK(human_duration(12'345'678'900) == "12.3 s");
}

TEST_CASE("text is broken at spaces, and a long word stands alone", "[tool][text]") {
  CHECK(wrapped("one two three", 7) == std::vector<std::string>{"one two", "three"});
  CHECK(wrapped("a incomprehensible b", 5) ==
        std::vector<std::string>{"a", "incomprehensible", "b"});
  CHECK(wrapped("", 5).empty());
}
