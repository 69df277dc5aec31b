#pragma once

// What the kernel says is resident, read from /proc/self/smaps: the other side of the ledger.

#include <cstdint>
#include <cstdio>
#include <cstring>

namespace gort_test {

/// Resident bytes of the mappings that lie inside [start, end). -1 if the file cannot be read.
inline long long resident_in_smaps(std::uintptr_t start, std::uintptr_t end) {
  std::FILE* file = std::fopen("/proc/self/smaps", "r");
  if (file == nullptr) return -1;
  char line[512];
  long long total = 0;
  bool inside = false;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    std::uintptr_t low = 0;
    std::uintptr_t high = 0;
    long long kib = 0;
    if (std::sscanf(line, "%lx-%lx ", &low, &high) == 2) {
      inside = low >= start && high <= end;
    } else if (inside && std::sscanf(line, "Rss: %lld kB", &kib) == 1) {
      total += kib * 1024;
    }
  }
  std::fclose(file);
  return total;
}

}  // namespace gort_test
