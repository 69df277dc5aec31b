#pragma once

// binary_trees DEPTH: the classic test of allocating and dropping many small objects beside a live
// tree. Makes one tree of DEPTH + 1, keeps one of DEPTH, and for d = 4, 8, ... DEPTH makes and
// drops 2^(DEPTH - d + 4) trees of depth d, about as many nodes in each step. An operation is a
// node.

#include <cstdint>
#include <string>

#include <gort/bench/workloads/heap.h>
#include <gort/bench/workloads/random.h>
#include <gort/bench/workloads/report.h>

namespace gort::bench {

template <class H>
struct Tree {
  typename H::template Ref<Tree> left{}, right{};
  GORT_FIELDS(Tree, left, right);
};

template <class H>
typename H::template Local<Tree<H>> make_tree(int depth) {
  typename H::template Local<Tree<H>> tree = H::template make<Tree<H>>();
  if (depth > 0) {
    tree->left = make_tree<H>(depth - 1);
    tree->right = make_tree<H>(depth - 1);
  }
  return tree;
}

template <class H>
std::uint64_t count_nodes(const Tree<H>* tree) {
  const Tree<H>* left = tree->left;
  const Tree<H>* right = tree->right;
  return left == nullptr ? 1 : 1 + count_nodes<H>(left) + count_nodes<H>(right);
}

template <class H>
void free_tree(Tree<H>* tree) {
  if (Tree<H>* left = tree->left) {
    free_tree<H>(left);
    free_tree<H>(tree->right);
  }
  H::free(tree);
}

template <class H>
std::uint64_t make_count_free(int depth) {
  typename H::template Local<Tree<H>> tree = make_tree<H>(depth);
  const std::uint64_t nodes = count_nodes<H>(tree);
  if constexpr (!H::kCollected) free_tree<H>(tree);
  return nodes;
}

template <class H>
void binary_trees(int depth) {
  Measurement m;
  std::uint64_t ops = make_count_free<H>(depth + 1);
  std::uint64_t checksum = ops;
  typename H::template Root<Tree<H>> kept = make_tree<H>(depth);
  for (int d = 4; d <= depth; d += 4) {
    const std::uint64_t trees = std::uint64_t{1} << (depth - d + 4);
    std::uint64_t nodes = 0;
    for (std::uint64_t i = 0; i < trees; ++i) nodes += make_count_free<H>(d);
    ops += nodes;
    checksum = mix(checksum, nodes);
  }
  const std::uint64_t nodes = count_nodes<H>(kept);
  checksum = mix(checksum, nodes);
  m.stop();

  const HeapStats stats = H::stats(0);
  Line("binary_trees", std::to_string(depth), H::kName)
      .add(ops + nodes, m, checksum)
      .add("collections", stats.collections)
      .add("pause_max_ns", stats.pause_max_ns)
      .add("pause_total_ns", stats.pause_total_ns)
      .print();
}

}  // namespace gort::bench
