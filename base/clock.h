#pragma once

// Time, in nanoseconds. `now_ns` never goes back and has no relation to the calendar.

#include <cstdint>
#include <ctime>

namespace gort {

inline std::int64_t clock_ns(clockid_t id) {
  timespec t{};
  ::clock_gettime(id, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

/// Monotonic time.
inline std::int64_t now_ns() { return clock_ns(CLOCK_MONOTONIC); }
/// Calendar time since 1970, as Go's LastGC wants it.
inline std::int64_t wall_ns() { return clock_ns(CLOCK_REALTIME); }
/// Processor time this thread has used.
inline std::int64_t thread_cpu_ns() { return clock_ns(CLOCK_THREAD_CPUTIME_ID); }
/// Processor time the whole process has used.
inline std::int64_t process_cpu_ns() { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

}  // namespace gort
