#include <catch2/catch.hpp>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <regex>
#include <sstream>

#include <fmt/format.h>

#include <gort/base/os.h>
#include <gort/gort.h>
#include <gort/runtime/gctrace.h>
#include <gort/tests/support/child.h>

using namespace gort;

namespace {

std::atomic<bool> no_memory{false};

}  // namespace

// Not inlined: where the compiler sees one of a pair it warns of the other.
GORT_NOINLINE void* operator new(std::size_t bytes) {
  void* const block = no_memory ? nullptr : std::malloc(bytes);
  return block != nullptr ? block : throw std::bad_alloc();
}
// Of its own, as a sanitizer's would not go by way of the one above.
GORT_NOINLINE void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return std::malloc(bytes);
}
GORT_NOINLINE void operator delete(void* block) noexcept { std::free(block); }
GORT_NOINLINE void operator delete(void* block, std::size_t) noexcept { std::free(block); }

TEST_CASE("times have Go's two digits", "[runtime][gctrace]") {
  CHECK(gctrace_ms(0) == "0");
  CHECK(gctrace_ms(999) == "0");
  CHECK(gctrace_ms(1'000) == "0.001");
  CHECK(gctrace_ms(1'999) == "0.001");
  CHECK(gctrace_ms(12'345) == "0.012");
  CHECK(gctrace_ms(99'999) == "0.099");
  CHECK(gctrace_ms(100'000) == "0.10");
  CHECK(gctrace_ms(123'456) == "0.12");
  CHECK(gctrace_ms(999'999) == "0.99");
  CHECK(gctrace_ms(1'000'000) == "1.0");
  CHECK(gctrace_ms(1'234'567) == "1.2");
  CHECK(gctrace_ms(9'999'999) == "9.9");
  CHECK(gctrace_ms(10'000'000) == "10");
  CHECK(gctrace_ms(12'345'678) == "12");
  CHECK(gctrace_ms(1'234'567'890) == "1234");
}

TEST_CASE("a line has Go's shape", "[runtime][gctrace]") {
  gc::CycleRecord cycle;
  cycle.number = 7;
  cycle.reason = gc::CycleReason::forced;
  cycle.start_ns = 1'186'999'999;
  cycle.first_stop_ns = 5'000;
  cycle.mark_ns = 2'500'000;
  cycle.last_stop_ns = 120'000;
  cycle.assist_ns = 30'000;
  cycle.mark_cpu_ns = 2'100'000;
  cycle.idle_ns = 1'400'000;
  cycle.heap_start = 40 << 20;
  cycle.heap_end = 44 << 20;
  cycle.marked = 12 << 20;
  cycle.goal = 81 << 20;
  cycle.stack_bytes = (3 << 20) - 1;
  cycle.root_bytes = 5 << 20;
  const auto p = static_cast<std::int64_t>(os::processors());
  CHECK(gctrace_line(cycle, 1'000'000'000, 3) ==
        fmt::format("gc 7 @0.186s 3%: 0.005+2.5+0.12 ms clock, {}+0.030/2.1/1.4+{} ms cpu, "
                    "40->44->12 MB, 81 MB goal, 2 MB stacks, 5 MB globals, {} P (forced)",
                    gctrace_ms(5'000 * p), gctrace_ms(120'000 * p), p));
}

TEST_CASE("GORT_DEBUG=gctrace=1 writes one line a collection", "[runtime][gctrace]") {
  const auto result = gort_test::in_child([] {
    ::setenv("GORT_DEBUG", "gctrace=1", 1);
    start();
    for (int i = 0; i < 3; ++i) collect();
    shutdown();
  });
  CHECK(result.exit_code == 0);
  const std::regex line(
      R"(gc \d+ @\d+\.\d{3}s \d+%: [\d.]+\+[\d.]+\+[\d.]+ ms clock, [\d.]+\+[\d./]+\+[\d.]+ ms cpu, )"
      R"(\d+->\d+->\d+ MB, \d+ MB goal, \d+ MB stacks, \d+ MB globals, \d+ P( \(forced\))?)");
  std::istringstream lines(result.errors);
  int count = 0;
  for (std::string text; std::getline(lines, text); ++count) {
    CAPTURE(text);
    CHECK(std::regex_match(text, line));
  }
  CHECK(count == 3);
}

TEST_CASE("a cycle that finds no memory for its trace goes without", "[runtime][gctrace]") {
  const auto result = gort_test::in_child([] {
    ::setenv("GORT_DEBUG", "gctrace=1", 1);
    start();
    no_memory = true;
    collect();
    collect();
    no_memory = false;
    shutdown();
  });
  CHECK(result.exit_code == 0);
  const std::string line = "gort: no memory for the trace of a cycle\n";
  CHECK(result.errors == line + line);
}
