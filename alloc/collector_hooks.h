#pragma once

// The upcalls from the allocator to the collector. They are set once, before the first allocation,
// by whoever builds a collector on this allocator; without one they stay null and memory is never
// reclaimed.
//
// A slow path (a refill, a large object) begins with `enter` and ends with `leave`. In between the
// thread is not stopped: half-done work on spans, lists and books is never seen by whoever stops
// the world.

#include <cstddef>

#include <pthread.h>

#include <gort/alloc/thread_cache.h>
#include <gort/base/config.h>

namespace gort::alloc {

struct CollectorHooks {
  /// A slow path begins, with the number of bytes it is about to take. May attach the thread, wait
  /// for a stop of the world to pass, start or help a collection. Returns the calling thread's
  /// cache. May throw; then there is no `leave`.
  ThreadCache& (*enter)(std::size_t bytes) = nullptr;
  /// It ends. A stop of the world that came up meanwhile takes place here.
  void (*leave)() noexcept = nullptr;
  /// The operating system refused memory, in a slow path that holds no lock and has nothing half
  /// done. `attempt`: how often this has been called for the same allocation before. True if trying
  /// again makes sense; false ends in std::bad_alloc. May throw.
  bool (*out_of_memory)(std::size_t bytes, unsigned attempt) = nullptr;
  /// Calls `f(context)`, in a slow path, in such a way that a stop of the world need not wait for
  /// it. Meanwhile caches may be flushed and a cycle may begin and end.
  void (*while_parked)(void (*f)(void*), void* context) = nullptr;
  /// os::start_thread(), likewise. Any thread, with no lock.
  bool (*start_thread)(pthread_t& thread, const char* name, void* (*f)(void*),
                       void* context) = nullptr;
};

extern GORT_API CollectorHooks collector_hooks;

/// A slow path, for a scope.
class SlowPath {
 public:
  /// `cache`: whose slow path it is, if there is no collector to tell.
  SlowPath(std::size_t bytes, ThreadCache& cache)
      : cache_(collector_hooks.enter != nullptr ? collector_hooks.enter(bytes) : cache) {}
  ~SlowPath() {
    if (collector_hooks.leave != nullptr) collector_hooks.leave();
  }
  SlowPath(const SlowPath&) = delete;
  SlowPath& operator=(const SlowPath&) = delete;
  ThreadCache& cache() const { return cache_; }

 private:
  ThreadCache& cache_;
};

}  // namespace gort::alloc
