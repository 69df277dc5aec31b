#pragma once

// pause MIB THREADS OPS: what a collection does to the program's latency. MIB of live memory, all
// of it in objects of 64 bytes with two references (trees of 1023 nodes); each thread then makes
// OPS more objects, as new subtrees of 7 that replace random ones of its own trees, so the live
// heap keeps its size and references in old objects change all the time. The time of every single
// allocation goes into a histogram; how long the world stood still is what the runtime itself says.
// An operation is an object.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <gort/bench/workloads/heap.h>
#include <gort/bench/workloads/latency.h>
#include <gort/bench/workloads/random.h>
#include <gort/bench/workloads/report.h>
#include <gort/bench/workloads/threads.h>

namespace gort::bench {

template <class H>
struct PauseNode {
  typename H::template Ref<PauseNode> left{}, right{};
  std::uint64_t data[6];
  GORT_FIELDS(PauseNode, left, right);
};

inline constexpr int kPauseDepth = 9;  // of a tree; 2^10 - 1 nodes
inline constexpr int kSwapDepth = 6;   // its nodes' subtrees, of 2^3 - 1 nodes, are replaced

// `made` wraps each allocation.
template <class H, class Make>
typename H::template Local<PauseNode<H>> pause_tree(int depth, std::uint64_t& id, Make& made) {
  typename H::template Local<PauseNode<H>> node = made();
  node->data[0] = id++;
  if (depth > 0) {
    node->left = pause_tree<H>(depth - 1, id, made);
    node->right = pause_tree<H>(depth - 1, id, made);
  }
  return node;
}

template <class H>
std::uint64_t sum_pause_tree(const PauseNode<H>* node) {
  std::uint64_t sum = node->data[0];
  if (const PauseNode<H>* left = node->left) {
    sum = mix(sum, sum_pause_tree<H>(left));
    sum = mix(sum, sum_pause_tree<H>(node->right));
  }
  return sum;
}

template <class H>
void free_pause_tree(PauseNode<H>* node) {
  if (PauseNode<H>* left = node->left) {
    free_pause_tree<H>(left);
    free_pause_tree<H>(node->right);
  }
  H::free(node);
}

template <class H>
void replace_subtrees(typename H::template Ref<PauseNode<H>>* trees, std::uint64_t tree_count,
                      unsigned thread, unsigned threads, std::uint64_t ops, Latencies& latencies) {
  const std::uint64_t mine = tree_count / threads;
  Random random(thread + 2);
  std::uint64_t id = std::uint64_t{thread} << 40;
  std::uint64_t made_count = 0;
  auto timed_make = [&] {
    const std::int64_t start = now_ns();
    typename H::template Local<PauseNode<H>> node = H::template make<PauseNode<H>>();
    latencies.record(now_ns() - start);
    ++made_count;
    return node;
  };
  while (made_count < ops) {
    PauseNode<H>* node = trees[random.below(mine) * threads + thread];
    std::uint64_t way = random.next();
    for (int d = 0; d < kSwapDepth; ++d, way >>= 1) {
      node = (way & 1) != 0 ? node->left : node->right;
    }
    auto& side = (way & 1) != 0 ? node->left : node->right;
    const typename H::template Local<PauseNode<H>> fresh =
        pause_tree<H>(kPauseDepth - kSwapDepth - 1, id, timed_make);
    PauseNode<H>* const old = side;
    side = fresh;
    if constexpr (!H::kCollected) free_pause_tree<H>(old);
  }
}

template <class H>
void pause(std::uint64_t mib, unsigned threads, std::uint64_t ops) {
  using Slot = typename H::template Ref<PauseNode<H>>;
  constexpr std::uint64_t kTreeBytes = 64 * ((1 << (kPauseDepth + 1)) - 1);
  const std::uint64_t tree_count = (mib << 20) / kTreeBytes / threads * threads;
  typename H::template Root<Slot> root = H::template make_array<Slot>(tree_count);
  Slot* const trees = root;
  std::uint64_t id = 1;
  auto make = [] { return H::template make<PauseNode<H>>(); };
  for (std::uint64_t i = 0; i < tree_count; ++i) trees[i] = pause_tree<H>(kPauseDepth, id, make);
  H::collect();
  const HeapStats full = H::stats(0);  // the heap is nothing but what lives

  std::vector<Latencies> of_thread(threads);
  Measurement m;
  run_threads<H>(threads, m, [&](unsigned t) {
    // On this thread's own stack while it works: the histogram is not shared.
    auto latencies = std::make_unique<Latencies>();
    replace_subtrees<H>(trees, tree_count, t, threads, ops, *latencies);
    of_thread[t] = *latencies;
  });
  const HeapStats stats = H::stats(full.collections);

  Latencies all;
  for (const Latencies& latencies : of_thread) all.add(latencies);
  std::uint64_t checksum = 0;
  for (std::uint64_t i = 0; i < tree_count; ++i) {
    checksum = mix(checksum, sum_pause_tree<H>(trees[i]));
  }
  Line("pause", std::to_string(mib) + "MiB/" + std::to_string(threads), H::kName)
      .add(ops * threads, m, checksum)
      .add("collections", stats.collections < 0 ? -1 : stats.collections - full.collections)
      .add("pause_p50_ns", stats.pause_p50_ns)
      .add("pause_p90_ns", stats.pause_p90_ns)
      .add("pause_max_ns", stats.pause_max_ns)
      .add("pause_total_ns", stats.pause_total_ns)
      .add("alloc_p50_ns", all.quantile(0.5))
      .add("alloc_p99_ns", all.quantile(0.99))
      .add("alloc_p999_ns", all.quantile(0.999))
      .add("alloc_p9999_ns", all.quantile(0.9999))
      .add("alloc_max_ns", all.max())
      .add("metadata_kb", full.metadata_kb)
      .print();
}

}  // namespace gort::bench
