#include <catch2/catch.hpp>

#include <csignal>

#include <gort/base/fatal.h>
#include <gort/tests/support/child.h>

using namespace gort;

TEST_CASE("fatal writes one line and aborts", "[base][fatal]") {
  const auto result = gort_test::in_child([] { fatal("page {} is on no list", 42); });
  CHECK(result.signal == SIGABRT);
  CHECK(result.errors == "gort: fatal: page 42 is on no list\n");
}

TEST_CASE("a check names its condition", "[base][fatal]") {
  const auto result = gort_test::in_child([] {
    volatile int x = 1;
    GORT_CHECK(x == 2, "x is {}", 1);
  });
  CHECK(result.signal == SIGABRT);
  CHECK(result.errors == "gort: fatal: check failed: x == 2: x is 1\n");
}

TEST_CASE("Go's fatal errors have Go's text and exit status", "[base][fatal]") {
  const auto result = gort_test::in_child([] { go_fatal("concurrent map writes"); });
  CHECK(result.exit_code == 2);
  CHECK(result.errors == "fatal error: concurrent map writes\n");
}

TEST_CASE("a message that is too long is cut, not lost", "[base][fatal]") {
  const auto result = gort_test::in_child([] { fatal("{}", std::string(5000, 'x')); });
  CHECK(result.errors.size() == std::string("gort: fatal: \n").size() + kFatalMessageMax);
}
