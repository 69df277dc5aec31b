#include <catch2/catch.hpp>

#include <cstdlib>
#include <stdexcept>

#include <gort/runtime/options.h>

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
      "gctrace=1,scavtrace=1,scavenger=0,gcevery=7,verify=1,,poison=1,stacks=0,markers=3");
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
  const Environment debug("GORT_DEBUG", "gcevery=x");
  CHECK_THROWS_WITH(Options::from_environment(), Catch::Contains("gcevery=x"));
}
