#include <gort/hashmap/rules.h>

#include <algorithm>

#include <gort/alloc/size_class.h>
#include <gort/base/atomic.h>
#include <gort/base/random.h>

namespace gort {
namespace {

Atomic<int> minor_version{23};
MapRandom source;

// Go 1.22 and later: pointerful blocks above kNoHeaderUpTo carry a header, and no small block of
// them is larger than kMaxSmall minus that header.
constexpr std::size_t kHeader = 8;
constexpr std::size_t kNoHeaderUpTo = 512;
constexpr std::size_t kMaxSmall = 32768;

// One generator a thread: no lock, no sharing.
constinit GORT_TLS Random generator{0};
constinit GORT_TLS bool seeded = false;

}  // namespace

void set_map_rules(GoVersion version) {
  minor_version.store_relaxed(version.major > 1 ? 23 : std::clamp(version.minor, 0, 23));
}
GoVersion map_rules() { return {1, minor_version.load_relaxed()}; }

void set_map_random(MapRandom random) { source = random; }

namespace hashmap {

std::uint64_t random_bits() {
  if (GORT_UNLIKELY(source.next != nullptr)) return source.next(source.context);
  if (GORT_UNLIKELY(!seeded)) {
    generator = Random(random_seed());
    seeded = true;
  }
  return generator.next();
}

bool clear_marks_cells() { return minor_version.load_relaxed() >= 21; }

std::size_t round_up_size(std::size_t bytes, bool pointer_free) {
  if (minor_version.load_relaxed() < 22) return alloc::block_size_for(bytes);
  if (bytes > kMaxSmall - kHeader) return Pages::holding(bytes).bytes();
  const std::size_t header = !pointer_free && bytes > kNoHeaderUpTo ? kHeader : 0;
  return alloc::block_size_for(bytes + header) - header;
}

}  // namespace hashmap
}  // namespace gort
