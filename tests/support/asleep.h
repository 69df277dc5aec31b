#pragma once

// Whether another thread of the process waits in the system.

#include <cstdio>
#include <string>

#include <unistd.h>

namespace gort_test {

/// `thread`: what gettid() says there. A thread that only awaits a processor does not sleep.
inline bool asleep(pid_t thread) {
  std::FILE* stat =
      std::fopen(("/proc/self/task/" + std::to_string(thread) + "/stat").c_str(), "r");
  if (stat == nullptr) return false;
  char state = '?';
  const bool read = std::fscanf(stat, "%*d (%*[^)]) %c", &state) == 1;
  std::fclose(stat);
  return read && state == 'S';
}

}  // namespace gort_test
