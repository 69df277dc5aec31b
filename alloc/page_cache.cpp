#include <gort/alloc/page_cache.h>

#include <gort/alloc/page_summary.h>
#include <gort/base/bits.h>
#include <gort/base/counters.h>
#include <gort/base/os.h>

namespace gort::alloc {

PageRun PageCache::allocate(Pages count) {
  const std::size_t n = count.count();
  if (n == 0 || n > kBlockPages) return {};
  const std::uint64_t starts = runs_of(free_, n);
  if (starts == 0) return {};
  const auto first = static_cast<std::size_t>(std::countr_zero(starts));
  const std::uint64_t mask = bits::low_mask(n) << first;
  const bool zeroed = (returned_ & mask) == mask;
  if ((returned_ & mask) != 0) reuse_returned(first, n);
  free_ &= ~mask;
  return {start_ + first * kPageSize, count, zeroed, 0, zeroed ? 0 : n};
}

void PageCache::reuse_returned(std::size_t first, std::size_t count) {
  const std::size_t system_pages = os::page_size() > kPageSize ? os::page_size() / kPageSize : 1;
  const std::size_t low = bits::align_down(first, system_pages);
  const std::size_t high = bits::align_up(first + count, system_pages);
  const std::uint64_t touched = returned_ & bits::low_mask(high) & ~bits::low_mask(low);
  bits::for_each_run(&touched, kBlockPages, [this](std::size_t run, std::size_t length) {
    os::commit(reinterpret_cast<void*>(start_ + run * kPageSize), length * kPageSize);
  });
  counters.reused_bytes.fetch_add_relaxed(bytes(touched & ~fresh_));
  returned_ &= ~touched;
  fresh_ &= ~touched;
}

}  // namespace gort::alloc
