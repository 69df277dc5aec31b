#pragma once

// The allocator without a collector: the tests play its part. Mark bits are set by hand, and a flip
// of the sweep generation plays the end of a cycle.

#include <catch2/catch.hpp>

#include <cstdint>

#include <gort/alloc/collector_hooks.h>
#include <gort/alloc/heap.h>
#include <gort/base/metadata.h>
#include <gort/base/os.h>

namespace gort_test {

/// However a test ends, the allocator's switches are back at their defaults.
struct DefaultSwitches {
  DefaultSwitches() = default;
  ~DefaultSwitches() {
    using namespace gort::alloc;
    collector_hooks = {};
    heap.allocate_black.store_relaxed(false);
    heap.run_limit.store_relaxed(kMaxRunBytes);
    heap.poison.store_relaxed(false);
    heap.emptied.store_relaxed(Emptied::freed);
    gort::os::fail_call_for_test(0);
    gort::metadata::fail_allocation_for_test(0);
  }
  DefaultSwitches(const DefaultSwitches&) = delete;
  DefaultSwitches& operator=(const DefaultSwitches&) = delete;
};

/// A thread cache for a scope. When the last one has gone, so has every object.
struct CacheScope {
  gort::alloc::ThreadCache cache;
  CacheScope() { gort::alloc::heap.add_cache(cache); }
  ~CacheScope() {
    gort::alloc::heap.remove_cache(cache);
    bool last = true;
    gort::alloc::heap.for_each_cache([&last](gort::alloc::ThreadCache&) { last = false; });
    if (last) gort::alloc::heap.free_everything();
  }
  CacheScope(const CacheScope&) = delete;
  CacheScope& operator=(const CacheScope&) = delete;
  gort::alloc::ThreadCache* operator->() { return &cache; }
};

/// The calling thread's.
struct OwnCacheScope : CacheScope {
  OwnCacheScope() { gort::alloc::thread_cache = &cache; }
  ~OwnCacheScope() { gort::alloc::thread_cache = &gort::alloc::unattached_cache; }
  OwnCacheScope(const OwnCacheScope&) = delete;
  OwnCacheScope& operator=(const OwnCacheScope&) = delete;
};

inline std::uint32_t slot_of(const gort::alloc::Span& span, const void* object) {
  return span.is_large() ? 0 : span.slot_of(reinterpret_cast<std::uintptr_t>(object));
}

inline void mark(const void* object) {
  const gort::alloc::Span* span = gort::alloc::span_of(object);
  REQUIRE(span != nullptr);
  CHECK(span->mark(slot_of(*span, object)));
}

inline bool is_allocated(const void* object) {
  const gort::alloc::Span* span = gort::alloc::span_of(object);
  return span != nullptr && span->is_allocated(slot_of(*span, object));
}

inline bool is_marked(const void* object) {
  const gort::alloc::Span* span = gort::alloc::span_of(object);
  return span != nullptr && span->is_marked(slot_of(*span, object));
}

/// What the collector does at the end of marking, and then all the sweeping. Of several caches the
/// others must have been flushed.
inline void end_cycle(gort::alloc::ThreadCache& cache) {
  cache.flush();
  gort::alloc::heap.flip_sweepgen();
  while (gort::alloc::heap.sweep_one()) {
  }
}

}  // namespace gort_test
