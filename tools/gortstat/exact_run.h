#pragma once

// The runtime as replays need it: stacks are not scanned, so what is alive follows from the
// replayed operations alone and not from what some register happens to hold. The price is a rule
// for our own code: between two allocations, every heap object is reachable from a Root.

#include <gort/runtime/options.h>

namespace gort::tool {

/// The runtime, started for a scope; options from the environment, but for the stacks.
class ExactRun {
 public:
  /// Throws UsageError if the environment cannot be used.
  ExactRun();
  ~ExactRun();
  ExactRun(const ExactRun&) = delete;
  ExactRun& operator=(const ExactRun&) = delete;

  const Options& options() const { return options_; }

 private:
  Options options_;
};

}  // namespace gort::tool
