#pragma once

// Lets a test act at a phase of a cycle: sets a hook, starts a heap with with_phases(), collects.
// Each hook runs once, at the next time the phase is reached, on the collector's thread with the
// world running.

#include <functional>
#include <utility>

#include <gort/gc/collector.h>

namespace gort_test {

/// Nothing is marked yet but what stacks refer to.
inline std::function<void()> at_marking_started;
/// Everything that was reachable has been marked.
inline std::function<void()> at_drained;

inline gort::gc::CollectorOptions with_phases() {
  gort::gc::CollectorOptions options;
  options.on_phase = [](gort::gc::Phase phase) {
    const auto once = [](std::function<void()>& hook) {
      if (const auto f = std::exchange(hook, nullptr)) f();
    };
    if (phase == gort::gc::Phase::marking_started) once(at_marking_started);
    if (phase == gort::gc::Phase::drained) once(at_drained);
  };
  return options;
}

}  // namespace gort_test
