#include <catch2/catch.hpp>

#include <gort/base/counters.h>
#include <gort/tests/support/heap_stress.h>
#include <gort/tests/support/seed.h>

// The small version of tests/stress/heap_stress_test.cpp.

TEST_CASE("eight threads do everything at once, with a collection at every 64th allocation",
          "[runtime][stress]") {
  const std::uint64_t seed = gort_test::test_seed();
  INFO("GORT_TEST_SEED=" << seed);
  gort::Options options;
  options.collect_every = 64;
  options.verify = true;
  options.poison = true;
  const std::uint64_t cycles = gort::counters.cycles.load_relaxed();
  gort_test::HeapStress stress;
  gort::start(options);
  stress.run(seed, 8, 3, 500);
  stress.forget();
  gort::shutdown();
  CHECK(stress.wrong == 0);
  CHECK(stress.cleaned == stress.watched);
  CHECK(gort::counters.cycles.load_relaxed() - cycles >= 20);
}
