// Single operations of a map, by number of keys: those that bench/map_workload.cpp does not have,
// and the two that everybody asks for, for profiling. Times are for one operation; InsertWithHint
// and Clear work on the whole map.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include <gort/base/random.h>
#include <gort/gort.h>

namespace {

using IntMap = gort::Map<std::uint64_t, std::uint64_t>;

std::vector<std::uint64_t> random_keys(std::int64_t n) {
  gort::Random random(1);
  std::vector<std::uint64_t> keys(static_cast<std::size_t>(n));
  for (std::uint64_t& key : keys) key = random.next();
  return keys;
}

IntMap filled(const std::vector<std::uint64_t>& keys) {
  IntMap map = gort::make_map<std::uint64_t, std::uint64_t>();
  for (const std::uint64_t key : keys) map[key] = key;
  return map;
}

void Find(benchmark::State& state) {
  const auto keys = random_keys(state.range(0));
  const IntMap map = filled(keys);
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(map.find(keys[i]));
    if (++i == keys.size()) i = 0;
  }
}

void FindAbsent(benchmark::State& state) {
  const auto keys = random_keys(state.range(0));
  const IntMap map = filled(keys);
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(map.find(keys[i] + 1));
    if (++i == keys.size()) i = 0;
  }
}

void AssignPresent(benchmark::State& state) {
  const auto keys = random_keys(state.range(0));
  const IntMap map = filled(keys);
  std::size_t i = 0;
  for (auto _ : state) {
    map[keys[i]] = i;
    if (++i == keys.size()) i = 0;
  }
}

void Increment(benchmark::State& state) {
  const auto keys = random_keys(state.range(0));
  const IntMap map = filled(keys);
  std::size_t i = 0;
  for (auto _ : state) {
    map[keys[i]] += std::uint64_t{1};
    if (++i == keys.size()) i = 0;
  }
}

void InsertWithHint(benchmark::State& state) {
  const auto keys = random_keys(state.range(0));
  for (auto _ : state) {
    const IntMap map = gort::make_map<std::uint64_t, std::uint64_t>(keys.size());
    for (const std::uint64_t key : keys) map[key] = key;
    benchmark::DoNotOptimize(map.size());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void Clear(benchmark::State& state) {
  const auto keys = random_keys(state.range(0));
  const IntMap map = filled(keys);
  for (auto _ : state) {
    map.clear();
    state.PauseTiming();
    for (const std::uint64_t key : keys) map[key] = key;
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

// References as values: the cells are scanned, and written with the barrier.
void AssignReference(benchmark::State& state) {
  struct Node {
    gort::Ref<Node> next;
    GORT_FIELDS(Node, next);
  };
  const auto keys = random_keys(state.range(0));
  const auto map = gort::make_map<std::uint64_t, gort::Ref<Node>>();
  gort::Root<Node> node = gort::make<Node>();
  for (const std::uint64_t key : keys) map[key] = node.get();
  std::size_t i = 0;
  for (auto _ : state) {
    map[keys[i]] = node.get();
    if (++i == keys.size()) i = 0;
  }
}

void sizes(benchmark::internal::Benchmark* b) {
  b->Arg(1000)->Arg(100'000)->Arg(4'000'000)->ArgName("keys");
}
BENCHMARK(Find)->Apply(sizes);
BENCHMARK(FindAbsent)->Apply(sizes);
BENCHMARK(AssignPresent)->Apply(sizes);
BENCHMARK(Increment)->Apply(sizes);
BENCHMARK(AssignReference)->Apply(sizes);
BENCHMARK(InsertWithHint)->Apply(sizes);
BENCHMARK(Clear)->Arg(1000)->Arg(100'000)->ArgName("keys");

// One lookup in a map of eight: nothing but the hash and one bucket.
void FindInOneBucket(benchmark::State& state) {
  const auto keys = random_keys(8);
  const IntMap map = filled(keys);
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(map.find(keys[i++ % 8]));
  }
}
BENCHMARK(FindInOneBucket);

}  // namespace

int main(int argc, char** argv) {
  gort::start();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
