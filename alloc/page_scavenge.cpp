// The page allocator's way back: idle pages become returned ones.

#include <gort/alloc/page_allocator.h>

#include <algorithm>

#include <gort/alloc/page_state.h>
#include <gort/base/counters.h>
#include <gort/base/os.h>

namespace gort::alloc {
namespace {

constexpr std::size_t kHugePages = kHugePageSize / kPageSize;
constexpr int kMaxRefusals = 16;  // in one scavenge that nobody has asked for

void count_given_back(std::size_t bytes, ReleaseReason reason) {
  counters.scavenged_bytes.fetch_add_relaxed(bytes);
  switch (reason) {
    case ReleaseReason::next_cycle:
      counters.scavenged_goal_bytes.fetch_add_relaxed(bytes);
      break;
    case ReleaseReason::memory_limit:
      counters.scavenged_limit_bytes.fetch_add_relaxed(bytes);
      break;
    case ReleaseReason::request:
      counters.scavenged_request_bytes.fetch_add_relaxed(bytes);
      break;
  }
}

}  // namespace

// Behind a huge page, one touch of one page brings back all of it, given-back and never used memory
// too. So a chunk that loses memory gets small pages, until all of it has been given back and it is
// used anew, and what is behind its returned pages goes.
//
// That is not yet all if a thread is just touching one of these huge pages (it looks afterwards:
// touched_ahead()), or if a page cache has pages of the chunk that count as returned (flush()
// looks).
void PageAllocator::stop_using_huge_pages(Arena& arena, std::size_t chunk) {
  if (!arena.has_huge_pages(chunk)) return;
  arena.huge_chunks.fetch_and_acq_rel(~(std::uint32_t{1} << chunk));
  os::hint_huge_pages(reinterpret_cast<void*>(arena.start + chunk * kChunkSize), kChunkSize, false);
  drop_behind_returned(arena, chunk);
}

void PageAllocator::drop_behind_returned(const Arena& arena, std::size_t chunk) {
  const std::uintptr_t start = arena.start + chunk * kChunkSize;
  bits::for_each_run(arena.returned + chunk * kChunkWords, kChunkPages,
                     [start](std::size_t first, std::size_t count) {
                       os::drop_prepared(reinterpret_cast<void*>(start + first * kPageSize),
                                         count * kPageSize);
                     });
}

void PageAllocator::touched_ahead(std::uintptr_t address) {
  const std::size_t chunk = (address - window.base) / kChunkSize;
  const Arena& arena = *arena_at(chunk / kArenaChunks);
  if (arena.has_huge_pages(chunk % kArenaChunks)) return;  // whoever takes them comes later
  LockGuard guard(lock);
  drop_behind_returned(arena, chunk % kArenaChunks);
}

void PageAllocator::drop_behind_returned() {
  for (std::size_t place = 0; place < window.arena_limit.load_acquire(); ++place) {
    for (std::size_t chunk = 0; chunk < kArenaChunks; ++chunk) {
      LockGuard guard(lock);
      Arena* const arena = arena_at(place);
      if (arena == nullptr || chunk >= arena->prepared / kChunkPages) break;
      const std::size_t end = (chunk + 1) * kChunkPages;
      const std::size_t first = bits::find_set(arena->returned, end, chunk * kChunkPages);
      if (first < end) stop_using_huge_pages(*arena, chunk);
    }
  }
}

std::size_t PageAllocator::scavenge(std::size_t bytes, ReleaseReason reason) {
  std::size_t done = 0;
  const bool requested = reason == ReleaseReason::request;
  int refusals = 0;
  lock.acquire();
  std::size_t below = requested ? kTop : scavenge_below_.load_relaxed();
  while (done < bytes && (requested || refusals < kMaxRefusals)) {
    const Candidate run = take_candidate(below, Pages::holding(bytes - done).count());
    if (run.count == 0) {
      below = kTop;
      break;
    }
    void* const start = pointer_to(run.first);
    lock.release();
    const bool given_back = os::decommit(start, run.count * kPageSize);
    lock.acquire();
    finish_candidate(run, given_back, reason);
    below = run.first;
    if (given_back) {
      done += run.count * kPageSize;
    } else {
      ++refusals;
    }
  }
  // Those that have been refused just now would be refused again.
  if (!requested) scavenge_below_.store_relaxed(refusals > 0 ? below : kTop);
  lock.release();
  return done;
}

// Takes out the highest run, below page `below`, of idle pages that can be given back; about `most`
// pages of it. It lies in one chunk.
PageAllocator::Candidate PageAllocator::take_candidate(std::size_t below, std::size_t most) {
  const std::size_t group = system_pages();
  if (os::page_size() < index_page_size_) {  // only in tests: chunks may have become releasable
    const std::size_t limit = window.arena_limit.load_relaxed() * kArenaPages;
    for (std::size_t page = 0; page < limit; page += kChunkPages) {
      const Arena* arena = arena_at(page / kArenaPages);
      if (arena != nullptr && page % kArenaPages < arena->prepared) {
        scavenger_index.insert(page / kChunkPages);
      }
    }
  }
  index_page_size_ = os::page_size();

  std::uint64_t idle[kChunkWords];
  for (;;) {
    const std::size_t chunk =
        scavenger_index.highest_below((below + kChunkPages - 1) / kChunkPages);
    if (chunk == ChunkSet::kNone) return {};
    const std::size_t chunk_start = chunk * kChunkPages;
    const std::size_t limit = std::min(kChunkPages, below - chunk_start);
    releasable(chunk, limit, group, idle);
    const std::size_t end = end_of_last(idle, limit, true);
    if (end == 0) {
      if (limit == kChunkPages) scavenger_index.erase(chunk);
      below = chunk_start;
      continue;
    }
    const std::size_t start = end_of_last(idle, end, false);
    most = bits::align_up(std::min(most, kChunkPages), group);
    std::size_t from = end - start > most ? end - most : start;
    const std::size_t huge = bits::align_down(from, kHugePages);
    if (huge >= start && huge + kHugePages <= end) from = huge;

    const Candidate run{chunk_start + from, end - from};
    for_each_part(run.first, run.count, [](Arena& arena, std::size_t at, std::size_t here) {
      bits::set_range(arena.used, at, here);
    });
    summarize(run.first, run.count);
    scavenging_.owner_add_relaxed(run.count * kPageSize);
    return run;
  }
}

void PageAllocator::finish_candidate(Candidate run, bool given_back, ReleaseReason reason) {
  const std::size_t bytes = run.count * kPageSize;
  put_back(run.first, run.count);
  scavenging_.owner_add_relaxed(-bytes);
  if (!given_back) {
    counters.os_refusals.fetch_add_relaxed(1);
    scavenger_index.insert(run.first / kChunkPages);
    return;
  }
  Arena& arena = *arena_at(run.first / kArenaPages);
  bits::set_range(arena.returned, run.first % kArenaPages, run.count);
  stop_using_huge_pages(arena, run.first % kArenaPages / kChunkPages);
  idle_.owner_add_relaxed(-bytes);
  returned_.owner_add_relaxed(bytes);
  count_given_back(bytes, reason);
}

}  // namespace gort::alloc
