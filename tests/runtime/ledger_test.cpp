#include <catch2/catch.hpp>

#include <optional>
#include <vector>

#include <gort/base/os.h>
#include <gort/base/random.h>
#include <gort/gc/collector.h>
#include <gort/tests/runtime/fixture.h>
#include <gort/tests/support/seed.h>

using namespace gort;

namespace {

struct Node {
  Ref<Node> next;
  Map<long, long> map;
  long value = 0;
  GORT_FIELDS(Node, next, map);
};

// The equations compare two snapshots, between which nothing may move.
struct Runtime : gort_test::Runtime {
  explicit Runtime(const Options& options = {}) : gort_test::Runtime(verified(options)) {}
  static Options verified(Options options) {
    options.verify = true;
    return gort_test::quiet(options);
  }
};

// The equations between the ledger (a walk over all spans, pages and maps) and the statistics (fast
// counters). ledger() itself aborts if its places do not sum to what is mapped.
void check_books() {
  const Ledger l = ledger();
  const MemStats s = mem_stats();
  REQUIRE(l.sum() == l.mapped);
  REQUIRE(s.HeapAlloc ==
          l[Place::live] + l[Place::map_live] + l[Place::map_dead] + l[Place::awaiting_sweep]);
  REQUIRE(s.HeapInuse == s.HeapAlloc + l[Place::span_free] + l[Place::span_waste]);
  REQUIRE(s.HeapIdle == l[Place::page_free] + l[Place::returned]);
  REQUIRE(s.HeapReleased == l[Place::returned]);
  REQUIRE(s.HeapSys == s.HeapInuse + s.HeapIdle);
  REQUIRE(s.Sys ==
          s.HeapSys + s.StackSys + s.MSpanSys + s.MCacheSys + s.BuckHashSys + s.GCSys + s.OtherSys);
  REQUIRE(s.HeapObjects == s.Mallocs - s.Frees);
}

}  // namespace

TEST_CASE("the ledger closes after every operation of a random run", "[runtime][ledger]") {
  Random random(gort_test::test_seed());
  Runtime runtime;
  std::vector<Root<Node>> nodes(50);
  std::vector<Root<char>> blocks(20);
  std::vector<Root<Map<long, long>>> maps(10);
  std::vector<Root<Map<String, Ref<Node>>>> named(5);
  check_books();
  for (int step = 0; step < 4000; ++step) {
    const std::uint64_t what = random.below(100);
    const auto key = static_cast<long>(random.below(300));
    if (what < 20) {
      Root<Node>& slot = nodes[random.below(nodes.size())];
      Root<Node> fresh(make<Node>());
      fresh->next = slot.get();
      slot = fresh;
    } else if (what < 30) {
      constexpr std::size_t kSizes[] = {1, 15, 100, 5000, 32768, 40'000, 300'000};
      blocks[random.below(blocks.size())] = make_array<char>(kSizes[random.below(7)]);
    } else if (what < 35) {
      nodes[random.below(nodes.size())] = nullptr;
      blocks[random.below(blocks.size())] = nullptr;
    } else if (what < 60) {
      Root<Map<long, long>>& map = maps[random.below(maps.size())];
      if (*map == nullptr) map = make_map<long, long>(random.below(100));
      for (long i = 0; i < 20; ++i) (*map)[key + i * 7] = i;
    } else if (what < 70) {
      Root<Map<long, long>>& map = maps[random.below(maps.size())];
      for (long i = 0; i < 60; ++i) map->erase(key + i);
    } else if (what < 74) {
      Root<Map<long, long>>& map = maps[random.below(maps.size())];
      if (random.below(2) == 0) {
        map->clear();
      } else {
        map = nullptr;
      }
    } else if (what < 88) {
      Root<Map<String, Ref<Node>>>& map = named[random.below(named.size())];
      if (*map == nullptr) map = make_map<String, Ref<Node>>();
      Root<Node> fresh(make<Node>());
      Root<String> name(make<String>(std::to_string(key)));
      (*map)[*name] = fresh.get();
    } else if (what < 94) {
      Root<Map<String, Ref<Node>>>& map = named[random.below(named.size())];
      map->erase(std::to_string(key));
    } else if (what < 98) {
      collect();
    } else {
      release_os_memory();
    }
    check_books();
  }
}

