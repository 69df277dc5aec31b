#pragma once

// The allocator without a collector: the tests play its part. Mark bits are set by hand, and a flip
// of the sweep generation plays the end of a cycle.

#include <catch2/catch.hpp>

#include <cstdint>

#include <gort/alloc/heap.h>

namespace gort_test {

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
