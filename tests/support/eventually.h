#pragma once

// Waiting for what another thread does.

#include <chrono>
#include <thread>

namespace gort_test {

/// Asks `f()` again and again, and is true as soon as that is; false when `limit` is over.
template <class F>
bool eventually(std::chrono::seconds limit, F&& f) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!f()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace gort_test
