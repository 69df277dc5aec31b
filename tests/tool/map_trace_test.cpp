#include <catch2/catch.hpp>

#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/map_trace.h>

using namespace gort::tool;
using Kind = TraceOperation::Kind;

namespace {

std::string error_of(std::string text) {
  MapTrace trace;
  try {
    parse_map_trace("t.trace", std::move(text), trace);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

struct Parsed {
  explicit Parsed(std::string text) { parse_map_trace("t.trace", std::move(text), trace); }
  const TraceOperation& operator[](std::size_t i) const { return trace.operations.at(i); }
  std::size_t size() const { return trace.operations.size(); }
  MapTrace trace;
};

}  // namespace

TEST_CASE("every operation of a trace is read", "[tool][map_trace]") {
  const Parsed p("make 100\nset a 64\nset b\ndel a\nget b\nclear\ngc\nrelease\nmark here\ndrop\n");
  REQUIRE(p.size() == 10);
  CHECK(p[0].kind == Kind::make);
  CHECK(p[0].number == 100);
  CHECK(p[1].kind == Kind::set);
  CHECK(p[1].text == "a");
  CHECK(p[1].number == 64);
  CHECK(p[2].kind == Kind::set);
  CHECK(p[2].number == 0);
  CHECK(p[3].kind == Kind::del);
  CHECK(p[3].text == "a");
  CHECK(p[4].kind == Kind::get);
  CHECK(p[5].kind == Kind::clear);
  CHECK(p[6].kind == Kind::gc);
  CHECK(p[7].kind == Kind::release);
  CHECK(p[8].kind == Kind::mark);
  CHECK(p[8].text == "here");
  CHECK(p[9].kind == Kind::drop);
  CHECK(p[9].line == 10);
}

TEST_CASE("comments and blank lines are skipped but counted", "[tool][map_trace]") {
  const Parsed p("# a comment\n\n  \t\nset a 8 # why\n   # more\ndel a # gone");
  REQUIRE(p.size() == 2);
  CHECK(p[0].line == 4);
  CHECK(p[0].number == 8);
  CHECK(p[1].line == 6);
  CHECK(p[1].text == "a");
}

TEST_CASE("a key is any run of bytes, even one that begins with #", "[tool][map_trace]") {
  const Parsed p("set #tag# 1\nset \xff\xfe\ndel a%20b\n");
  CHECK(p[0].text == "#tag#");
  CHECK(p[1].text == "\xff\xfe");
  CHECK(p[2].text == "a%20b");
}

TEST_CASE("a label is the rest of the line", "[tool][map_trace]") {
  const Parsed p("mark after the deletes  \nmark issue #7\nmark half # not a label\n");
  CHECK(p[0].text == "after the deletes");
  CHECK(p[1].text == "issue #7");
  CHECK(p[2].text == "half");
}

TEST_CASE("lines may end as on Windows, and the last one not at all", "[tool][map_trace]") {
  const Parsed p("set a 64\r\nclear\r\nmark x\r\nget a");
  REQUIRE(p.size() == 4);
  CHECK(p[0].number == 64);
  CHECK(p[2].text == "x");
  CHECK(p[3].text == "a");
}

TEST_CASE("an unknown operation is an error with its line", "[tool][map_trace]") {
  CHECK(error_of("set a\nput b\n") ==
        "t.trace:2: unknown operation \"put\"; known are make, set, del, get, clear, drop, gc, "
        "release, mark");
  CHECK(error_of("\x7f"
                 "ELF\x02\n")
            .rfind("t.trace:1: unknown operation \"\\x7fELF\\x02\"", 0) == 0);
}

TEST_CASE("a missing field is an error with its line", "[tool][map_trace]") {
  CHECK(error_of("make\n") == "t.trace:1: make: HINT is missing");
  CHECK(error_of("make # 3\n") == "t.trace:1: make: HINT is missing");
  CHECK(error_of("\nset\n") == "t.trace:2: set: KEY is missing");
  CHECK(error_of("del\n") == "t.trace:1: del: KEY is missing");
  CHECK(error_of("get \n") == "t.trace:1: get: KEY is missing");
  CHECK(error_of("mark\n") == "t.trace:1: mark: LABEL is missing");
  CHECK(error_of("mark # x\n") == "t.trace:1: mark: LABEL is missing");
}

TEST_CASE("a number must be one, and fit", "[tool][map_trace]") {
  CHECK(error_of("set a 6x\n") == "t.trace:1: set: BYTES must be a whole number, not \"6x\"");
  CHECK(error_of("set a -1\n") == "t.trace:1: set: BYTES must be a whole number, not \"-1\"");
  CHECK(error_of("make 1.5\n") == "t.trace:1: make: HINT must be a whole number, not \"1.5\"");
  CHECK(error_of("set a 18446744073709551616\n") ==
        "t.trace:1: set: BYTES is too large: \"18446744073709551616\"");
  CHECK(error_of("make 9223372036854775808\n") ==
        "t.trace:1: make: HINT is too large: \"9223372036854775808\"");
  CHECK(error_of("set a 18446744073709551615\n") == "no error");
}

TEST_CASE("a field too many is an error with its line", "[tool][map_trace]") {
  CHECK(error_of("set a 1 2\n") == "t.trace:1: set: unexpected \"2\" after the last field");
  CHECK(error_of("del a b\n") == "t.trace:1: del: unexpected \"b\" after the last field");
  CHECK(error_of("gc now\n") == "t.trace:1: gc: unexpected \"now\" after the last field");
}

TEST_CASE("a set on a map that was dropped is an error with both lines", "[tool][map_trace]") {
  CHECK(error_of("set a\ndrop\nget a\nset b\n") ==
        "t.trace:4: set: the map is nil since the drop in line 2; `make` one first");
  CHECK(error_of("set a\ndrop\nmake 0\nset b\n") == "no error");
}

TEST_CASE("a trace without an operation is an error", "[tool][map_trace]") {
  CHECK(error_of("# nothing\n\n") == "t.trace: no operation in this trace");
}
