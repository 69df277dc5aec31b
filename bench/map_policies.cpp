// What each map policy gives back and what it costs: a map of 2^20 pairs of longs (or as many as
// the argument says), all but 1 in 100 erased, then the policy. One line a policy: bytes of the
// heap before and after a collection, and the time it took. Then what else the policies cost: of
// growths in steps, eager wipes, hooks; and concurrent maps. docs/map_policies.md has the tables.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <type_traits>

#include <gort/gort.h>
#include <gort/hashmap/hooked_map.h>
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

struct Payload {
  long words[8];
  GORT_POINTER_FREE();
};

// The value for a key.
template <class V>
V value_for(long i) {
  if constexpr (std::is_same_v<V, long>) {
    return i;
  } else {
    return gort::make<Payload>();
  }
}

// Adds the keys from `i` on until a growth begins.
template <class V>
void grow(const gort::Map<long, V>& map, long& i) {
  while (!map.header()->growing()) {
    map[i] = value_for<V>(i);
    ++i;
  }
}

// A map at the begin of the growth of the largest array that fits `pairs`.
template <class V>
gort::Root<gort::Map<long, V>> stalled(long pairs, bool wipe) {
  const gort::Root<gort::Map<long, V>> map = gort::make_map<long, V>();
  gort::wipe_eagerly(*map, wipe);
  long i = 0;
  while (map->header()->bucket_count() * 13 < static_cast<std::size_t>(pairs)) {
    grow(*map, i);
    gort::evacuate(*map);
  }
  for (const auto& pair : *map) (void)pair;  // a loop came before, as in most programs
  grow(*map, i);
  return map;
}

// Such a growth, stalled half way: what the heap holds there, and what moving a chain cost. Values
// that are references are dropped then: what old copies keep alive is the difference.
template <class V>
void measure_wipe(const char* name, long pairs, bool wipe) {
  const gort::Root<gort::Map<long, V>> map = stalled<V>(pairs, wipe);
  const std::size_t old_chains = map->header()->old_bucket_count();
  const std::size_t before = heap_bytes();
  const double time = microseconds([&] { gort::evacuate(*map, old_chains / 2); });
  if constexpr (!std::is_same_v<V, long>) {
    for (long i = 0; i < static_cast<long>(map->size()); ++i) *map->find(i) = nullptr;
  }
  std::printf("%-20s %12zu -> %12zu bytes half way  %8.1f ns a chain  %8zu old chains\n", name,
              before, heap_bytes(), time * 2000 / static_cast<double>(old_chains), old_chains);
}

// Such a growth, ended by the map's owner in steps of `budget` chains.
void measure_evacuate(long pairs, std::size_t budget) {
  const gort::Root<LongMap> map = stalled<long>(pairs, false);
  const std::size_t before = heap_bytes();
  double total = 0;
  double longest = 0;
  long steps = 0;
  while (map->header()->growing()) {
    const double time = microseconds([&] { gort::evacuate(*map, budget); });
    longest = time > longest ? time : longest;
    total += time;
    ++steps;
  }
  std::printf("%-20s %12zu -> %12zu bytes  %10.1f us in %ld steps of %zu chains, longest %.1f us\n",
              "evacuate, budget", before, heap_bytes(), total, steps, budget, longest);
}

// What tombstones and chains cost those who look something up, and what is left of that.
void measure_lookups(const char* name, long pairs, void (*policy)(const LongMap&)) {
  const gort::Root<LongMap> map = emptied(pairs);
  policy(*map);
  long found = 0;
  const auto look = [&](long first) {
    return microseconds([&] {
             for (long i = first; i < first + pairs; i += 100) found += map->contains(i);
           }) *
           100'000 / static_cast<double>(pairs);
  };
  look(0);  // a new table is memory that nobody has read yet
  look(1);
  const double hit = look(0);
  const double miss = look(1);
  std::printf("%-20s a hit %6.1f ns, a miss %6.1f ns  (%ld found)\n", name, hit, miss, found);
}

// What a hook costs each write.
template <class M>
void measure_writes(const char* name, long pairs, M&& map, const long& calls) {
  const double each = 1000 / static_cast<double>(pairs);
  const double insert = microseconds([&] {
    for (long i = 0; i < pairs; ++i) map.insert_or_assign(i, i);
  });
  const double assign = microseconds([&] {
    for (long i = 0; i < pairs; ++i) map.insert_or_assign(i, i + 1);
  });
  const double erase = microseconds([&] {
    for (long i = 0; i < pairs / 2; ++i) map.erase(i);
  });
  const double clear = microseconds([&] { map.clear(); });
  std::printf(
      "%-20s insert %6.1f ns, assign %6.1f, erase %6.1f, clear of the other half %6.1f us  (%ld "
      "calls)\n",
      name, insert * each, assign * each, erase * each * 2, clear, calls);
}

void measure_hooks(long pairs) {
  long calls = 0;
  const gort::Root<LongMap> plain = gort::make_map<long, long>();
  measure_writes("Map", pairs, *plain, calls);
  using Hooked = gort::HookedMap<long, long>;
  measure_writes("HookedMap, none", pairs, Hooked({}), calls);
  const auto count = [&calls](long, long) { ++calls; };
  measure_writes("HookedMap, both", pairs, Hooked({.on_delete = count, .on_insert = count}), calls);
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

// The three concurrent maps: what reading costs one thread, how many reads a microsecond two
// threads get, and what clearing costs.
template <class M>
void measure_concurrent(const char* name, long pairs, M& map) {
  const long reads = 4 * pairs;
  const auto read = [&map, pairs](long count) {
    long sum = 0;
    for (long i = 0; i < count; ++i) sum += *map.load(i % pairs);
    return sum;
  };
  long sum = read(2 * pairs);  // SyncMap makes its read-only map of what is missed often enough
  const double one = microseconds([&] { sum += read(reads); });
  const double two = microseconds([&] {
    long other = 0;
    std::thread thread([&] { other = read(reads); });
    sum += read(reads);
    const gort::Blocking blocking;
    thread.join();
    sum += other;
  });
  const double clear = microseconds([&] { map.clear(); });
  std::printf(
      "%-20s %6.1f ns a read, %6.1f reads a us; by two threads %6.1f; clear %10.1f us  (checksum "
      "%ld)\n",
      name, one * 1000 / static_cast<double>(reads), static_cast<double>(reads) / one,
      2 * static_cast<double>(reads) / two, clear, sum);
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
  measure_evacuate(pairs, 256);
  measure_wipe<long>("growth", pairs, false);
  measure_wipe<long>("growth, wipe_eagerly", pairs, true);
  measure_wipe<gort::Ref<Payload>>("growth, references", pairs, false);
  measure_wipe<gort::Ref<Payload>>("the same, eagerly", pairs, true);
  measure_lookups("sparse", pairs, [](const LongMap&) {});
  measure_lookups("sparse, compacted", pairs, [](const LongMap& m) { gort::compact(m); });
  measure_lookups("sparse, shrunk", pairs, [](const LongMap& m) { gort::shrink_to_fit(m); });
  measure_hooks(pairs);
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
