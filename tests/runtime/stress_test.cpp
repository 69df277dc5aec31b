#include <catch2/catch.hpp>

#include <gort/base/counters.h>
#include <gort/tests/support/heap_stress.h>
#include <gort/tests/support/seed.h>

// The small version of tests/stress/heap_stress_test.cpp.

TEST_CASE("eight threads do everything at once, with a collection at every 64th allocation",
          "[runtime][stress]") {
  gort::Options options;
  options.collect_every = 64;
  options.verify = true;
  options.poison = true;
  const std::uint64_t before = gort::counters.cycles.load_relaxed();
  const auto cycles = [before] { return gort::counters.cycles.load_relaxed() - before; };
  gort_test::HeapStress stress;
  gort::start(options);
  // Whoever asks for a cycle while one is about to begin gets the same one: how many there will be
  // is a matter of speed.
  for (std::uint64_t round = 0; round < 10 && cycles() < 20; ++round) {
    stress.run(gort_test::test_seed() + round, 8, 3, 500);
  }
  stress.forget();
  gort::shutdown();
  CHECK(stress.wrong == 0);
  CHECK(stress.cleaned == stress.watched);
  CHECK(cycles() >= 20);
}
