#pragma once

// drop MIB: does memory come back? Builds MIB of live memory (a table of chains; each node of 32
// bytes refers to data of 64 to 4096 bytes), drops all of it, gives everything back to the system,
// and looks at the resident size. Measured is the time from dropping to the end of the release; for
// a malloc that includes all the calls of free. An operation is an object.

#include <cstdint>
#include <string>

#include <gort/bench/workloads/heap.h>
#include <gort/bench/workloads/random.h>
#include <gort/bench/workloads/report.h>

namespace gort::bench {

template <class H>
struct DropNode {
  typename H::template Ref<DropNode> next{};
  typename H::template Ref<std::uint64_t> data{};
  std::uint64_t words = 0;
  std::uint64_t id = 0;
  GORT_FIELDS(DropNode, next, data);
};

inline constexpr std::uint64_t kDropChains = 65536;

struct DropResult {
  std::uint64_t objects = 0;
  std::uint64_t checksum = 0;
};

template <class H>
using DropTable = typename H::template Root<typename H::template Ref<DropNode<H>>>;

// Not inlined, as what follows: their frames hold references and must be gone afterwards.
template <class H>
[[gnu::noinline]] DropResult make_table(std::uint64_t bytes, DropTable<H>& root) {
  using Slot = typename H::template Ref<DropNode<H>>;
  root = H::template make_array<Slot>(kDropChains);
  Slot* const table = root;
  DropResult result{1, 0};
  Random random(1);
  for (std::uint64_t used = 0; used < bytes;) {
    const typename H::template Local<DropNode<H>> node = H::template make<DropNode<H>>();
    node->words = 8 + random.below(505);
    node->id = result.objects;
    node->data = H::template make_array<std::uint64_t>(node->words);
    std::uint64_t* const data = node->data;
    for (std::uint64_t w = 0; w < node->words; ++w) data[w] = w;
    data[node->words - 1] = node->id;
    Slot& head = table[random.below(kDropChains)];
    node->next = head;
    head = node;
    used += sizeof *node + node->words * sizeof *data;
    result.objects += 2;
  }
  for (std::uint64_t i = 0; i < kDropChains; ++i) {
    for (const DropNode<H>* node = table[i]; node != nullptr; node = node->next) {
      const std::uint64_t* const data = node->data;
      result.checksum = mix(result.checksum, data[node->words - 1]);
    }
  }
  return result;
}

template <class H>
[[gnu::noinline]] void drop_table(DropTable<H>& root) {
  if constexpr (!H::kCollected) {
    auto* const table = root;
    for (std::uint64_t i = 0; i < kDropChains; ++i) {
      for (DropNode<H>* node = table[i]; node != nullptr;) {
        DropNode<H>* const next = node->next;
        H::free(node->data);
        H::free(node);
        node = next;
      }
    }
    H::free(table);
  }
  root = nullptr;
}

// Overwrites what earlier calls left on the stack below this frame, for collectors that scan it.
[[gnu::noinline]] inline void clear_dead_stack() {
  volatile char dead[4096];
  for (volatile char& c : dead) c = 0;
}

template <class H>
void drop(std::uint64_t mib) {
  DropTable<H> root = nullptr;
  // One small round first: what the runtime needs for its own start is not what is measured.
  make_table<H>(1 << 20, root);
  drop_table<H>(root);
  clear_dead_stack();
  H::release();
  const std::int64_t at_start = rss_kb();

  const DropResult made = make_table<H>(mib << 20, root);
  const HeapStats stats = H::stats(0);
  const std::int64_t live = rss_kb();
  clear_dead_stack();
  Measurement m;
  drop_table<H>(root);
  H::release();
  m.stop();
  const std::int64_t after = rss_kb();

  Line("drop", std::to_string(mib) + "MiB", H::kName)
      .add(made.objects, m, made.checksum)
      .add("rss_start_kb", at_start)
      .add("rss_live_kb", live)
      .add("rss_after_kb", after)
      .add("rss_left_kb", after - at_start)
      .add("metadata_kb", stats.metadata_kb)
      .print();
}

}  // namespace gort::bench
