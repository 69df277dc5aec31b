#pragma once

// larson THREADS ROUNDS: objects that die on another thread than the one that made them, as in a
// server whose work moves between threads (after Larson and Krishnan, 1998). There are THREADS
// arrays of 20 000 slots. In each round a thread replaces 100 000 random slots of one array; then
// all wait for each other, and each goes on with its neighbour's array. A slot holds an object with
// a reference to data of 16 to 512 bytes. An operation is a slot replaced: two allocations, and two
// objects dropped that, nearly all, another thread made.

#include <barrier>
#include <cstdint>
#include <string>
#include <vector>

#include <gort/bench/workloads/heap.h>
#include <gort/bench/workloads/random.h>
#include <gort/bench/workloads/report.h>
#include <gort/bench/workloads/threads.h>

namespace gort::bench {

template <class H>
struct Block {
  typename H::template Ref<std::uint64_t> data{};
  std::uint64_t id = 0;
  GORT_FIELDS(Block, data);
};

inline constexpr std::uint64_t kLarsonSlots = 20'000;
inline constexpr std::uint64_t kLarsonRound = 100'000;

template <class H>
void free_block(Block<H>* block) {
  H::free(block->data);
  H::free(block);
}

/// One round on one array; the sum of what fell out.
template <class H>
std::uint64_t larson_round(typename H::template Ref<Block<H>>* slots, Random& random,
                           std::uint64_t& id) {
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < kLarsonRound; ++i) {
    auto& slot = slots[random.below(kLarsonSlots)];
    const std::uint64_t words = 2 + random.below(63);
    if (Block<H>* old = slot) {
      sum += old->id ^ *old->data;
      free_block<H>(old);
    }
    const typename H::template Local<Block<H>> block = H::template make<Block<H>>();
    const typename H::template Local<std::uint64_t> data =
        H::template make_array<std::uint64_t>(words);
    data[0] = words;
    block->data = data;
    block->id = id++;
    slot = block;
  }
  return sum;
}

template <class H>
void larson(unsigned threads, unsigned rounds) {
  using Slot = typename H::template Ref<Block<H>>;
  typename H::template Root<Slot> root = H::template make_array<Slot>(threads * kLarsonSlots);
  Slot* const arrays = root;
  std::barrier all(static_cast<std::ptrdiff_t>(threads));
  std::vector<std::uint64_t> sums(threads);
  Measurement m;
  run_threads<H>(threads, m, [&](unsigned t) {
    Random random(t + 1);
    std::uint64_t id = std::uint64_t{t} << 40;
    std::uint64_t sum = 0;
    for (unsigned round = 0; round < rounds; ++round) {
      Slot* const slots = arrays + (t + round) % threads * kLarsonSlots;
      sum = mix(sum, larson_round<H>(slots, random, id));
      typename H::Waiting waiting;
      all.arrive_and_wait();
    }
    sums[t] = sum;
  });
  std::uint64_t checksum = 0;
  for (const std::uint64_t sum : sums) checksum = mix(checksum, sum);
  const HeapStats stats = H::stats(0);
  Line("larson", std::to_string(threads), H::kName)
      .add(std::uint64_t{threads} * rounds * kLarsonRound, m, checksum)
      .add("collections", stats.collections)
      .add("pause_max_ns", stats.pause_max_ns)
      .add("pause_total_ns", stats.pause_total_ns)
      .print();
}

}  // namespace gort::bench
