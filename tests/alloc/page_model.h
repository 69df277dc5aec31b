#pragma once

// The page allocator's behaviour, written as naively as possible: one byte a page, linear searches.
// What page_allocator.h, arena.h and page_cache.h promise is decided here; the tests compare.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include <gort/alloc/config.h>

namespace gort_test {

class PageModel {
 public:
  enum State : std::uint8_t { used = 0, idle, returned, fresh };

  struct Run {
    std::size_t first;
    bool zeroed;
  };

  explicit PageModel(std::size_t system_pages = 1) : group_(system_pages) {}

  /// One entry a prepared page.
  const std::vector<std::uint8_t>& pages() const { return pages_; }
  std::size_t arenas() const {
    return (pages_.size() + gort::alloc::kArenaPages - 1) / gort::alloc::kArenaPages;
  }

  Run allocate(std::size_t n, std::size_t alignment = 1) {
    std::size_t first = aligned_fit(n, alignment);
    if (first == kNone) {
      grow(n + alignment - 1);
      first = aligned_fit(n, alignment);
    }
    bool zeroed = true;
    for (std::size_t i = first; i < first + n; ++i) zeroed = zeroed && pages_[i] >= returned;
    // A page of the system that is partly used is resident as a whole.
    const std::size_t end = (first + n + group_ - 1) / group_ * group_;
    for (std::size_t i = first / group_ * group_; i < end; ++i) {
      if (pages_[i] >= returned) pages_[i] = idle;
    }
    for (std::size_t i = first; i < first + n; ++i) pages_[i] = used;
    return {first, zeroed};
  }

  void free(std::size_t first, std::size_t n) {
    for (std::size_t i = first; i < first + n; ++i) pages_[i] = idle;
  }

  /// Pages given back for a request of `wanted` pages.
  std::size_t scavenge(std::size_t wanted) {
    constexpr std::size_t kHuge = (std::size_t{2} << 20) / gort::kPageSize;
    std::size_t done = 0;
    std::size_t end = pages_.size();
    while (done < wanted) {
      while (end > 0 && !releasable(end - 1)) --end;
      if (end == 0) break;
      const std::size_t chunk = (end - 1) / gort::alloc::kChunkPages * gort::alloc::kChunkPages;
      std::size_t start = end - 1;
      while (start > chunk && releasable(start - 1)) --start;
      // Not more than asked for, in whole pages of the system, but whole huge pages stay whole.
      const std::size_t left = std::min(wanted - done, gort::alloc::kChunkPages);
      const std::size_t most = (left + group_ - 1) / group_ * group_;
      std::size_t from = most < end - start ? end - most : start;
      const std::size_t huge = from / kHuge * kHuge;
      if (huge >= start && huge + kHuge <= end) from = huge;
      for (std::size_t i = from; i < end; ++i) pages_[i] = returned;
      done += end - from;
      end = from;
    }
    return done;
  }

  /// The page cache: all free pages of the first block of 64 that has one.
  struct Cache {
    std::size_t first = 0;
    std::vector<std::uint8_t> pages;  ///< 64, or empty
    std::size_t count(bool resident) const {
      return static_cast<std::size_t>(std::count_if(
          pages.begin(), pages.end(),
          [resident](std::uint8_t s) { return s != used && (s == idle) == resident; }));
    }
  };
  Cache fill() {
    std::size_t page = fit(1);
    if (page == kNone) {
      grow(1);
      page = fit(1);
    }
    Cache cache;
    cache.first = page / 64 * 64;
    cache.pages.assign(pages_.begin() + static_cast<long>(cache.first),
                       pages_.begin() + static_cast<long>(cache.first + 64));
    std::fill_n(pages_.begin() + static_cast<long>(cache.first), 64, std::uint8_t{used});
    return cache;
  }
  void flush(Cache& cache) {
    for (std::size_t i = 0; i < cache.pages.size(); ++i) {
      if (cache.pages[i] != used) pages_[cache.first + i] = cache.pages[i];
    }
    cache = Cache();
  }
  /// The first run of n pages in the cache; first == kNone if there is none.
  Run allocate(Cache& cache, std::size_t n) const {
    for (std::size_t at = 0; at + n <= cache.pages.size(); ++at) {
      std::size_t have = 0;
      while (have < n && cache.pages[at + have] != used) ++have;
      if (have < n) continue;
      bool zeroed = true;
      for (std::size_t i = at; i < at + n; ++i) zeroed = zeroed && cache.pages[i] >= returned;
      for (std::size_t i = at / group_ * group_; i < (at + n + group_ - 1) / group_ * group_; ++i) {
        if (cache.pages[i] >= returned) cache.pages[i] = idle;
      }
      for (std::size_t i = at; i < at + n; ++i) cache.pages[i] = used;
      return {cache.first + at, zeroed};
    }
    return {kNone, false};
  }

  std::size_t count(State state) const {
    return static_cast<std::size_t>(std::count(pages_.begin(), pages_.end(), state));
  }
  /// Idle pages in no page of the system that is idle as a whole.
  std::size_t idle_too_small() const {
    std::size_t n = 0;
    for (std::size_t i = 0; i < pages_.size(); ++i) n += pages_[i] == idle && !releasable(i);
    return n;
  }

  static constexpr std::size_t kNone = ~std::size_t{0};

 private:
  bool releasable(std::size_t page) const {
    const std::size_t first = page / group_ * group_;
    for (std::size_t i = first; i < first + group_; ++i) {
      if (pages_[i] != idle) return false;
    }
    return true;
  }

  std::size_t fit(std::size_t n) const {
    std::size_t run = 0;
    for (std::size_t i = 0; i < pages_.size(); ++i) {
      std::uint64_t eight = 1;
      if (run == 0 && i % 8 == 0) std::memcpy(&eight, &pages_[i], 8);  // skip what is used, faster
      if (eight == 0) {
        i += 7;
        continue;
      }
      run = pages_[i] == used ? 0 : run + 1;
      if (run == n) return i + 1 - n;
    }
    return kNone;
  }
  std::size_t aligned_fit(std::size_t n, std::size_t alignment) const {
    const std::size_t first = fit(n);
    if (first == kNone || first % alignment == 0) return first;
    const std::size_t padded = fit(n + alignment - 1);
    return padded == kNone ? kNone : (padded + alignment - 1) / alignment * alignment;
  }
  // Whole chunks, until the free pages at the end are n.
  void grow(std::size_t n) {
    std::size_t at_end = 0;
    while (at_end < pages_.size() && pages_[pages_.size() - 1 - at_end] != used) ++at_end;
    for (; at_end < n; at_end += gort::alloc::kChunkPages) {
      pages_.insert(pages_.end(), gort::alloc::kChunkPages, std::uint8_t{fresh});
    }
  }

  std::size_t group_;
  std::vector<std::uint8_t> pages_;
};

}  // namespace gort_test
