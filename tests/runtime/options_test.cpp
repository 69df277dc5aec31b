#include <catch2/catch.hpp>

#include <csignal>
#include <cstdlib>
#include <stdexcept>

#include <unistd.h>

#include <gort/runtime/options.h>
#include <gort/tests/support/child.h>

using namespace gort;

namespace {

// An environment variable for the length of a scope.
struct Environment {
  const char* name;
  Environment(const char* n, const char* value) : name(n) { ::setenv(name, value, 1); }
  ~Environment() { ::unsetenv(name); }
};

}  // namespace

TEST_CASE("memory limits have Go's syntax", "[runtime][options]") {
  CHECK(parse_memory_limit("off") == kNoMemoryLimit);
  CHECK(parse_memory_limit("1000") == 1000);
  CHECK(parse_memory_limit("1000B") == 1000);
  CHECK(parse_memory_limit("3KiB") == 3072);
  CHECK(parse_memory_limit("512MiB") == 536'870'912);
  CHECK(parse_memory_limit("2GiB") == 2'147'483'648);
  CHECK(parse_memory_limit("1TiB") == std::size_t{1} << 40);
}

TEST_CASE("memory limits that Go refuses are refused, naming the text", "[runtime][options]") {
  for (const char* text : {"", "MiB", "12MB", "-1", "1.5GiB", "12 MiB", "99999999999999999999",
                           "20000000TiB", "0x10"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_memory_limit(text), std::invalid_argument);
  }
  CHECK_THROWS_WITH(parse_memory_limit("12MB"), Catch::Contains("GOMEMLIMIT=12MB"));
}

TEST_CASE("the environment changes the defaults", "[runtime][options]") {
  CHECK(Options::from_environment().gc_percent == 100);
  const Environment gogc("GOGC", "50");
  const Environment limit("GOMEMLIMIT", "64MiB");
  const Environment debug(
      "GORT_DEBUG",
      "gctrace=1,scavtrace=1,scavenger=0,gcevery=7,verify=1,,poison=1,stacks=0,markers=3,bgsweep=0,"
      "stopsignal=10");
  const Options options = Options::from_environment();
  CHECK(options.gc_percent == 50);
  CHECK(options.memory_limit == 67'108'864);
  CHECK(options.gctrace);
  CHECK(options.scavtrace);
  CHECK_FALSE(options.background_scavenger);
  CHECK(options.verify);
  CHECK(options.poison);
  CHECK(options.markers == 3);
  CHECK(options.collect_every == 7);
  CHECK_FALSE(options.conservative_stacks);
  CHECK_FALSE(options.background_sweep);
  CHECK(options.stop_signal == 10);
}

TEST_CASE("an empty variable is none", "[runtime][options]") {
  const Environment gogc("GOGC", "");
  const Environment limit("GOMEMLIMIT", "");
  const Environment debug("GORT_DEBUG", "");
  const Options options = Options::from_environment();
  CHECK(options.gc_percent == 100);
  CHECK(options.memory_limit == kNoMemoryLimit);
  CHECK(options.stop_signal == kDefaultStopSignal);
}

TEST_CASE("GOMEMLIMIT=off is no limit", "[runtime][options]") {
  const Environment limit("GOMEMLIMIT", "off");
  CHECK(Options::from_environment().memory_limit == kNoMemoryLimit);
}

TEST_CASE("GOGC=off turns the heap goal off", "[runtime][options]") {
  const Environment gogc("GOGC", "off");
  CHECK(Options::from_environment().gc_percent < 0);
}

TEST_CASE("an unusable value names its variable", "[runtime][options]") {
  {
    const Environment gogc("GOGC", "many");
    CHECK_THROWS_WITH(Options::from_environment(), Catch::Contains("GOGC=many"));
  }
  for (const char* text : {"gcevery=x", "gcevery=", "stopsignal=9999", "stopsignal=-1"}) {
    const Environment debug("GORT_DEBUG", text);
    CHECK_THROWS_WITH(Options::from_environment(),
                      Catch::Contains("GORT_DEBUG") && Catch::Contains(text));
  }
  const Environment debug("GORT_DEBUG", "gctrace=1,verify");
  CHECK_THROWS_WITH(Options::from_environment(), Catch::Contains("GORT_DEBUG=verify"));
}

// As in Go: it may be meant for another version.
TEST_CASE("of a key that nobody knows standard error is told, and the others count",
          "[runtime][options]") {
  const Environment debug("GORT_DEBUG", "madvdontneed=1,gctrace=1");
  const auto result = gort_test::in_child([] {
    if (!Options::from_environment().gctrace) ::_exit(1);
  });
  CHECK(result.exit_code == 0);
  CHECK(result.errors == "gort: GORT_DEBUG: unknown key madvdontneed\n");
}
