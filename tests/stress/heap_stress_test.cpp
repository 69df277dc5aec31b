#include <catch2/catch.hpp>

#include <gort/base/counters.h>
#include <gort/tests/support/heap_stress.h>
#include <gort/tests/support/seed.h>

// A million operations of everything, with the checks that find what is freed too early. Repeat a
// failure with the GORT_TEST_SEED that it names.

namespace {

void run(std::size_t lanes, std::size_t generations, const gort::Options& options) {
  constexpr std::size_t kOperations = 1'000'000;
  gort_test::HeapStress stress;
  gort::start(options);
  stress.run(gort_test::test_seed(), lanes, generations, kOperations / lanes / generations);
  stress.forget();
  gort::shutdown();
  CHECK(stress.wrong == 0);
  CHECK(stress.watched > kOperations / 20);
  CHECK(stress.cleaned == stress.watched);
  CHECK(stress.weak_dead > 0);
  CHECK(stress.weak_live > 0);
}

}  // namespace

TEST_CASE("a million operations with verify, poison and gcevery=64", "[.slow][stress]") {
  gort::Options options;
  options.collect_every = 64;
  options.verify = true;
  options.poison = true;
  run(8, 25, options);
}

TEST_CASE("a million operations at the pacer's own rhythm", "[.slow][stress]") {
  gort::Options options;
  options.gc_percent = 20;
  options.poison = true;
  run(12, 10, options);
}

TEST_CASE("a million operations above the memory limit", "[.slow][stress]") {
  gort::Options options;
  options.memory_limit = std::size_t{1} << 20;
  options.poison = true;
  run(8, 10, options);
}
