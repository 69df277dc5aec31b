// Catch2's main, compiled once and shared by all test programs.
//
// Catch2's own signal handlers stay out: the collector stops threads with signals, the fatal-path
// tests die on purpose, and a sanitizer's report of a crash says more. ctest runs every test case
// in a process of its own, so a crash is still charged to the right test.
#define CATCH_CONFIG_NO_POSIX_SIGNALS
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include <cstdlib>

int main(int argc, char** argv) {
  // What the runtime reads: what the tests expect are its defaults.
  for (const char* name : {"GOGC", "GOMEMLIMIT", "GORT_DEBUG"}) ::unsetenv(name);
  return Catch::Session().run(argc, argv);
}
