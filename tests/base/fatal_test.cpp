#include <catch2/catch.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>

#include <fcntl.h>
#include <sys/time.h>
#include <unistd.h>

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

// A pipe that is full, until something is read from it a moment later.
template <class F>
std::string read_slowly(int flags, F&& write) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0);
  std::array<char, 4096> page{};
  while (::write(ends[1], page.data(), page.size()) > 0) {
  }
  ::fcntl(ends[1], F_SETFL, flags);
  ::fcntl(ends[0], F_SETFL, 0);
  const int before = ::dup(STDERR_FILENO);
  ::dup2(ends[1], STDERR_FILENO);
  std::string text;
  std::thread reader([&] {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, nullptr);  // signals are for who writes
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    for (ssize_t n = 0; (n = ::read(ends[0], page.data(), page.size())) > 0;) {
      text.append(page.data(), static_cast<std::size_t>(n));
    }
  });
  write();
  ::dup2(before, STDERR_FILENO);
  for (const int end : {before, ends[1]}) ::close(end);
  reader.join();
  ::close(ends[0]);
  return text.substr(text.find_last_of('\0') + 1);
}

TEST_CASE("a line waits for room in a pipe that must not block", "[base][fatal]") {
  int after = 0;
  const std::string text = read_slowly(O_NONBLOCK, [&] {
    errno = 7;
    write_line("late");
    after = errno;
  });
  CHECK(text == "late\n");
  CHECK(after == 7);
}

TEST_CASE("a signal does not cost a line", "[base][fatal]") {
  struct sigaction action {};
  action.sa_handler = [](int) {};  // and no SA_RESTART
  struct sigaction before {};
  ::sigaction(SIGALRM, &action, &before);
  const std::string text = read_slowly(0, [] {
    const itimerval soon{{0, 0}, {0, 10'000}};
    ::setitimer(ITIMER_REAL, &soon, nullptr);
    write_line("interrupted");
  });
  ::sigaction(SIGALRM, &before, nullptr);
  CHECK(text == "interrupted\n");
}
