#pragma once

// The two upcalls from the allocator to the collector, and nothing more. They are set once, before
// the first allocation, by whoever builds a collector on this allocator; without one they stay null
// and memory is never reclaimed.

#include <cstddef>

namespace gort::alloc {

class ThreadCache;

struct CollectorHooks {
  /// Called on every slow path (a refill, a large object) before it takes anything, with the number
  /// of bytes it is about to take. May attach the thread, run a collection, flush the cache.
  /// Returns the calling thread's cache.
  ThreadCache& (*before_slow_path)(std::size_t bytes) = nullptr;
  /// The operating system refused memory. True if something was freed, so that trying again makes
  /// sense.
  bool (*out_of_memory)(std::size_t bytes) = nullptr;
};

extern CollectorHooks collector_hooks;

}  // namespace gort::alloc
