#include <catch2/catch.hpp>

#include <thread>
#include <vector>

#include <gort/base/shards.h>

using namespace gort;

TEST_CASE("a sharded counter is the sum of what all threads added, whatever their shards",
          "[base][shards]") {
  constexpr std::uint64_t kEach = 200'000;  // a thread takes longer than it takes to start one
  ShardedCounter counter;
  std::vector<std::thread> threads;
  // Two threads a shard, started one after the other: they meet.
  for (std::uint32_t t = 0; t < 2 * kMaxShards; ++t) {
    threads.emplace_back([&counter, t] {
      thread_shard = t / 2;
      for (std::uint64_t i = 0; i < kEach; ++i) counter.fetch_add_relaxed(t + 1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(counter.load_relaxed() == kEach * (2 * kMaxShards) * (2 * kMaxShards + 1) / 2);
}

TEST_CASE("there is a shard for each processor, up to a bound", "[base][shards]") {
  CHECK(shard_count() >= 1);
  CHECK(shard_count() == std::min(os::processors(), kMaxShards));
}
