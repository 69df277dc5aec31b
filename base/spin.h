#pragma once

// Waiting awake for what will be so in a moment.

#include <cstdint>

#include <gort/base/clock.h>

namespace gort {

/// Leaves the core to its other thread for a moment.
inline void cpu_relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#else
#error "tell cpu_relax what this processor has"
#endif
}

/// Asks `done()` again and again until it says true, or until about `ns` have passed: then false.
/// By the clock, for how long a `pause` takes is a processor's own affair: 15 ticks of one, 140 of
/// another. The first microsecond or less goes by without a look at it.
template <class F>
bool spin_for(std::int64_t ns, F&& done) {
  constexpr int kPausesBetweenLooks = 32;
  for (std::int64_t until = 0;;) {
    for (int i = 0; i < kPausesBetweenLooks; ++i) {
      if (done()) return true;
      cpu_relax();
    }
    const std::int64_t now = now_ns();
    if (until == 0) {
      until = now + ns;
    } else if (now >= until) {
      return false;
    }
  }
}

}  // namespace gort
