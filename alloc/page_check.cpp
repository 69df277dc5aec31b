// The page allocator's books, recomputed from its bitmaps.

#include <gort/alloc/page_allocator.h>

#include <algorithm>

#include <gort/alloc/page_state.h>

namespace gort::alloc {

std::size_t PageAllocator::idle_too_small() const {
  const std::size_t group = system_pages();
  if (group == 1) return 0;
  std::size_t pages = 0;
  const std::size_t limit = window.arena_limit.load_relaxed();
  for (std::size_t place = 0; place < limit; ++place) {
    const Arena* arena = arena_at(place);
    if (arena == nullptr) continue;
    for (std::size_t w = 0; w < arena->prepared / bits::kWordBits; ++w) {
      const std::uint64_t idle = ~(arena->used[w] | arena->returned[w]);
      pages += popcount(idle & ~whole_groups(idle, group));
    }
  }
  return pages * kPageSize;
}

std::size_t PageAllocator::releasable_above(std::uintptr_t address) const {
  const std::size_t below = (address - window.base) / kPageSize + 1;
  const std::size_t limit = window.arena_limit.load_relaxed() * kArenaPages;
  std::size_t pages = 0;
  for (std::size_t chunk = below / kChunkPages; chunk * kChunkPages < limit; ++chunk) {
    const Arena* arena = arena_at(chunk / kArenaChunks);
    if (arena == nullptr || chunk % kArenaChunks * kChunkPages >= arena->prepared) continue;
    std::uint64_t idle[kChunkWords];
    releasable(chunk, kChunkPages, system_pages(), idle);
    const std::size_t first = std::max(below, chunk * kChunkPages) - chunk * kChunkPages;
    pages += bits::count_range(idle, first, kChunkPages - first);
  }
  return pages * kPageSize;
}

void PageAllocator::check() const {
  std::size_t reserved = 0;
  std::size_t returned = 0;
  std::size_t idle = 0;
  std::size_t used = 0;
  const std::size_t limit = window.arena_limit.load_relaxed();
  for (std::size_t place = 0; place < limit; ++place) {
    Arena* arena = arena_at(place);
    if (arena == nullptr) continue;
    GORT_CHECK(arena->index == place && arena->start == place_address(place), "arena {}", place);
    GORT_CHECK(place + 1 == limit || arena->prepared == kArenaPages, "unprepared arena {}", place);
    reserved += kArenaPages - arena->prepared;
    for (std::size_t w = 0; w < kArenaPages / bits::kWordBits; ++w) {
      const std::uint64_t u = arena->used[w];
      const std::uint64_t r = arena->returned[w];
      const std::uint64_t f = arena->fresh[w];
      GORT_CHECK((u & r) == 0 && (f & ~r) == 0, "bits of arena {}, word {}: {:#x} {:#x} {:#x}",
                 place, w, u, r, f);
      if (w * bits::kWordBits >= arena->prepared) {
        GORT_CHECK((u | r) == 0, "arena {} has bits above its prepared part", place);
        continue;
      }
      returned += popcount(r);
      used += popcount(u);
      idle += popcount(~(u | r));
    }
    GORT_CHECK(
        page_tables[place].load_acquire() == nullptr || arena->whole.load_acquire() == nullptr,
        "arena {} has a page table and an owner", place);
    for (std::size_t page = 0; page < kArenaPages; ++page) {
      GORT_CHECK(bits::test(arena->used, page) || arena->span_of_page(page) == nullptr,
                 "page {} of arena {} is idle and has a span", page, place);
    }
    for (std::size_t c = 0; c < kArenaChunks; ++c) {
      const std::size_t chunk = place * kArenaChunks + c;
      const bool prepared = c * kChunkPages < arena->prepared;
      const PageSummary expected = prepared ? summarize_chunk(used_bits_of(chunk)) : PageSummary{};
      GORT_CHECK(page_tree.chunk(chunk) == expected, "summary of chunk {}", chunk);
      GORT_CHECK(expected.nothing_free() || chunk * kChunkPages + kChunkPages > lowest_free_,
                 "chunk {} has free pages, all below {}", chunk, lowest_free_);
      if (!prepared || os::page_size() < index_page_size_) continue;
      std::uint64_t candidates[kChunkWords];
      releasable(chunk, kChunkPages, system_pages(), candidates);
      GORT_CHECK(scavenger_index.contains(chunk) || end_of_last(candidates, kChunkPages, true) == 0,
                 "chunk {} has idle pages and is not in the scavenger's index", chunk);
    }
  }
  page_tree.check(limit * kArenaChunks);
  const std::size_t taken_out = scavenging_.load_relaxed();
  GORT_CHECK(reserved * kPageSize == this->reserved(), "reserved: {} pages", reserved);
  GORT_CHECK(returned * kPageSize == this->returned(), "returned: {} pages", returned);
  GORT_CHECK(idle * kPageSize + taken_out == this->idle(), "idle: {} pages", idle);
  GORT_CHECK(used * kPageSize - taken_out == this->used(), "used: {} pages", used);
}

}  // namespace gort::alloc
