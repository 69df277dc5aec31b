#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

#include <gort/alloc/collector_hooks.h>

namespace gort_test {

/// Refuses the k-th allocation from refuse(k) on, or all from refuse_all() on. The runtime must run
/// with kAsksEveryTime, so that every allocation asks the collector.
class Refusal {
 public:
  Refusal() {
    enter_ = gort::alloc::collector_hooks.enter;
    allow();
    gort::alloc::collector_hooks.enter = [](std::size_t bytes) -> gort::alloc::ThreadCache& {
      if (all_ || (countdown_ > 0 && --countdown_ == 0)) throw std::bad_alloc();
      return enter_(bytes);
    };
  }
  ~Refusal() { gort::alloc::collector_hooks.enter = enter_; }
  Refusal(const Refusal&) = delete;
  Refusal& operator=(const Refusal&) = delete;
  static void refuse(long k) { countdown_ = k; }
  static void refuse_all() { all_ = true; }
  static void allow() {
    countdown_ = 0;
    all_ = false;
  }

 private:
  static inline gort::alloc::ThreadCache& (*enter_)(std::size_t) = nullptr;
  static inline long countdown_ = 0;
  static inline bool all_ = false;
};

/// For Options::collect_every: never, but every allocation counts.
inline constexpr std::uint64_t kAsksEveryTime = std::uint64_t{1} << 40;

}  // namespace gort_test
