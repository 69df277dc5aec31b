#include <gort/base/random.h>

#include <sys/random.h>

#include <gort/base/clock.h>

namespace gort {

std::uint64_t random_seed() noexcept {
  std::uint64_t seed = 0;
  if (::getrandom(&seed, sizeof seed, GRND_NONBLOCK) == sizeof seed) return seed;
  return mix64(static_cast<std::uint64_t>(now_ns()) ^
               (reinterpret_cast<std::uintptr_t>(&seed) << 16) ^
               static_cast<std::uint64_t>(wall_ns()));
}

}  // namespace gort
