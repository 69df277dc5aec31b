// What references cost: a store with the write barrier (no collection running), a plain store
// beside it, a Root made and destroyed, and the way from an address to its span, which marking and
// the conservative stack scan take for every word they look at.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include <gort/alloc/arena.h>
#include <gort/base/random.h>
#include <gort/gort.h>

namespace {

struct Node {
  gort::Ref<Node> next;
  std::uint64_t data[7];
  GORT_FIELDS(Node, next);
};

constexpr std::size_t kNodes = 1024;

// A random one of a thousand objects gets a reference to its neighbour.
void StoreWithBarrier(benchmark::State& state) {
  gort::Root<gort::Ref<Node>> root = gort::make_array<gort::Ref<Node>>(kNodes);
  gort::Ref<Node>* const nodes = root;
  for (std::size_t i = 0; i < kNodes; ++i) nodes[i] = gort::make<Node>();
  std::size_t i = 0;
  for (auto _ : state) {
    Node* const node = nodes[i];
    i = (i + 1) % kNodes;
    node->next = nodes[i];
    benchmark::ClobberMemory();
  }
}
BENCHMARK(StoreWithBarrier);

void StorePlain(benchmark::State& state) {
  struct Plain {
    Plain* next;
    std::uint64_t data[7];
  };
  std::vector<Plain> objects(kNodes);
  std::vector<Plain*> nodes;
  for (Plain& object : objects) nodes.push_back(&object);
  std::size_t i = 0;
  for (auto _ : state) {
    Plain* const node = nodes[i];
    i = (i + 1) % kNodes;
    node->next = nodes[i];
    benchmark::ClobberMemory();
  }
}
BENCHMARK(StorePlain);

void RootMakeDestroy(benchmark::State& state) {
  Node* const node = gort::make<Node>();
  for (auto _ : state) {
    gort::Root<Node> root(node);
    benchmark::DoNotOptimize(root);
  }
}
BENCHMARK(RootMakeDestroy);

// As RootMakeDestroy, but a thousand at once, in and out in order.
void RootThousand(benchmark::State& state) {
  Node* const node = gort::make<Node>();
  std::vector<gort::Root<Node>> roots;
  roots.reserve(kNodes);
  for (auto _ : state) {
    for (std::size_t i = 0; i < kNodes; ++i) roots.emplace_back(node);
    roots.clear();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kNodes));
}
BENCHMARK(RootThousand);

// Addresses spread over 64 MiB of objects.
void SpanOf(benchmark::State& state) {
  gort::Root<gort::Ref<Node>> root = gort::make_array<gort::Ref<Node>>(1 << 20);
  gort::Ref<Node>* const nodes = root;
  for (std::size_t i = 0; i < 1 << 20; ++i) nodes[i] = gort::make<Node>();
  gort::Random random(1);
  std::vector<std::uintptr_t> addresses(1 << 16);
  for (std::uintptr_t& a : addresses) {
    a = reinterpret_cast<std::uintptr_t>(nodes[random.below(1 << 20)].get()) + 8;
  }
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(gort::alloc::span_of(addresses[i]));
    i = (i + 1) % addresses.size();
  }
}
BENCHMARK(SpanOf);

void SpanOfForeign(benchmark::State& state) {
  std::uint64_t local = 0;
  auto address = reinterpret_cast<std::uintptr_t>(&local);
  for (auto _ : state) {
    benchmark::DoNotOptimize(address);
    benchmark::DoNotOptimize(gort::alloc::span_of(address));
  }
}
BENCHMARK(SpanOfForeign);

}  // namespace

int main(int argc, char** argv) {
  gort::start();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
