#pragma once

// The page allocator: hands out runs of consecutive 8 KiB pages, takes them back, and gives idle
// ones back to the operating system.
//
//            grow                  allocate, fill
//   reserved ------> idle,returned ------------> used       (os: reserved -> prepared -> ready)
//                         ^                      |  ^
//                         | scavenge        free |  | allocate, fill
//                         +------- idle <--------+  |
//                                    |              |
//                                    +--------------+
//
// First fit by address: an allocation takes the lowest run that is long enough, so the heap stays
// packed towards low addresses and the scavenger finds what is idle for long at the high ones. The
// states are bits in the arenas (arena.h); the tree of summaries finds runs (page_summary.h); its
// cost does not depend on the heap's size. When nothing fits, the heap grows in whole chunks of 4
// MiB. Fresh chunks count as returned: nothing is behind them, and that is why the heap's limit and
// the scavenger's goal need not know about growth.
//
// Equations, between any two steps that hold the lock, and checked against the bitmaps by check():
//     reserved() + returned() + idle() + used() == arenas * kArenaSize
//     os ready    == used() + idle() - returned pages in page caches       (of this heap's share)
//     os prepared == returned() + returned pages in page caches
//     after scavenge_all() without a refusal: idle() == idle_too_small()
//
// Pages of the operating system may be larger than ours (64 KiB). Then only whole ones are given
// back, and when one of ours is taken out of a returned one, all of that one counts as resident
// again: so returned() never claims more than the system really has.
//
// The scavenger works in steps, so that others can allocate while the system unmaps: under the lock
// it takes a run of idle pages out (they look used, but still count as idle()), then drops it
// without the lock, then puts it back under the lock. It looks only at chunks in an index, which
// holds every chunk that can have something to give back, so a heap that is mostly returned costs
// it nothing. As in Go it starts at the highest address and does not break up a whole idle huge
// page (2 MiB).
//
// Huge pages. A fresh chunk has them, unless it is the heap's only one, and loses them when the
// scavenger takes a part of it: one touch would bring back all of a huge page, and returned() would
// claim more than the system has. When all of it has been returned and it is entered anew, by small
// spans or a run that covers it, it has them again (page_growth.cpp, page_scavenge.cpp).
//
// Refusals of the operating system: allocate and fill return nothing and have changed nothing (but
// may have prepared memory, which is then free); a run that could not be given back stays idle.
//
// There is one page allocator a process: its arenas, tree and index stand in .bss.
//
// Guards: everything is guarded by `lock`, which the caller takes, so that it can do several things
// under one acquisition; only the scavenging functions take it themselves. The byte counts may be
// read at any time; together they are exact with the lock held.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <gort/alloc/page_cache.h>
#include <gort/alloc/page_summary.h>
#include <gort/base/atomic.h>
#include <gort/base/ledger.h>
#include <gort/base/lock.h>
#include <gort/base/thread_annotations.h>
#include <gort/base/units.h>

namespace gort::alloc {

struct Arena;

class PageAllocator {
 public:
  constexpr PageAllocator() = default;

  mutable Lock lock{LockRank::heap};

  /// The first run of `count` (> 0) pages, growing the heap if there is none; empty if the
  /// operating system refuses or the window is full. `alignment_pages` is a power of two up to
  /// kArenaPages: if the first fit is not aligned, the run is taken at the first aligned place
  /// inside the first run of count + alignment_pages - 1 pages.
  PageRun allocate(Pages count, std::size_t alignment_pages = 1) GORT_REQUIRES(lock);
  /// Takes back any part of what was allocated.
  void free(std::uintptr_t start, Pages count) GORT_REQUIRES(lock);

  /// Fills an empty cache with all free pages of the first aligned block of 64 that has any,
  /// growing the heap if there is none. False, and the cache is still empty, if the operating
  /// system refuses.
  bool fill(PageCache& cache) GORT_REQUIRES(lock);
  /// Takes back what is left in the cache, which is empty afterwards.
  void flush(PageCache& cache) GORT_REQUIRES(lock);

  /// Gives back idle memory, highest addresses first, until `bytes` are reached (it may be up to a
  /// huge page or a page of the system more) or nothing is left. Returns the bytes given back.
  /// Without a request it also ends after some refusals, since the system may refuse all there is
  /// (mlock), and the next such call goes on below them: scavenged_to_the_end() is false until one
  /// has been at the lowest address.
  std::size_t scavenge(std::size_t bytes, ReleaseReason reason = ReleaseReason::request)
      GORT_EXCLUDES(lock);
  bool scavenged_to_the_end() const { return scavenge_below_.load_relaxed() == kTop; }
  /// Everything, and what there is without anybody's having asked for it.
  std::size_t scavenge_all() GORT_EXCLUDES(lock) {
    const std::size_t bytes = scavenge(~std::size_t{0});
    drop_behind_returned();
    return bytes;
  }
  /// Chunks that have lost nothing yet may have more behind returned pages than is said, brought in
  /// by huge pages: that goes, and they use small ones. Takes the lock for one chunk at a time.
  void drop_behind_returned() GORT_EXCLUDES(lock);