TEST_CASE("a deleted key's bytes move from map_live to map_dead", "[runtime][ledger]") {
  Runtime runtime;
  Root<Map<long, long>> map(make_map<long, long>(1000));
  for (long i = 0; i < 1000; ++i) (*map)[i] = i;
  const Ledger full = ledger();
  for (long i = 0; i < 500; ++i) map->erase(i);
  const Ledger half = ledger();
  const std::size_t moved = full[Place::map_live] - half[Place::map_live];
  // 17 bytes a cell, and the 8-byte overflow words of buckets that became empty.
  CHECK(moved >= 500 * 17);
  CHECK(moved < 500 * 17 + 256 * 8);
  CHECK(half[Place::map_dead] == full[Place::map_dead] + moved);
  CHECK(half[Reason::dead_cells] > full[Reason::dead_cells]);
  CHECK(half.mapped == full.mapped);
}

TEST_CASE("the way of a dropped map: swept, idle, returned", "[runtime][ledger]") {
  Options options;
  options.gc_percent = -1;
  options.background_scavenger = false;
  Runtime runtime(options);
  Root<Map<long, long>> map(make_map<long, long>(100'000));
  for (long i = 0; i < 100'000; ++i) (*map)[i] = i;
  const std::size_t array = inspect(*map).bytes;
  CHECK(array > 2'000'000);
  const Ledger before = ledger();
  map = nullptr;
  // Not known dead yet: nobody has looked.
  CHECK(ledger()[Place::map_live] == before[Place::map_live]);
  collect();
  const Ledger after = ledger();
  CHECK(after[Place::map_live] == 0);
  CHECK(after[Place::page_free] >= before[Place::page_free] + array - 100'000);
  const std::size_t given_back = release_os_memory();
  CHECK(given_back >= array - 100'000);
  CHECK(ledger()[Place::page_free] == 0);
}

TEST_CASE("free slots beside live objects are pinned", "[runtime][ledger]") {
  Runtime runtime;
  std::vector<Root<Node>> keep;
  for (int i = 0; i < 1000; ++i) {
    Root<Node> node(make<Node>());
    if (i % 10 == 0) keep.push_back(node);
  }
  collect();
  const Ledger l = ledger();
  CHECK(l[Place::live] == 100 * 24);
  CHECK(l[Reason::span_pinned] >= 800 * 24);
}

TEST_CASE("dead objects wait for the sweep until somebody needs their slots", "[runtime][ledger]") {
  Options options;
  options.gc_percent = -1;
  options.background_sweep = false;
  Runtime runtime(options);
  Root<char> keep(make_array<char>(100));
  for (int i = 0; i < 10'000; ++i) make_array<char>(100);
  gc::collector.collect(gc::CycleReason::forced, false);  // marked, not swept
  const Ledger l = ledger();
  CHECK(l[Reason::not_swept] == 10'000 * 112);
  collect();
  CHECK(ledger()[Reason::not_swept] == 0);
}

TEST_CASE("resident memory falls by what release_os_memory reports", "[runtime][release]") {
  Options options;
  options.gc_percent = -1;
  Runtime runtime(options);
  Root<char> block(make_array<char>(256_MiB));
  for (std::size_t i = 0; i < 256_MiB; i += 4096) block.get()[i] = 1;
  const std::size_t before = os::resident_bytes();
  block = nullptr;
  const std::size_t given_back = release_os_memory();
  const std::size_t fallen = before - os::resident_bytes();
  CHECK(given_back >= 256_MiB);
  CHECK(fallen >= 250_MiB);
}
