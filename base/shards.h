#pragma once

// What every thread writes often is kept in shards, as many as there are processors: each on cache
// lines of its own, each thread at one of them. A line that two processors write in turn costs both
// of them some fifty to a hundred nanoseconds every time, as much as ten allocations.
//
// Threads may share a shard, so whatever is in one is still atomic or locked; sharing is slow, not
// wrong. A thread that nobody has given a shard uses the first.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <gort/base/atomic.h>
#include <gort/base/config.h>
#include <gort/base/os.h>

namespace gort {

inline constexpr std::size_t kMaxShards = 16;

/// How many are in use, 1..kMaxShards.
inline std::size_t shard_count() {
  static const std::size_t count = std::min(os::processors(), kMaxShards);
  return count;
}

/// The calling thread's, below shard_count().
extern GORT_API constinit GORT_TLS std::uint32_t thread_shard;

/// A number that only rises. Any thread; a sum over shards is no snapshot.
class ShardedCounter {
 public:
  void fetch_add_relaxed(std::uint64_t n) { parts_[thread_shard].value.fetch_add_relaxed(n); }
  std::uint64_t load_relaxed() const {
    std::uint64_t sum = 0;
    for (const Part& part : parts_) sum += part.value.load_relaxed();
    return sum;
  }

 private:
  struct alignas(64) Part {
    Atomic<std::uint64_t> value{0};
  };
  Part parts_[kMaxShards];
};

}  // namespace gort
