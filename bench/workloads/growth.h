#pragma once

// growth MIB: what collecting and allocating cost beside a live heap of MIB, in objects of 64 bytes
// (trees of 1023 nodes, as in pause.h). Run at several sizes; if the costs are proportional to what
// is live and what is allocated, the figures for one object stay the same, and if stops depend on
// the number of threads alone, so do they. Two lines:
//
//     collect/MIB    full collections with nothing to free, asked for; an operation is a live
//     object allocate/MIB   random trees replaced by new ones, until half as much again as the live
//     heap has
//                    been allocated (or 512 MiB, if that is more), so that collections come by
//                    themselves; an operation is an object made. As many as are live are made
//                    before, unmeasured: the heap then has grown as far as it will, and what the
//                    system takes for memory that nobody has touched yet is not in the figure

#include <algorithm>
#include <cstdint>
#include <string>

#include <gort/bench/workloads/heap.h>
#include <gort/bench/workloads/pause.h>
#include <gort/bench/workloads/random.h>
#include <gort/bench/workloads/report.h>

namespace gort::bench {

inline constexpr std::uint64_t kGrowthTreeNodes = (std::uint64_t{2} << kPauseDepth) - 1;

template <class H>
using GrowthTrees = typename H::template Root<typename H::template Ref<PauseNode<H>>>;

template <class H>
[[gnu::noinline]] void plant(GrowthTrees<H>& root, std::uint64_t index, std::uint64_t& id) {
  auto make = [] { return H::template make<PauseNode<H>>(); };
  auto* const trees = static_cast<typename H::template Ref<PauseNode<H>>*>(root);
  trees[index] = pause_tree<H>(kPauseDepth, id, make);
}

template <class H>
std::uint64_t sum_growth_trees(GrowthTrees<H>& root, std::uint64_t count) {
  auto* const trees = static_cast<typename H::template Ref<PauseNode<H>>*>(root);
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < count; ++i) sum = mix(sum, sum_pause_tree<H>(trees[i]));
  return sum;
}

template <class H>
void growth_line(const char* what, std::uint64_t mib, std::uint64_t ops, const Measurement& m,
                 std::uint64_t checksum, std::int64_t before) {
  const HeapStats stats = H::stats(before);
  Line("growth", std::string(what) + '/' + std::to_string(mib) + "MiB", H::kName)
      .add(ops, m, checksum)
      .add("collections", stats.collections < 0 ? -1 : stats.collections - before)
      .add("pause_max_ns", stats.pause_max_ns)
      .add("pause_total_ns", stats.pause_total_ns)
      .print();
}

template <class H>
void growth(std::uint64_t mib) {
  const std::uint64_t count = (mib << 20) / (64 * kGrowthTreeNodes);
  GrowthTrees<H> root = H::template make_array<typename H::template Ref<PauseNode<H>>>(count);
  std::uint64_t id = 1;
  for (std::uint64_t i = 0; i < count; ++i) plant<H>(root, i, id);
  H::collect();  // the heap is nothing but what lives

  std::int64_t before = H::stats(0).collections;
  const std::uint64_t rounds = std::clamp<std::uint64_t>(1024 / mib, 3, 64);
  Measurement collecting;
  for (std::uint64_t i = 0; i < rounds; ++i) H::collect();
  collecting.stop();
  growth_line<H>("collect", mib, rounds * count * kGrowthTreeNodes, collecting,
                 sum_growth_trees<H>(root, count), before);

  Random random(1);
  for (std::uint64_t i = 0; i < count; ++i) plant<H>(root, random.below(count), id);
  before = H::stats(0).collections;
  const std::uint64_t planted = std::max<std::uint64_t>(count + count / 2, 8192);
  Measurement allocating;
  for (std::uint64_t i = 0; i < planted; ++i) plant<H>(root, random.below(count), id);
  allocating.stop();
  growth_line<H>("allocate", mib, planted * kGrowthTreeNodes, allocating,
                 sum_growth_trees<H>(root, count), before);
}

}  // namespace gort::bench
