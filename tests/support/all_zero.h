#pragma once

#include <cstddef>
#include <cstring>

namespace gort_test {

/// `bytes` > 0.
inline bool all_zero(const void* memory, std::size_t bytes) {
  const auto* p = static_cast<const char*>(memory);
  return p[0] == 0 && std::memcmp(p, p + 1, bytes - 1) == 0;
}

}  // namespace gort_test
