// The background evacuator: it finishes growths that nobody else finishes, in steps no larger than
// asked for, and is never in the way of the end of anything: a map, the runtime, a process.

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <gort/base/random.h>
#include <gort/hashmap/locked_map.h>
#include <gort/runtime/ledger.h>
#include <gort/tests/hashmap/samples.h>
#include <gort/tests/support/child.h>
#include <gort/tests/support/seed.h>

using namespace gort;
using namespace gort_test;

namespace {

using hashmap::evacuator;
using Locked = LockedMap<long, long>;

constexpr long kGrows = 417;  // so many pairs begin the growth from 64 buckets to 128

void fill(Locked& map, long count) {
  for (long i = 0; i < count; ++i) map.store(i, i);
}

// Reads alone, so that the growth counts as stalled.
template <class M>
void wait_for_end_of_growth(const M& map) {
  while (map.growing()) {
    const Blocking blocking;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

std::size_t chains_to_move(Locked& map) {
  return map.with_lock([](const Map<long, long>& m) {
    std::size_t chains = 0;
    hashmap::ArrayView(*m.header(), m.type(), true)
        .for_each_bucket([&chains](const hashmap::BucketView& bucket) {
          chains += bucket.position == 0 && !bucket.tops().evacuated();
        });
    return chains;
  });
}

void check_whole(Locked& map, long count) {
  REQUIRE(map.size() == static_cast<std::size_t>(count));
  for (long i = 0; i < count; ++i) REQUIRE(map.load(i) == i);
  map.with_lock([](const Map<long, long>& m) {
    const char* wrong = hashmap::find_inconsistency(m.header(), m.type());
    if (wrong != nullptr) FAIL(wrong);
  });
}

}  // namespace

TEST_CASE("a stalled growth ends with no write to the map", "[hashmap][policy][evacuator]") {
  const Runtime runtime;
  Locked map;
  fill(map, kGrows);
  REQUIRE(map.growing());
  collect();
  CHECK(ledger()[Reason::growth_stalled] > 0);
  const std::size_t before = mem_stats().HeapAlloc;

  map.evacuate_in_background();
  wait_for_end_of_growth(map);
  collect();
  CHECK(ledger()[Reason::growth_stalled] == 0);
  CHECK(before - mem_stats().HeapAlloc >= 64 * 144);
  check_whole(map, kGrows);
}

TEST_CASE("a map that has not asked is left alone", "[hashmap][policy][evacuator]") {
  const Runtime runtime;
  Locked map;
  fill(map, kGrows);
  Locked other;
  other.evacuate_in_background();
  fill(other, kGrows);
  wait_for_end_of_growth(other);
  CHECK(map.growing());
}

TEST_CASE("a growth that begins later is finished too", "[hashmap][policy][evacuator]") {
  const Runtime runtime;
  Locked map;
  map.evacuate_in_background();
  for (long count = kGrows; count < 8 * kGrows; count = 2 * count - 1) {
    fill(map, count);
    wait_for_end_of_growth(map);
    check_whole(map, count);
  }
}

TEST_CASE("a background step keeps to its budget", "[hashmap][policy][evacuator]") {
  const Runtime runtime;
  struct Case {
    EvacuationBudget budget;
    std::size_t chains_a_step;
  };
  const Case cases[] = {{{.chains = 1}, 1},
                        {{.chains = 7, .ns = std::int64_t{1} << 40}, 7},
                        {{.chains = 1000, .ns = 0}, 4}};  // the least that it does
  for (const Case& c : cases) {
    Locked map;
    fill(map, kGrows);
    const std::size_t chains = chains_to_move(map);
    const std::uint64_t steps = evacuator.figures().steps;
    map.evacuate_in_background(c.budget);
    wait_for_end_of_growth(map);
    evacuator.stop();  // the last step is counted after the lock is released
    const std::uint64_t expected = (chains + c.chains_a_step - 1) / c.chains_a_step;
    CHECK(evacuator.figures().steps - steps == expected);
  }
}

// Two readers, of whom one always holds the lock: each until the other has come, and a little
// longer.
TEST_CASE("readers without a gap do not hold off the evacuator", "[hashmap][policy][evacuator]") {
  const Runtime runtime;
  Locked map;
  fill(map, kGrows);
  std::atomic<bool> over{false};
  std::atomic<long> arrived{0};
  const auto read = [&] {
    while (!over) {
      const long mine = ++arrived;
      map.range([&](long, long) {
        for (int i = 0, after = 0; i < 100 && after < 10; ++i) {
          after += arrived != mine;
          std::this_thread::yield();
        }
        if (!map.growing()) over = true;
        return false;
      });
      safepoint();
    }
  };
  std::thread other([&read] {
    const AttachThread attach;
    read();
  });
  map.evacuate_in_background();
  read();
  {
    const Blocking blocking;
    other.join();
  }
  check_whole(map, kGrows);
}

TEST_CASE("LockedMap: evacuate does as much as it is asked for", "[hashmap][policy][evacuator]") {
  const Runtime runtime;
  Locked map;
  fill(map, kGrows);
  const std::size_t chains = chains_to_move(map);
  CHECK(map.evacuate(10) > 0);
  CHECK(chains_to_move(map) == chains - 10);
  CHECK(map.evacuate(1000) == 0);
  CHECK_FALSE(map.growing());
}

TEST_CASE("a map may go while its evacuation is due", "[hashmap][policy][evacuator]") {
  const Runtime runtime;
  Locked stays;
  stays.evacuate_in_background({.chains = 1});
  fill(stays, kGrows);
  collect();
  const std::size_t before = mem_stats().HeapAlloc;
  for (int round = 0; round < 100; ++round) {
    Locked map;
    map.evacuate_in_background({.chains = 1});
    fill(map, kGrows);
  }
  wait_for_end_of_growth(stays);
  collect();
  CHECK(mem_stats().HeapAlloc <= before);  // nobody holds the maps
  check_whole(stays, kGrows);
}

TEST_CASE("shutdown ends the evacuator in the middle of a growth", "[hashmap][policy][evacuator]") {
  for (int round = 0; round < 20; ++round) {
    const std::uint64_t threads = evacuator.figures().threads;
    const Runtime runtime;
    auto map = std::make_unique<Locked>();
    map->evacuate_in_background({.chains = 1});
    fill(*map, 2 * kGrows);
    CHECK(evacuator.figures().threads == threads + 1);
    if (round % 2 == 0) evacuator.stop();
  }
}

TEST_CASE("threads write, read and pause beside the evacuator",
          "[hashmap][policy][evacuator][concurrent]") {
  const Runtime runtime({.gc_percent = 20, .verify = true});
  constexpr int kMaps = 3;
  std::vector<std::unique_ptr<LockedMap<long, Ref<Node>>>> maps;
  for (int i = 0; i < kMaps; ++i) {
    maps.push_back(std::make_unique<LockedMap<long, Ref<Node>>>());
    maps.back()->evacuate_in_background({.chains = static_cast<std::size_t>(1 + 8 * i)});
  }
  std::atomic<long> wrong{0};
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      const AttachThread attach;
      Random random(test_seed() + t);
      for (long i = 0; i < 30000; ++i) {
        auto& map = *maps[random.below(kMaps)];
        const long key = static_cast<long>(random.below(4000));
        const std::uint64_t choice = random.below(1000);
        if (choice < 400) {
          const Root<Node> node(Sample<Ref<Node>>::make(key).get());
          map.store(key, node.get());
        } else if (choice < 600) {
          map.erase(key);
        } else if (choice < 997) {
          const auto node = map.load(key);
          wrong += node && (*node)->value != key;
        } else if (choice < 998) {
          map.with_lock([](const auto& m) { shrink_to_fit(m); });
        } else {
          const Blocking blocking;
          std::this_thread::sleep_for(std::chrono::milliseconds(3));
        }
      }
    });
  }
  {
    const Blocking blocking;
    for (std::thread& thread : threads) thread.join();
  }
  CHECK(wrong == 0);
  for (const auto& map : maps) {
    wait_for_end_of_growth(*map);
    map->with_lock([](const Map<long, Ref<Node>>& m) {
      CHECK(hashmap::find_inconsistency(m.header(), m.type()) == nullptr);
    });
  }
}

#if !GORT_TSAN  // it ends the child of a process that has threads

TEST_CASE("a child of fork has whole maps and an evacuator of its own",
          "[hashmap][policy][evacuator][fork]") {
  const Runtime runtime;
  {  // The evacuator's thread must have begun before the first fork: see tests/gc/fork_test.cpp.
    Locked map;
    map.evacuate_in_background({.chains = 1});
    fill(map, kGrows);
    wait_for_end_of_growth(map);
  }
  for (int round = 0; round < 20; ++round) {
    Locked map;
    map.evacuate_in_background({.chains = 1});
    fill(map, kGrows);
    const ChildResult child = in_child([&map] {
      ::alarm(60);
      // Whatever was under way in the parent: a write asks again.
      map.store(0, 0);
      wait_for_end_of_growth(map);
      for (long i = 0; i < kGrows; ++i) {
        if (map.load(i) != i) ::_exit(1);
      }
    });
    CHECK(child.signal == 0);
    CHECK(child.exit_code == 0);
    wait_for_end_of_growth(map);
    check_whole(map, kGrows);
  }
}

#endif
