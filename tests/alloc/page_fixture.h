#pragma once

// For the tests of the page allocator: the process's own one (there is one window), as if it had
// never been used, and given back entirely at the end.

#include <catch2/catch.hpp>

#include <cstddef>
#include <cstdint>

#include <sys/prctl.h>

#include <gort/alloc/arena.h>
#include <gort/alloc/heap.h>
#include <gort/base/bits.h>
#include <gort/base/os.h>
#include <gort/base/units.h>

namespace gort_test {

class EmptyHeap {
 public:
  EmptyHeap() : before_(gort::os::counts()) {
    gort::LockGuard guard(pages.lock);
    REQUIRE(pages.used() == 0);  // the test before has left nothing
    pages.release_everything();
    before_ = gort::os::counts();
  }
  ~EmptyHeap() {
    gort::os::fail_call_for_test(0);
    gort::os::set_page_size_for_test(0);
    gort::LockGuard guard(pages.lock);
    pages.release_everything();
    gort::alloc::window_options = {};
  }
  EmptyHeap(const EmptyHeap&) = delete;
  EmptyHeap& operator=(const EmptyHeap&) = delete;

  gort::alloc::PageRun allocate(std::size_t count, std::size_t alignment = 1) {
    gort::LockGuard guard(pages.lock);
    return pages.allocate(gort::Pages(count), alignment);
  }
  void free(const gort::alloc::PageRun& run) { free(run.start, run.pages.count()); }
  void free(std::uintptr_t start, std::size_t count) {
    gort::LockGuard guard(pages.lock);
    pages.free(start, gort::Pages(count));
  }
  bool fill(gort::alloc::PageCache& cache) {
    gort::LockGuard guard(pages.lock);
    return pages.fill(cache);
  }
  void flush(gort::alloc::PageCache& cache) {
    gort::LockGuard guard(pages.lock);
    pages.flush(cache);
  }
  std::size_t idle_too_small() {
    gort::LockGuard guard(pages.lock);
    return pages.idle_too_small();
  }

  /// Everything that must hold at any time; `cached_returned` is what page caches hold of returned
  /// pages.
  void check(std::size_t cached_returned = 0) {
    gort::LockGuard guard(pages.lock);
    pages.check();
    std::size_t arena_count = 0;
    for (std::size_t i = 0; i < gort::alloc::window.arena_limit.load_relaxed(); ++i) {
      if (gort::alloc::arenas[i].load_relaxed() != nullptr) ++arena_count;
    }
    REQUIRE(pages.reserved() + pages.returned() + pages.idle() + pages.used() ==
            arena_count * gort::alloc::kArenaSize);
    const gort::os::Counts now = gort::os::counts();
    REQUIRE(now.reserved - before_.reserved == pages.reserved());
    REQUIRE(now.prepared - before_.prepared == pages.returned() + cached_returned);
    REQUIRE(now.ready - before_.ready == pages.used() + pages.idle() - cached_returned);
  }

  gort::alloc::PageAllocator& pages = gort::alloc::heap.pages;

 private:
  gort::os::Counts before_;
};

/// For a scope the system gives no huge page unasked, as it may do if
/// /sys/kernel/mm/transparent_hugepage/enabled says "always": so what is touched is resident, and
/// no more.
struct NoHugePages {
  NoHugePages() { ::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); }
  ~NoHugePages() { ::prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0); }
  NoHugePages(const NoHugePages&) = delete;
  NoHugePages& operator=(const NoHugePages&) = delete;
};

/// What the system has behind the returned pages among `bytes` at `start`, which lie in the arena.
inline std::size_t resident_behind_returned(const gort::alloc::Arena& arena, std::uintptr_t start,
                                            std::size_t bytes) {
  std::size_t resident = 0;
  for (std::uintptr_t at = start; at < start + bytes; at += gort::kPageSize) {
    if (!gort::bits::test(arena.returned, (at - arena.start) / gort::kPageSize)) continue;
    resident += gort::os::resident_bytes_of(reinterpret_cast<void*>(at), gort::kPageSize);
  }
  return resident;
}

}  // namespace gort_test
