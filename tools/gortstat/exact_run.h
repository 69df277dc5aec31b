#pragma once

// The runtime as replays need it: stacks are not scanned, so what is alive follows from the
// replayed operations alone and not from what some register happens to hold. The price is a rule
// for our own code: between two allocations, every heap object is reachable from a Root.

#include <cstdint>
#include <optional>

#include <gort/base/random.h>
#include <gort/runtime/options.h>

namespace gort::tool {

/// The runtime, started for a scope; options from the environment, but for the stacks.
class ExactRun {
 public:
  /// With a seed, maps take their random numbers from it: the same operations then give the same
  /// maps, if their hash depends on nothing else. Throws UsageError if the environment cannot be
  /// used.
  explicit ExactRun(std::optional<std::uint64_t> seed = std::nullopt);
  ~ExactRun();
  ExactRun(const ExactRun&) = delete;
  ExactRun& operator=(const ExactRun&) = delete;

  const Options& options() const { return options_; }

 private:
  Options options_;
  std::optional<Random> random_;
};

}  // namespace gort::tool
