#pragma once

// A thread's own supply of pages: up to 64 pages of one aligned block, taken from the page
// allocator in one go, so that small spans can be made without a lock (Go's pageCache).
//
//     free bit  returned bit  fresh bit
//         0          0            0       not ours, or allocated from here
//         1          0            0       free, resident
//         1          1            0       free, given back to the system before: reads as zero
//         1          1            1       free, never used: reads as zero
//     fresh is a subset of returned is a subset of free
//
// To the page allocator all these pages are used until they are flushed; who keeps books takes
// idle_bytes() and returned_bytes() of every cache out of its used() and adds them to the places
// where they belong:
//     pages.used() == bytes of spans + sum over caches of (idle_bytes + returned_bytes)
//                     + unpublished pages (unpublished.h)
//
// Guard: the owning thread alone, or whoever stopped the world.

#include <bit>
#include <cstddef>
#include <cstdint>

#include <gort/base/units.h>

namespace gort::alloc {

/// Consecutive pages as the page allocator hands them out.
struct PageRun {
  std::uintptr_t start = 0;  ///< 0: the operating system refused
  Pages pages;
  bool zeroed = false;  ///< every byte is known to read as zero
  /// From the page allocator: pages outside [dirty_begin, dirty_end) of the run read as zero, and
  /// so do those of [clean_begin, clean_end), the longest such piece within (if there is none, both
  /// are dirty_end). First fit takes what has been given back together with what is freed beside
  /// it.
  std::size_t dirty_begin = 0;
  std::size_t clean_begin = 0;
  std::size_t clean_end = 0;
  std::size_t dirty_end = 0;
  explicit operator bool() const { return start != 0; }
};

class PageCache {
 public:
  static constexpr std::size_t kBlockPages = 64;
  /// Larger runs should go to the page allocator, as in Go: here they would mostly fail.
  static constexpr std::size_t kMaxRunPages = 15;

  /// The first run of `count` (1..64) pages; empty if there is none, then flush and fill. Needs no
  /// lock.
  PageRun allocate(Pages count);

  bool empty() const { return free_ == 0; }
  std::size_t idle_bytes() const { return bytes(free_ & ~returned_); }
  std::size_t returned_bytes() const { return bytes(returned_); }

 private:
  friend class PageAllocator;

  // Pages [first, first + count) get memory behind them again.
  void reuse_returned(std::size_t first, std::size_t count);

  static std::size_t bytes(std::uint64_t mask) {
    return static_cast<std::size_t>(std::popcount(mask)) * kPageSize;
  }

  std::uintptr_t start_ = 0;  ///< of the block
  std::uint64_t free_ = 0;
  std::uint64_t returned_ = 0;
  std::uint64_t fresh_ = 0;
  bool huge_ = false;  ///< the block's chunk had huge pages when the cache was filled
};

}  // namespace gort::alloc
