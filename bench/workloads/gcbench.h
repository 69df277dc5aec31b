#pragma once

// gcbench DEPTH: the old benchmark of collectors that John Ellis and Pete Kovac wrote and Hans
// Boehm adapted, for DEPTH = 18. First a tree of DEPTH, dropped at once, that stretches the heap.
// Then, beside a tree of DEPTH - 2 and an array of 500 000 doubles that both stay, trees of depth
// 4, 6, ... DEPTH - 2, at each depth as many as have twice the nodes of the first tree together:
// built once from the root down, so that old nodes are given references to new ones, and once from
// the leaves up. An operation is a node.
//
// A node has two references and two numbers that nobody writes: 24 bytes.

#include <bit>
#include <cstdint>
#include <string>

#include <gort/bench/workloads/heap.h>
#include <gort/bench/workloads/random.h>
#include <gort/bench/workloads/report.h>

namespace gort::bench {

template <class H>
struct GcNode {
  typename H::template Ref<GcNode> left{}, right{};
  std::int32_t i = 0, j = 0;
  GORT_FIELDS(GcNode, left, right);
};

template <class H>
using GcTree = typename H::template Local<GcNode<H>>;

inline constexpr std::uint64_t kGcArray = 500'000;

inline constexpr std::uint64_t gc_tree_nodes(int depth) { return (std::uint64_t{2} << depth) - 1; }

template <class H>
void grow_down(int depth, GcNode<H>* node) {
  if (depth == 0) return;
  node->left = H::template make<GcNode<H>>();
  node->right = H::template make<GcNode<H>>();
  grow_down<H>(depth - 1, node->left);
  grow_down<H>(depth - 1, node->right);
}

template <class H>
GcTree<H> grow_up(int depth) {
  if (depth == 0) return H::template make<GcNode<H>>();
  const GcTree<H> left = grow_up<H>(depth - 1);
  const GcTree<H> right = grow_up<H>(depth - 1);
  GcTree<H> node = H::template make<GcNode<H>>();
  node->left = left;
  node->right = right;
  return node;
}

template <class H>
void free_gc_tree(GcNode<H>* node) {
  if (GcNode<H>* const left = node->left) {
    free_gc_tree<H>(left);
    free_gc_tree<H>(node->right);
  }
  H::free(node);
}

/// The tree's depth, by its leftmost path; what is looked at of a tree that is dropped.
template <class H>
std::uint64_t drop_gc_tree(GcNode<H>* tree) {
  std::uint64_t depth = 0;
  for (const GcNode<H>* node = tree->left; node != nullptr; node = node->left) ++depth;
  if constexpr (!H::kCollected) free_gc_tree<H>(tree);
  return depth;
}

// Not inlined: what it leaves on the stack must not keep a tree alive for long.
template <class H>
[[gnu::noinline]] std::uint64_t grow_trees(int depth, std::uint64_t trees) {
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < trees; ++i) {
    const GcTree<H> tree = H::template make<GcNode<H>>();
    grow_down<H>(depth, tree);
    sum += drop_gc_tree<H>(tree);
  }
  for (std::uint64_t i = 0; i < trees; ++i) {
    const GcTree<H> tree = grow_up<H>(depth);
    sum += drop_gc_tree<H>(tree);
  }
  return sum;
}

template <class H>
std::uint64_t count_gc_nodes(const GcNode<H>* node) {
  const GcNode<H>* const left = node->left;
  if (left == nullptr) return 1;
  return 1 + count_gc_nodes<H>(left) + count_gc_nodes<H>(node->right);
}

template <class H>
void gcbench(int stretch) {
  const int kept_depth = stretch - 2;
  Measurement m;
  std::uint64_t ops = gc_tree_nodes(stretch) + gc_tree_nodes(kept_depth);
  std::uint64_t checksum = 0;
  {
    const GcTree<H> tree = grow_up<H>(stretch);
    checksum = drop_gc_tree<H>(tree);
  }
  typename H::template Root<GcNode<H>> kept = H::template make<GcNode<H>>();
  grow_down<H>(kept_depth, kept);
  typename H::template Root<double> array = H::template make_array<double>(kGcArray);
  double* const numbers = array;
  for (std::uint64_t i = 1; i < kGcArray / 2; ++i) numbers[i] = 1.0 / static_cast<double>(i);

  for (int depth = 4; depth <= kept_depth; depth += 2) {
    const std::uint64_t trees = 2 * gc_tree_nodes(stretch) / gc_tree_nodes(depth);
    checksum = mix(checksum, grow_trees<H>(depth, trees));
    ops += 2 * trees * gc_tree_nodes(depth);
  }
  checksum = mix(checksum, count_gc_nodes<H>(kept));
  checksum = mix(checksum, std::bit_cast<std::uint64_t>(numbers[1000]));
  m.stop();

  const HeapStats stats = H::stats(0);
  Line("gcbench", std::to_string(stretch), H::kName)
      .add(ops, m, checksum)
      .add("collections", stats.collections)
      .add("pause_max_ns", stats.pause_max_ns)
      .add("pause_total_ns", stats.pause_total_ns)
      .print();
}

}  // namespace gort::bench
