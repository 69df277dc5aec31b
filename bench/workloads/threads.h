#pragma once

// Runs a function on several threads that use the heap. The threads start together: making a thread
// is not part of what is measured.

#include <barrier>
#include <cstdint>
#include <thread>
#include <vector>

#include <gort/bench/workloads/report.h>

namespace gort::bench {

/// Calls f(t) on `threads` threads, t = 0, 1, ...; `m` measures from the start to the last one's
/// end. The calling thread holds no reference that the collector could not see.
template <class H, class F>
void run_threads(unsigned threads, Measurement& m, F f) {
  std::barrier start(static_cast<std::ptrdiff_t>(threads) + 1);
  std::barrier finish(static_cast<std::ptrdiff_t>(threads) + 1);
  std::vector<std::thread> running;
  for (unsigned t = 0; t < threads; ++t) {
    running.emplace_back([&start, &finish, &f, t] {
      typename H::Thread attached;
      {
        typename H::Waiting waiting;
        start.arrive_and_wait();
      }
      f(t);
      typename H::Waiting waiting;
      finish.arrive_and_wait();
    });
  }
  typename H::Waiting waiting;
  m = Measurement();
  start.arrive_and_wait();
  finish.arrive_and_wait();
  m.stop();
  for (std::thread& thread : running) thread.join();
}

}  // namespace gort::bench
