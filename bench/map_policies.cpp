// What each map policy gives back and what it costs: a map of 2^20 pairs of longs (or as many as
// the argument says), all but 1 in 100 erased, then the policy. One line a policy: bytes of the
// heap before and after a collection, and the time it took. docs/map_policies.md has the table.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include <gort/gort.h>
#include <gort/hashmap/locked_map.h>
#include <gort/hashmap/policies.h>
#include <gort/hashmap/shrinking_map.h>
#include <gort/hashmap/sync_map.h>

namespace {

using Clock = std::chrono::steady_clock;
using LongMap = gort::Map<long, long>;

template <class F>
double microseconds(F&& f) {
  const auto start = Clock::now();
  f();
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

std::size_t heap_bytes() {
  gort::collect();
  return gort::mem_stats().HeapAlloc;
}

gort::Root<LongMap> emptied(long pairs) {
  const gort::Root<LongMap> map = gort::make_map<long, long>();
  for (long i = 0; i < pairs; ++i) (*map)[i] = i;
  for (long i = 0; i < pairs; ++i) {
    if (i % 100 != 0) map->erase(i);
  }
  return map;
}

template <class F>
void measure(const char* name, long pairs, F&& policy) {
  gort::Root<LongMap> map = emptied(pairs);
  const std::size_t before = heap_bytes();
  const double time = microseconds([&] { policy(map); });
  const std::size_t after = heap_bytes();
  std::printf("%-20s %12zu -> %12zu bytes  %10.1f us  %8zu pairs\n", name, before, after, time,
              map->size());
}

void measure_shrinking(long pairs) {
  gort::ShrinkingMap<long, long> map;
  double longest = 0;
  for (long i = 0; i < pairs; ++i) map.insert_or_assign(i, i);
  const std::size_t before = heap_bytes();
  double total = 0;
  const auto erase = [&](long key) {
    const double time = microseconds([&] { map.erase(key); });
    longest = time > longest ? time : longest;
    total += time;
  };
  for (long i = 0; i < pairs; ++i) {
    if (i % 100 != 0) erase(i);
  }
  std::printf("%-20s %12zu -> %12zu bytes  %10.1f us in all, longest write %.1f us\n",
              "ShrinkingMap", before, heap_bytes(), total, longest);
}

// A growth of the largest array that fits `pairs`, stalled half way: what the heap holds there, and
// what moving a chain cost. A loop came before, as in most programs.
void measure_wipe(const char* name, long pairs, bool wipe) {
  const gort::Root<LongMap> map = gort::make_map<long, long>();
  gort::wipe_eagerly(*map, wipe);
  long i = 0;
  while (map->header()->bucket_count() * 13 < static_cast<std::size_t>(pairs)) (*map)[++i] = i;
  while (!map->header()->growing()) (*map)[++i] = i;
  for (const auto& pair : *map) (void)pair;
  gort::evacuate(*map);
  for (const auto& pair : *map) (void)pair;
  while (!map->header()->growing()) (*map)[++i] = i;
  const std::size_t old_chains = map->header()->old_bucket_count();
  const std::size_t before = heap_bytes();
  const double time = microseconds([&] { gort::evacuate(*map, old_chains / 2); });
  std::printf("%-20s %12zu -> %12zu bytes half way  %8.1f ns a chain  %8zu old chains\n", name,
              before, heap_bytes(), time * 2000 / static_cast<double>(old_chains), old_chains);
}

// A stalled growth that the background evacuator finishes: what it gives back, how long it takes,
// and how long a store at any moment of it takes; it must wait for the step that is under way.
void measure_background(long pairs) {
  gort::LockedMap<long, long> map;
  map.evacuate_in_background();
  long i = 0;
  while (i * 2 < pairs || !map.growing()) map.store(++i, i);
  const std::size_t before = heap_bytes();
  double longest = 0;
  long stores = 0;
  const double time = microseconds([&] {
    while (map.growing()) {
      const double store = microseconds([&] { map.store(1, 1); });
      longest = store > longest ? store : longest;
      ++stores;
      const gort::Blocking blocking;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  std::printf("%-20s %12zu -> %12zu bytes  %10.1f us  longest of %ld stores meanwhile %.1f us\n",
              "in background", before, heap_bytes(), time, stores, longest);
}

// The three concurrent maps, used by one thread: what reading and clearing cost.
template <class M>
void measure_concurrent(const char* name, long pairs, M& map) {
  const long reads = 4 * pairs;
  long sum = 0;
  for (int warm = 0; warm < 2; ++warm) {
    for (long i = 0; i < pairs; ++i) sum += *map.load(i);
  }
  const double read = microseconds([&] {
    for (long i = 0; i < reads; ++i) sum += *map.load(i % pairs);
  });
  const double clear = microseconds([&] { map.clear(); });
  std::printf("%-20s %8.1f ns a read  clear %10.1f us  (checksum %ld)\n", name,
              read * 1000 / static_cast<double>(reads), clear, sum);
}

}  // namespace

int main(int argc, char** argv) {
  const long pairs = argc > 1 ? std::atol(argv[1]) : 1 << 20;
  // Roots alone keep maps alive, so that no stale word on the stack counts.
  gort::start(gort::Options{.conservative_stacks = false});
  measure("nothing", pairs, [](const LongMap&) {});
  measure("erase loop", pairs, [](const LongMap& m) {
    for (const auto& pair : m) m.erase(pair.key);
  });
  measure("nil", pairs, [](gort::Root<LongMap>& m) { m = nullptr; });
  measure("remake", pairs, [](gort::Root<LongMap>& m) {
    const gort::Root<LongMap> fresh = gort::make_map<long, long>(m->size());
    for (const auto& [key, value] : *m) (*fresh)[key] = value;
    m = fresh.get();
  });
  measure("clear", pairs, [](const LongMap& m) { m.clear(); });
  measure("clear_sparse", pairs, [](const LongMap& m) { gort::clear_sparse(m); });
  measure("clear_and_release", pairs, [](const LongMap& m) { gort::clear_and_release(m); });
  measure("evacuate", pairs, [](const LongMap& m) { gort::evacuate(m); });
  measure("compact", pairs, [](const LongMap& m) { gort::compact(m); });
  measure("shrink_to_fit", pairs, [](const LongMap& m) { gort::shrink_to_fit(m); });
  measure("rebuild, half", pairs,
          [](const LongMap& m) { gort::rebuild(m, 0, [](long k, long) { return k % 200 == 0; }); });
  measure_shrinking(pairs);
  measure_background(pairs);
  measure_wipe("growth", pairs, false);
  measure_wipe("growth, wipe_eagerly", pairs, true);
  {
    gort::SyncMap<long, long> map;
    for (long i = 0; i < pairs; ++i) map.store(i, i);
    measure_concurrent("SyncMap", pairs, map);
  }
  {
    gort::LockedMap<long, long> map;
    for (long i = 0; i < pairs; ++i) map.store(i, i);
    measure_concurrent("LockedMap", pairs, map);
  }
  {
    gort::SnapshotMap<long, long> map;
    map.update([pairs](const LongMap& copy) {
      for (long i = 0; i < pairs; ++i) copy[i] = i;
    });
    measure_concurrent("SnapshotMap", pairs, map);
  }
  return 0;
}
