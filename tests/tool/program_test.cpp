// The program from outside: exit codes, and what goes where.

#include <catch2/catch.hpp>

#include <csignal>
#include <sstream>

#include <unistd.h>

#include <gort/tests/tool/run_gortstat.h>

using namespace gort_test;

namespace {

const std::string kTrace = "set a 64\nset b 64\nmark filled\ndel a\nmark deleted\n";

// Fails with `code`, nothing on standard output, and these words on standard error.
void check_failure(const Outcome& outcome, int code, const std::string& words) {
  CHECK(outcome.exit_code == code);
  CHECK(outcome.out.empty());
  CHECK_THAT(outcome.err, Catch::Contains(words));
}

// The longest line in columns, without colours.
std::size_t widest_line(const std::string& text) {
  std::size_t widest = 0;
  std::size_t used = 0;
  bool escape = false;
  for (const char c : text) {
    if (c == '\x1b') escape = true;
    const bool continuation = (static_cast<unsigned char>(c) & 0xc0) == 0x80;
    if (c == '\n') used = 0;
    if (!escape && !continuation && c != '\n' && c != '\r') widest = std::max(widest, ++used);
    if (c == 'm') escape = false;
  }
  return widest;
}

}  // namespace

TEST_CASE("a bad command line is exit code 2, with words on standard error", "[tool][program]") {
  check_failure(gortstat({}), 2, "gortstat: A subcommand is required");
  check_failure(gortstat({"repaly", "x"}), 2,
                "gortstat: unknown command \"repaly\"; known are replay, parity, diff");
  check_failure(gortstat({"--wrong"}), 2, "gortstat: ");
  check_failure(gortstat({"replay"}), 2, "TRACE is required");
  check_failure(gortstat({"replay", "a", "b"}), 2, "not expected: b");
  check_failure(gortstat({"replay", "a", "--format", "xml"}), 2,
                "--format: xml not in {text,json}");
  check_failure(gortstat({"replay", "a", "--remedy", "magic"}), 2, "--remedy: magic not in {none,");
  check_failure(gortstat({"replay", "a", "--marks", "some"}), 2, "--marks: some not in {all,");
  check_failure(gortstat({"replay", "a", "--seed", "-1"}), 2,
                "--seed: not a whole number of 64 bits");
  check_failure(gortstat({"replay", "a", "--seed", "18446744073709551616"}), 2,
                "--seed: not a whole number of 64 bits");
  check_failure(gortstat({"replay", "a", "-o", ""}), 2, "the file name is empty");
  check_failure(gortstat({"parity"}), 2, "GOLDEN is required");
  check_failure(gortstat({"diff", "a"}), 2, "B is required");
  check_failure(gortstat({"diff", "-", "-"}), 2, "only one of the two");
  check_failure(gortstat({"parity", "-", "a", "-"}), 2, "only one of the traces");
  check_failure(gortstat({"replay", "a", "--marks", "auto", "--format", "json"}), 2,
                "gortstat: replay: --marks is for --format text");
}

TEST_CASE("an environment the heap cannot use is exit code 2", "[tool][program]") {
  check_failure(gortstat({"replay", "-"}, {.in = kTrace, .env = {{"GOGC", "much"}}}), 2,
                "gortstat: GOGC=much");
}

TEST_CASE("an environment that is odd is said to be so once", "[tool][program]") {
  const Outcome outcome = gortstat({"replay", "-", "--remedy", "all"},
                                   {.in = kTrace, .env = {{"GORT_DEBUG", "fashion=1"}}});
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.err == "gort: GORT_DEBUG: unknown key fashion\n");
}

TEST_CASE("help and version are results: exit code 0, on standard output", "[tool][program]") {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"--help"}, {"replay", "--help"}, {"parity", "--help"}, {"diff", "--help"}}) {
    const Outcome outcome = gortstat(arguments);
    CHECK(outcome.exit_code == 0);
    CHECK(outcome.err.empty());
    CHECK_THAT(outcome.out, Catch::Contains("Example"));
    CHECK(widest_line(outcome.out) <= 88);
  }
  CHECK(gortstat({"--version"}).out == "gortstat " GORT_VERSION "\n");
}

