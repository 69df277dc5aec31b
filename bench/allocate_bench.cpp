// What one allocation costs, collection and sweep of it included, by kind of object: everything is
// garbage at once, so a collection has nothing to mark. The rows:
//
//     Scan<bytes>       one reference, the rest data
//     NoScan<bytes>     data
//     Tiny              8 bytes of data, which share 16-byte blocks
//     Array<bytes>      make_array: the size is not known at compile time
//     Large             64 KiB of data, its own pages each time
//     Layout            a type of more than 64 words, whose slots carry a tag

#include <benchmark/benchmark.h>

#include <cstdint>

#include <gort/gort.h>

namespace {

template <std::size_t Bytes>
struct ScanObject {
  gort::Ref<ScanObject> next;
  std::uint64_t data[Bytes / 8 - 1];
  GORT_FIELDS(ScanObject, next);
};
template <>
struct ScanObject<16> {
  gort::Ref<ScanObject> next, other;
  GORT_FIELDS(ScanObject, next, other);
};
template <std::size_t Bytes>
struct NoScanObject {
  std::uint64_t data[Bytes / 8];
  GORT_POINTER_FREE();
};

template <class T>
void make_objects(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(gort::make<T>());
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(sizeof(T)));
}
void Scan16(benchmark::State& state) { make_objects<ScanObject<16>>(state); }
void Scan64(benchmark::State& state) { make_objects<ScanObject<64>>(state); }
void Scan256(benchmark::State& state) { make_objects<ScanObject<256>>(state); }
void NoScan64(benchmark::State& state) { make_objects<NoScanObject<64>>(state); }
void Tiny(benchmark::State& state) { make_objects<std::uint64_t>(state); }
void Layout(benchmark::State& state) { make_objects<ScanObject<1024>>(state); }
BENCHMARK(Scan16);
BENCHMARK(Scan64);
BENCHMARK(Scan256);
BENCHMARK(NoScan64);
BENCHMARK(Tiny);
BENCHMARK(Layout);

void Array(benchmark::State& state) {
  const auto words = static_cast<std::size_t>(state.range(0)) / 8;
  for (auto _ : state) benchmark::DoNotOptimize(gort::make_array<std::uint64_t>(words));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(Array)->Arg(16)->Arg(64)->Arg(256)->Arg(4096)->ArgName("bytes");

void Large(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(gort::make_array<std::uint64_t>(8192));
}
BENCHMARK(Large);

}  // namespace

int main(int argc, char** argv) {
  gort::start();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
