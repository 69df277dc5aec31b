#pragma once

// Watches where exceptions are made. To make one takes malloc, whose lock a thread may hold that
// was stopped by signal: so a thread that no stop passes by, in the runtime, or that has stopped
// the world itself, must not. For one source file of a test program: it stands before the C++
// library's function.

#include <atomic>
#include <cstddef>

#include <dlfcn.h>

#include <gort/gc/world.h>

namespace gort_test {

/// Exceptions made by an attached thread in the runtime.
inline std::atomic<int> exceptions_in_runtime{0};

}  // namespace gort_test

extern "C" void* __cxa_allocate_exception(std::size_t bytes) noexcept {
  using Function = void*(std::size_t);
  static auto* const real =
      reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, "__cxa_allocate_exception"));
  const gort::gc::Thread* const self = gort::gc::World::current();
  // A stopper is in the runtime from stop() to resume().
  if (self != nullptr && self->runtime_depth.load_relaxed() > 0) ++gort_test::exceptions_in_runtime;
  return real(bytes);
}