TEST_CASE("bad input is exit code 1 with file and line", "[tool][program]") {
  const ScratchDirectory scratch;
  const std::string bad = scratch.file("bad.trace", "set a\nput b\n");
  check_failure(gortstat({"replay", bad}), 1, bad + ":2: unknown operation \"put\"");
  check_failure(gortstat({"replay", "-"}, {.in = "del\n"}), 1, "-:1: del: KEY is missing");
  check_failure(gortstat({"replay", "-"}), 1, "-: the file is empty");
  const std::string nul = scratch.file("nul", std::string("set a\nset b\0\n", 13));
  check_failure(gortstat({"replay", nul}), 1, nul + ":2: a NUL byte");
  check_failure(gortstat({"replay", scratch.file("empty", "")}), 1, "empty: the file is empty");
  check_failure(gortstat({"replay", scratch / "absent"}), 1, "absent: cannot open: No such file");
  check_failure(gortstat({"replay", scratch / "."}), 1, "cannot read: Is a directory");
  check_failure(gortstat({"parity", bad}), 1, bad + ":1: no JSON");
  check_failure(gortstat({"diff", bad, bad}), 1, bad + ":1: no JSON");
}

TEST_CASE("a file the user may not read is exit code 1", "[tool][program]") {
  if (::geteuid() == 0) return;  // to whom every file is open
  const ScratchDirectory scratch;
  const std::string path = scratch.file("secret", kTrace);
  std::filesystem::permissions(path, std::filesystem::perms::none);
  check_failure(gortstat({"replay", path}), 1, path + ": cannot open: Permission denied");
}

TEST_CASE("memory that is not there is exit code 1 with the line that asks for it",
          "[tool][program]") {
  check_failure(gortstat({"replay", "-"}, {.in = "set a\nset b 18446744073709551615\n"}), 1,
                "-:2: out of memory: no room for a value of 18,446,744,073,709,551,615 bytes");
  check_failure(gortstat({"replay", "-"}, {.in = "set a\nset b 4611686018427387904\n"}), 1,
                "-:2: out of memory: no room for a value");
  check_failure(gortstat({"replay", "-"}, {.in = "set a 99999999999999999999999\n"}), 1,
                "-:1: set: BYTES is too large");
}

TEST_CASE("a file that is named like a command is a file", "[tool][program]") {
  const ScratchDirectory scratch;
  (void)scratch.file("parity", kTrace);
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(scratch / ".");
  const Outcome outcome = gortstat({"replay", "parity"});
  std::filesystem::current_path(before);
  CHECK(outcome.exit_code == 0);
}

TEST_CASE("output that cannot be written is exit code 1", "[tool][program]") {
  for (const std::string format : {"text", "json"}) {
    const Outcome full =
        gortstat({"replay", "-", "--format", format}, {.in = kTrace, .stdout_to = "/dev/full"});
    CHECK(full.exit_code == 1);
    CHECK(full.err == "gortstat: standard output: cannot write: No space left on device\n");
  }
  CHECK(gortstat({"--help"}, {.stdout_to = "/dev/full"}).exit_code == 1);
  const Outcome closed = gortstat({"replay", "-"}, {.in = kTrace, .close_stdout = true});
  CHECK(closed.exit_code == 1);
  CHECK(closed.err == "gortstat: standard output: cannot write: Bad file descriptor\n");
  check_failure(gortstat({"replay", "-", "-o", "/dev/full"}, {.in = kTrace}), 1,
                "gortstat: /dev/full: cannot write: No space left on device");
}

TEST_CASE("a reader that leaves ends the program as the system does", "[tool][program]") {
  const Outcome killed = gortstat({"replay", "-"}, {.in = kTrace, .reader_leaves = true});
  CHECK(killed.signal == SIGPIPE);
  CHECK(killed.err.empty());
  const Outcome told =
      gortstat({"replay", "-"}, {.in = kTrace, .ignore_sigpipe = true, .reader_leaves = true});
  CHECK(told.exit_code == 1);
  CHECK(told.err == "gortstat: standard output: cannot write: Broken pipe\n");
}

