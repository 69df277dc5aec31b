#pragma once

// Where the runtime's own memory ends in a runtime region. An exception needs malloc, whose lock a
// thread may hold that a signal has stopped, for a stop that waits for the end of this very region:
// so what is done in the region says by its result that there was no memory, and the exception is
// made behind it. (Allocation does the same: ThreadCache::refill.)

#include <new>

#include <gort/gc/world.h>

namespace gort::gc {

/// f() in a runtime region, on any thread. Throws std::bad_alloc if its result is null or false.
template <class F>
auto or_bad_alloc(F&& f) {
  auto result = [&f] {
    const MaybeRuntimeScope runtime;
    return f();
  }();
  if (!result) throw std::bad_alloc();
  return result;
}

}  // namespace gort::gc
