#pragma once

// graph NODES COLLECTIONS: marking. A random graph of NODES objects of 32 bytes, three references
// each: one along a random cycle through all nodes, so that every node is reachable, and two to
// random nodes. It is built through an index that is then dropped; one root remains, and full
// collections of this live heap are measured. An operation is an object marked once.
//
// Next to nothing is free, so sweeping is a small part of it. A collector that marks on several
// threads shows it in the wall time; objects a second and core come from the CPU time.

#include <cstdint>
#include <string>
#include <vector>

#include <gort/bench/workloads/heap.h>
#include <gort/bench/workloads/random.h>
#include <gort/bench/workloads/report.h>

namespace gort::bench {

template <class H>
struct GraphNode {
  typename H::template Ref<GraphNode> next{}, a{}, b{};
  std::uint64_t id = 0;
  GORT_FIELDS(GraphNode, next, a, b);
};

// Not inlined: the frame, with its reference to the index, must be gone when collections begin.
template <class H>
[[gnu::noinline]] void make_graph(std::uint64_t nodes,
                                  typename H::template Root<GraphNode<H>>& root) {
  using Slot = typename H::template Ref<GraphNode<H>>;
  typename H::template Root<Slot> index_root = H::template make_array<Slot>(nodes);
  Slot* const index = index_root;
  std::vector<std::uint32_t> order(nodes);
  for (std::uint64_t i = 0; i < nodes; ++i) {
    const typename H::template Local<GraphNode<H>> node = H::template make<GraphNode<H>>();
    node->id = i;
    index[i] = node;
    order[i] = static_cast<std::uint32_t>(i);
  }
  Random random(1);
  shuffle(order, nodes, random);
  for (std::uint64_t i = 0; i < nodes; ++i) {
    GraphNode<H>* const node = index[order[i]];
    node->next = index[order[(i + 1) % nodes]];
    node->a = index[random.below(nodes)];
    node->b = index[random.below(nodes)];
  }
  root = static_cast<GraphNode<H>*>(index[order[0]]);
}

template <class H>
void graph(std::uint64_t nodes, int collections) {
  typename H::template Root<GraphNode<H>> root = nullptr;
  make_graph<H>(nodes, root);
  H::collect();
  const std::int64_t before = H::stats(0).collections;

  Measurement m;
  for (int i = 0; i < collections; ++i) H::collect();
  m.stop();

  std::uint64_t checksum = 0;
  const GraphNode<H>* node = root;
  for (std::uint64_t i = 0; i < nodes; ++i) {
    checksum = mix(checksum, node->id + node->a->id + node->b->id);
    node = node->next;
  }
  const HeapStats stats = H::stats(before);
  Line("graph", std::to_string(nodes), H::kName)
      .add(nodes * static_cast<std::uint64_t>(collections), m, checksum)
      .add("pause_max_ns", stats.pause_max_ns)
      .add("metadata_kb", stats.metadata_kb)
      .print();
}

}  // namespace gort::bench