TEST_CASE("an output file is written whole or not at all", "[tool][program]") {
  const ScratchDirectory scratch;
  const std::string trace = scratch.file("good.trace", kTrace);
  const std::string output = scratch.file("report", "old");
  const Outcome outcome = gortstat({"replay", trace, "-o", output});
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.out.empty());
  CHECK(outcome.err.empty());
  CHECK_THAT(contents(output), Catch::StartsWith("Where the memory of a map goes: " + trace));
  CHECK(scratch.file_count() == 2);  // nothing temporary is left

  const std::string before = contents(output);
  const std::string bad = scratch.file("bad.trace", "put\n");
  CHECK(gortstat({"replay", bad, "-o", output}).exit_code == 1);
  CHECK(contents(output) == before);
  check_failure(gortstat({"replay", trace, "-o", trace}), 1,
                "is the input, and would be overwritten");
  CHECK(contents(trace) == kTrace);
  check_failure(gortstat({"replay", trace, "-o", scratch / "no/where"}), 1, "no such directory");
  check_failure(gortstat({"replay", trace, "-o", scratch / "."}), 1, "is a directory");
}

TEST_CASE("an output file that cannot be written is known before the work", "[tool][program]") {
  const ScratchDirectory scratch;
  const std::string trace = scratch.file("bad.trace", "no trace at all\n");
  check_failure(gortstat({"replay", trace, "-o", "/dev/fd/99"}), 1,
                "gortstat: /dev/fd/99: cannot open: Bad file descriptor");
  check_failure(gortstat({"replay", trace, "-o", scratch / std::string(256, 'n')}), 1,
                "cannot write: File name too long");
}

TEST_CASE("a file that grows beyond the limit is exit code 1", "[tool][program]") {
  const ScratchDirectory scratch;
  const std::string output = scratch / "report";
  const Outcome outcome =
      gortstat({"replay", "-", "-o", output}, {.in = kTrace, .file_limit = 1024});
  check_failure(outcome, 1, "gortstat: " + output + ": cannot write: File too large\n");
  CHECK(scratch.file_count() == 0);
}

TEST_CASE("every command writes to a file", "[tool][program]") {
  const ScratchDirectory scratch;
  const std::string dump = scratch / "dump";
  CHECK(gortstat({"replay", "-", "--format", "json", "-o", dump}, {.in = kTrace}).exit_code == 0);
  const std::string golden = kGoldenDirectory + "/int64_grow_300.jsonl";
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"diff", dump, dump}, {"parity", golden}}) {
    std::vector<std::string> to_file = command;
    to_file.insert(to_file.end(), {"-o", scratch / "out"});
    const Outcome outcome = gortstat(to_file);
    CHECK(outcome.exit_code == 0);
    CHECK(outcome.out.empty());
    CHECK(contents(scratch / "out") == gortstat(command).out);
    to_file.back() = command.back();
    check_failure(gortstat(to_file), 1, "is the input, and would be overwritten");
  }
}

TEST_CASE("output to - is standard output", "[tool][program]") {
  const Outcome outcome = gortstat({"replay", "-", "-o", "-"}, {.in = kTrace});
  CHECK(outcome.exit_code == 0);
  CHECK_THAT(outcome.out, Catch::StartsWith("Where the memory of a map goes: -"));
}

TEST_CASE("what is no terminal gets no colour and no progress", "[tool][program]") {
  const Outcome outcome = gortstat({"replay", "-", "--remedy", "all"}, {.in = kTrace});
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.err.empty());
  CHECK(outcome.out.find('\x1b') == std::string::npos);
  CHECK(widest_line(outcome.out) <= 100);
}

TEST_CASE("a terminal is shown how far a slow trace is, however short", "[tool][program]") {
  std::string trace;  // each value is written to, and then garbage
  for (int i = 0; i < 16; ++i) trace += "set a 64000000\n";
  const Outcome outcome =
      gortstat({"replay", "-"}, {.in = trace, .env = {{"TERM", "xterm"}}, .columns = 80});
  CHECK_THAT(outcome.err, Catch::Contains("replaying ") && Catch::Contains(" of 16 ("));
  CHECK_THAT(outcome.err, Catch::EndsWith("\r\x1b[K"));
}

