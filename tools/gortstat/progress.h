#pragma once

// One line on standard error that says how far a long run is, and leaves no trace. Nothing at all
// is written unless standard error is a terminal that can erase a line.

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace gort::tool {

class Progress {
 public:
  /// `what` is the verb ("replaying"), `total` the number of steps to come.
  Progress(std::string_view what, std::size_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` steps are behind us. Cheap enough for every step: on a terminal it reads the clock.
  /// Writes at most ten times a second.
  void update(std::size_t done) {
    if (enabled_) maybe_show(done);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr auto kInterval = std::chrono::milliseconds(100);

  void maybe_show(std::size_t done);

  std::string what_;
  std::size_t total_;
  bool enabled_;
  bool shown_ = false;
  Clock::time_point next_ = Clock::now() + kInterval;  // a short run shows nothing
};

}  // namespace gort::tool
