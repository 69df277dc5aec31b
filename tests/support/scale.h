#pragma once

// One place for how much less the long tests do under a sanitizer, where each step costs ten to
// fifty times as much: ./dev tsan should end in a quarter of an hour, ./dev asan in less.

#include <gort/base/config.h>

namespace gort_test {

/// Of `n` rounds, as many as there is time for. For tests that repeat one thing; not where the
/// number itself is what is tested.
template <class T>
constexpr T scaled(T n) {
  return GORT_TSAN != 0 ? n / 10 : GORT_ASAN != 0 ? n / 4 : n;
}

}  // namespace gort_test