TEST_CASE("a terminal gets colour, unless it or its user wants none", "[tool][program]") {
  RunOptions options = {.in = kTrace, .env = {{"TERM", "xterm"}}, .columns = 80};
  CHECK_THAT(gortstat({"replay", "-"}, options).out, Catch::Contains("\x1b[1m"));
  options.env = {{"TERM", "xterm"}, {"NO_COLOR", "1"}};
  CHECK(gortstat({"replay", "-"}, options).out.find('\x1b') == std::string::npos);
  options.env = {{"TERM", "xterm"},
                 {"NO_COLOR", ""}};  // as if it were not there, says no-color.org
  CHECK_THAT(gortstat({"replay", "-"}, options).out, Catch::Contains("\x1b[1m"));
  options.env = {{"TERM", "dumb"}};
  CHECK(gortstat({"replay", "-"}, options).out.find('\x1b') == std::string::npos);
}

TEST_CASE("a report fits its terminal from 80 to 120 columns", "[tool][program]") {
  for (const std::string& trace : files_in(kTraceDirectory, ".trace")) {
    for (const unsigned short columns : std::initializer_list<unsigned short>{80, 100, 120, 200}) {
      const Outcome outcome = gortstat({"replay", trace, "--remedy", "all", "--marks", "all"},
                                       {.env = {{"TERM", "xterm"}}, .columns = columns});
      INFO(trace << " at " << columns);
      CHECK(outcome.exit_code == 0);
      // The title has the path of the trace, as long as it is.
      const std::size_t title = outcome.out.find('\n');
      CHECK(widest_line(outcome.out.substr(title)) <= std::min<std::size_t>(columns, 120));
    }
  }
}

TEST_CASE("no input can write control codes to a terminal", "[tool][program]") {
  const Outcome shown = gortstat({"replay", "-"}, {.in = "mark \x1b[31mred \xc2\x9b"
                                                         "31m \x9b"
                                                         "31m\nset a\n"});
  CHECK(shown.exit_code == 0);
  CHECK(shown.out.find('\x1b') == std::string::npos);
  CHECK(shown.out.find('\x9b') == std::string::npos);
  CHECK_THAT(shown.out, Catch::Contains("?[31mred"));
  const Outcome error = gortstat({"replay", "-"}, {.in = "\x1b[31m\n"});
  CHECK(error.err.find('\x1b') == std::string::npos);
}

TEST_CASE("no path or argument can write control codes to a terminal", "[tool][program]") {
  const ScratchDirectory scratch;
  const std::string golden = contents(kGoldenDirectory + "/int64_grow_300.jsonl");
  const std::string path = scratch.file("\x1b[31m", golden);
  const Outcome outcome = gortstat({"parity", path});
  CHECK(outcome.exit_code == 0);
  CHECK_THAT(outcome.out, Catch::Contains("/?[31m: ") && !Catch::Contains("\x1b"));
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"replay", path},
                                             {"diff", path, path},
                                             {"replay", "a", "-o", path + "/x"},
                                             {"replay", "a", "--format", path},
                                             {"replay", "a", path}}) {
    const std::string err = gortstat(command).err;
    CHECK_THAT(err, Catch::Contains("?[31m") && !Catch::Contains("\x1b"));
  }
}

TEST_CASE("a byte order mark is skipped", "[tool][program]") {
  const std::string mark = "\xef\xbb\xbf";
  CHECK(gortstat({"replay", "-"}, {.in = mark + kTrace}).exit_code == 0);
  check_failure(gortstat({"replay", "-"}, {.in = mark}), 1, "-: the file is empty");
  const std::string golden = contents(kGoldenDirectory + "/int64_grow_300.jsonl");
  CHECK(gortstat({"parity", "-"}, {.in = mark + golden}).exit_code == 0);
}

TEST_CASE("a seed is decimal, with zeros in front of it or without", "[tool][program]") {
  const Outcome plain =
      gortstat({"replay", "-", "--seed", "10", "--format", "json"}, {.in = kTrace});
  const Outcome zeros =
      gortstat({"replay", "-", "--seed", "010", "--format", "json"}, {.in = kTrace});
  CHECK_THAT(plain.out, Catch::Contains("\"seed\": 10,"));
  CHECK_THAT(zeros.out, Catch::Contains("\"seed\": 10,"));
}

TEST_CASE("standard input is not overwritten by what is read from it", "[tool][program]") {
  const ScratchDirectory scratch;
  const std::string trace = scratch.file("a.trace", kTrace);
  RunOptions options;
  options.stdin_from = trace;
  check_failure(gortstat({"replay", "-", "-o", trace}, options), 1, "is the input");
  CHECK(contents(trace) == kTrace);
}
