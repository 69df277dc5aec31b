#include <catch2/catch.hpp>

#include <cstring>
#include <filesystem>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gort/tests/tool/run_gortstat.h>
#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/output.h>

using namespace gort::tool;
using gort_test::contents;
using gort_test::ScratchDirectory;
namespace fs = std::filesystem;

TEST_CASE("a file is replaced as a whole and keeps its mode", "[tool][output]") {
  const ScratchDirectory scratch;
  const std::string path = scratch.file("out", "old and longer");
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write | fs::perms::others_read);
  const auto mode = fs::status(path).permissions();
  // Another name for the old contents: a file that is written in place would change it too.
  fs::create_hard_link(path, scratch / "other");
  write_file(path, "new");
  CHECK(contents(path) == "new");
  CHECK(contents(scratch / "other") == "old and longer");
  CHECK(fs::status(path).permissions() == mode);
  CHECK(scratch.file_count() == 2);
}

TEST_CASE("a name may be as long as names are, and leftovers are in nobody's way",
          "[tool][output]") {
  const ScratchDirectory scratch;
  const std::string left = ".gortstat-" + std::to_string(::getpid()) + "-0";
  (void)scratch.file(left, "left by an earlier process of that number");
  const std::string path = scratch / std::string(255, 'n');
  CHECK_NOTHROW(check_output_path(path, {"-"}));
  write_file(path, "text");
  CHECK(contents(path) == "text");
  CHECK(contents(scratch / left) == "left by an earlier process of that number");
  CHECK(scratch.file_count() == 2);
  const mode_t mask = ::umask(0);
  (void)::umask(mask);
  CHECK((fs::status(path).permissions() & fs::perms::mask) == static_cast<fs::perms>(0666 & ~mask));
}

TEST_CASE("symbolic links are followed, also to a file that is not there yet", "[tool][output]") {
  const ScratchDirectory scratch;
  fs::create_symlink("second", scratch / "first");
  fs::create_symlink(scratch / "target", scratch / "second");
  for (const char* text : {"one", "two"}) {
    write_file(scratch / "first", text);
    CHECK(contents(scratch / "target") == text);
  }
  CHECK(fs::is_symlink(scratch / "first"));
  CHECK(fs::is_symlink(scratch / "second"));
  CHECK(scratch.file_count() == 3);
}

TEST_CASE("links that lead nowhere end", "[tool][output]") {
  const ScratchDirectory scratch;
  fs::create_symlink(scratch / "b", scratch / "a");
  fs::create_symlink(scratch / "a", scratch / "b");
  write_file(scratch / "a", "text");
  CHECK(scratch.file_count() == 2);
}

TEST_CASE("an open descriptor is written to, whatever it is open on", "[tool][output]") {
  const ScratchDirectory scratch;
  const std::string log = scratch.file("log", "");
  const int descriptor = ::open(log.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  REQUIRE(descriptor >= 0);
  const auto say = [descriptor](const char* text) {
    REQUIRE(::write(descriptor, text, std::strlen(text)) > 0);
  };
  say("before\n");
  write_file("/dev/fd/" + std::to_string(descriptor), "one\n");
  fs::create_symlink("/proc/self/fd/" + std::to_string(descriptor), scratch / "link");
  write_file(scratch / "link", "two\n");
  say("after\n");
  ::close(descriptor);
  CHECK(contents(log) == "before\none\ntwo\nafter\n");
  CHECK_THROWS_AS(write_file("/dev/fd/" + std::to_string(descriptor), "x"), Failure);
}

TEST_CASE("what cannot be written leaves nothing behind", "[tool][output]") {
  const ScratchDirectory scratch;
  CHECK_THROWS_AS(write_file(scratch / "no/where", "x"), Failure);
  CHECK_THROWS_AS(write_file("/dev/full", "x"), Failure);
  CHECK_THROWS_AS(write_file(scratch / ".", "x"), Failure);
  CHECK(scratch.file_count() == 0);
}

TEST_CASE("a bad output path is known before the work", "[tool][output]") {
  const ScratchDirectory scratch;
  const std::string input = scratch.file("in", "x");
  CHECK_THROWS_AS(check_output_path(scratch / ".", {input}), Failure);
  CHECK_THROWS_AS(check_output_path(scratch / "no/where", {input}), Failure);
  CHECK_THROWS_AS(check_output_path(input, {input}), Failure);
  fs::create_symlink(input, scratch / "link");
  CHECK_THROWS_AS(check_output_path(scratch / "link", {input}), Failure);
  CHECK_NOTHROW(check_output_path(scratch / "new", {input}));
  CHECK_NOTHROW(check_output_path("/dev/null", {input}));
  CHECK_NOTHROW(check_output_path("-", {input}));
  CHECK_THROWS_AS(check_output_path(input, {"-", input}), Failure);
  CHECK_THROWS_AS(check_output_path("/dev/fd/99", {input}), Failure);
  const int read_only = ::open(input.c_str(), O_RDONLY | O_CLOEXEC);
  CHECK_THROWS_AS(check_output_path("/dev/fd/" + std::to_string(read_only), {"-"}), Failure);
  ::close(read_only);
  CHECK_THROWS_AS(check_output_path(scratch / std::string(256, 'n'), {input}), Failure);
  CHECK(scratch.file_count() == 2);  // the input and the link to it
  CHECK_NOTHROW(check_output_path(scratch / "new", {"-"}));
  if (::geteuid() == 0) return;  // who may write everywhere
  fs::permissions(scratch / ".", fs::perms::owner_read | fs::perms::owner_exec);
  CHECK_THROWS_AS(check_output_path(scratch / "new", {input}), Failure);
  fs::permissions(scratch / ".", fs::perms::owner_all);
}