  /// The huge page at `address` has been touched ahead of its use, which may have taken long. If
  /// its chunk has lost memory meanwhile, what came in behind returned pages goes again.
  void touched_ahead(std::uintptr_t address) GORT_EXCLUDES(lock);

  // bytes; reserved() + returned() + idle() + used() == arenas * kArenaSize
  std::size_t reserved() const { return reserved_.load_relaxed(); }
  std::size_t returned() const { return returned_.load_relaxed(); }
  std::size_t idle() const { return idle_.load_relaxed(); }
  std::size_t used() const { return used_.load_relaxed(); }
  /// What the system has given us memory for, about: pages in page caches may have none yet.
  std::size_t resident() const { return used() + idle(); }
  /// How often pages have become idle, or may have.
  std::uint64_t frees() const { return frees_.load_relaxed(); }
  /// Idle bytes that lie in no page of the operating system that is idle and resident as a whole.
  std::size_t idle_too_small() const GORT_REQUIRES(lock);
  /// Idle bytes behind `address` that can be given back; those go before a page at `address` does.
  std::size_t releasable_above(std::uintptr_t address) const GORT_REQUIRES(lock);

  /// Recomputes the summaries and counts from the bitmaps and aborts if anything differs.
  void check() const GORT_REQUIRES(lock);

  /// Gives all address space back, whatever is in it, as if the heap had never started. Nobody may
  /// use the heap any more, hold an address in it or pages in a cache, or be scavenging.
  void release_everything() GORT_REQUIRES(lock);

 private:
  // Pages are counted from the window's base.
  std::size_t find(std::size_t count) GORT_REQUIRES(lock);
  std::size_t find_aligned(std::size_t count, std::size_t alignment) GORT_REQUIRES(lock);
  bool grow(std::size_t count) GORT_REQUIRES(lock);
  bool extend(std::size_t place, std::size_t arena_count, std::size_t first, std::size_t count)
      GORT_REQUIRES(lock);
  void use_huge_pages(std::size_t first, std::size_t count) GORT_REQUIRES(lock);
  std::size_t free_before(std::size_t page, std::size_t enough) const GORT_REQUIRES(lock);
  PageRun take(std::size_t first, std::size_t count) GORT_REQUIRES(lock);
  void reuse_returned(std::size_t first, std::size_t count, std::size_t returned)
      GORT_REQUIRES(lock);
  void put_back(std::size_t first, std::size_t count) GORT_REQUIRES(lock);
  [[noreturn]] GORT_COLD void refuse_free(std::uintptr_t start, Pages count, std::string_view why,
                                          std::uintptr_t culprit);
  void summarize(std::size_t first, std::size_t count) GORT_REQUIRES(lock);

  // Scavenging: a run of pages on its way to the operating system.
  struct Candidate {
    std::size_t first = 0;
    std::size_t count = 0;
  };
  Candidate take_candidate(std::size_t below, std::size_t most) GORT_REQUIRES(lock);
  void finish_candidate(Candidate run, bool given_back, ReleaseReason reason) GORT_REQUIRES(lock);

  void stop_using_huge_pages(Arena& arena, std::size_t chunk) GORT_REQUIRES(lock);
  void drop_behind_returned(const Arena& arena, std::size_t chunk) GORT_REQUIRES(lock);

  static constexpr std::size_t kTop = PageTree::kWindowPages;

  std::size_t lowest_free_ GORT_GUARDED_BY(lock) = 0;  ///< no page below is free
  /// The size of the system's pages that the scavenger's index is right for.
  std::size_t index_page_size_ GORT_GUARDED_BY(lock) = 0;

  // Guard: written under the lock.
  Atomic<std::size_t> reserved_{0};
  Atomic<std::size_t> returned_{0};
  Atomic<std::size_t> idle_{0};
  Atomic<std::size_t> used_{0};
  Atomic<std::uint64_t> frees_{0};
  Atomic<std::size_t> scavenge_below_{kTop};  ///< page; where the next scavenge goes on
  Atomic<std::size_t> scavenging_{0};         ///< of idle_: taken out by a scavenger, used bits set
};

}  // namespace gort::alloc
