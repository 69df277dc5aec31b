#include <gort/alloc/page_allocator.h>

#include <algorithm>

#include <gort/alloc/describe.h>
#include <gort/alloc/page_state.h>
#include <gort/base/counters.h>

namespace gort::alloc {

PageTree page_tree;
constinit ChunkSet scavenger_index;

// --- allocation ----------------------------------------------------------------------------------

PageRun PageAllocator::allocate(Pages count, std::size_t alignment_pages) {
  const std::size_t n = count.count();
  GORT_CHECK(n > 0, "allocation of no pages");
  GORT_CHECK(bits::is_power_of_two(alignment_pages) && alignment_pages <= kArenaPages,
             "alignment to {} pages", alignment_pages);
  std::size_t first = find_aligned(n, alignment_pages);
  if (GORT_UNLIKELY(first == kNoPage)) {
    if (n > PageTree::kWindowPages || !grow(n + alignment_pages - 1)) return {};
    first = find_aligned(n, alignment_pages);
    GORT_CHECK(first != kNoPage, "no room for {} pages after growth", n);
  }
  if (GORT_UNLIKELY(!have_page_tables(address_of(first), count))) return {};
  return take(first, n);
}

std::size_t PageAllocator::find_aligned(std::size_t count, std::size_t alignment) {
  const std::size_t first = find(count);
  if (GORT_LIKELY(first % alignment == 0) || first == kNoPage) return first;
  const std::size_t padded = find(count + alignment - 1);
  return padded == kNoPage ? kNoPage : bits::align_up(padded, alignment);
}

// The lowest run of `count` free pages. Raises lowest_free_ on the way.
std::size_t PageAllocator::find(std::size_t count) {
  const std::size_t limit = window.arena_limit.load_relaxed() * kArenaPages;
  if (lowest_free_ >= limit) return kNoPage;
  // Mostly the chunk of the lowest free page has room, and the tree need not be asked: nothing is
  // free below, so no run can reach into the chunk from there.
  std::size_t chunk = lowest_free_ / kChunkPages;
  std::size_t from = lowest_free_ % kChunkPages;
  if (page_tree.chunk(chunk).max() < count) {
    const PageTree::Found found = page_tree.find(count, lowest_free_, limit);
    lowest_free_ = found.lowest_free;
    if (!found.inside_chunk) return found.page;
    chunk = found.page / kChunkPages;
    from = 0;
  }
  const std::size_t page = find_in_chunk(used_bits_of(chunk), count, from);
  GORT_CHECK(page != kNoPage, "chunk {} has no run of {} pages, but its summary says so", chunk,
             count);
  const std::size_t first = chunk * kChunkPages + page;
  if (count == 1) lowest_free_ = first;
  return first;
}

// Free pages -> used.
PageRun PageAllocator::take(std::size_t first, std::size_t count) {
  use_huge_pages(first, count);
  std::size_t returned = 0;
  PageRun run{address_of(first), Pages(count)};
  for_each_part(first, count, [&](Arena& arena, std::size_t at, std::size_t here) {
    bits::for_each_word(at, here, [&](std::size_t w, std::uint64_t mask) {
      GORT_DCHECK((arena.used[w] & mask) == 0, "page allocated twice");
      arena.used[w] |= mask;
      const std::uint64_t r = arena.returned[w] & mask;
      if (r != 0) returned += popcount(r);
      if (r == mask) return;
      const std::size_t word_page = arena.index * kArenaPages + w * bits::kWordBits - first;
      const std::uint64_t dirty = mask & ~r;
      const std::size_t begin = word_page + static_cast<std::size_t>(std::countr_zero(dirty));
      if (run.dirty_end == 0) {
        run.dirty_begin = begin;
      } else if (begin - run.dirty_end > run.clean_end - run.clean_begin) {
        run.clean_begin = run.dirty_end;
        run.clean_end = begin;
      }
      run.dirty_end =
          word_page + bits::kWordBits - static_cast<std::size_t>(std::countl_zero(dirty));
    });
  });
  used_.owner_add_relaxed(count * kPageSize);
  idle_.owner_add_relaxed((returned - count) * kPageSize);
  if (returned > 0) reuse_returned(first, count, returned);
  summarize(first, count);
  if (first == lowest_free_) lowest_free_ = first + count;
  run.zeroed = returned == count;
  if (run.clean_end == 0) run.clean_begin = run.clean_end = run.dirty_end;
  return run;
}

// Pages [first, first + count), `returned` of which are marked so, get memory behind them again,
// and so does the rest of the system's pages that they lie in.
void PageAllocator::reuse_returned(std::size_t first, std::size_t count, std::size_t returned) {
  const std::size_t group = system_pages();
  const std::size_t low = bits::align_down(first, group);
  const std::size_t high = bits::align_up(first + count, group);
  std::size_t resident = 0;
  std::size_t fresh = 0;
  for_each_part(low, high - low, [&](Arena& arena, std::size_t at, std::size_t here) {
    const std::size_t end = at + here;
    for (std::size_t i = bits::find_set(arena.returned, end, at); i < end;) {
      const std::size_t run_end = bits::find_clear(arena.returned, end, i);
      const std::size_t n = run_end - i;
      os::commit(reinterpret_cast<void*>(arena.start + i * kPageSize), n * kPageSize);
      resident += n;
      fresh += bits::count_range(arena.fresh, i, n);
      bits::clear_range(arena.returned, i, n);
      bits::clear_range(arena.fresh, i, n);
      i = bits::find_set(arena.returned, end, run_end);
    }
  });
  returned_.owner_add_relaxed(-(resident * kPageSize));
  idle_.owner_add_relaxed((resident - returned) * kPageSize);
  counters.reused_bytes.fetch_add_relaxed((resident - fresh) * kPageSize);
}

void PageAllocator::free(std::uintptr_t start, Pages count) {
  const std::uintptr_t offset = start - window.base;
  const std::size_t limit = window.arena_limit.load_relaxed() * kArenaSize;
  if (GORT_UNLIKELY(offset >= limit || count.bytes() > limit - offset || offset % kPageSize != 0)) {
    refuse_free(start, count, "are not of this heap", start);
  }
  const std::size_t first = offset / kPageSize;
  const std::size_t last_place = (offset + count.bytes() - 1) / kArenaSize;
  for (std::size_t place = offset / kArenaSize; place <= last_place; ++place) {
    if (GORT_LIKELY(arena_at(place) != nullptr)) continue;  // else skipped: somebody else's
    refuse_free(start, count, "are not of this heap", start);
  }
  put_back(first, count.count());
  used_.owner_add_relaxed(-count.bytes());
  idle_.owner_add_relaxed(count.bytes());
  frees_.owner_add_relaxed(1);
  const std::size_t end = first + count.count();
  for (std::size_t chunk = first / kChunkPages; chunk * kChunkPages < end; ++chunk) {
    scavenger_index.insert(chunk);
  }
}

// Says what is at `culprit`, as far as that can be known.
void PageAllocator::refuse_free(std::uintptr_t start, Pages count, std::string_view why,
                                std::uintptr_t culprit) GORT_NO_THREAD_SAFETY_ANALYSIS {
  lock.release();  // for describe(); nobody goes on from here
  fatal("{} pages at {:#x} {}; {}", count.count(), start, why,
        describe(reinterpret_cast<const void*>(culprit)).view());
}

// Used pages -> free.
void PageAllocator::put_back(std::size_t first, std::size_t count) {
  for_each_part(first, count, [&](Arena& arena, std::size_t at, std::size_t here) {
    bits::for_each_word(at, here, [&](std::size_t w, std::uint64_t mask) {
      const std::uint64_t unused = mask & ~arena.used[w];
      if (GORT_UNLIKELY(unused != 0)) {
        const auto bit = static_cast<std::size_t>(std::countr_zero(unused));
        refuse_free(address_of(first), Pages(count), "are freed and not all used",
                    arena.start + (w * bits::kWordBits + bit) * kPageSize);
      }
      arena.used[w] &= ~mask;
    });
  });
  summarize(first, count);
  lowest_free_ = std::min(lowest_free_, first);
}

// Brings the tree up to date with the used bits of pages [first, first + count).
void PageAllocator::summarize(std::size_t first, std::size_t count) {
  const std::size_t first_chunk = first / kChunkPages;
  const std::size_t last_chunk = (first + count - 1) / kChunkPages;
  if (first_chunk == last_chunk) {
    page_tree.set(first_chunk, summarize_chunk(used_bits_of(first_chunk)));
    return;
  }
  for (std::size_t chunk = first_chunk; chunk <= last_chunk; ++chunk) {
    page_tree.set_only(chunk, summarize_chunk(used_bits_of(chunk)));
  }
  page_tree.update(first_chunk, last_chunk);
}

// --- page caches ---------------------------------------------------------------------------------

bool PageAllocator::fill(PageCache& cache) {
  GORT_CHECK(cache.empty(), "a page cache is filled that is not empty");
  std::size_t page = find(1);
  if (page == kNoPage) {
    if (!grow(1)) return false;
    page = find(1);
  }
  const std::size_t first = bits::align_down(page, PageCache::kBlockPages);
  if (!have_page_tables(address_of(first), Pages(PageCache::kBlockPages))) return false;
  // First fit fills the chunk before the next.
  use_huge_pages(bits::align_down(first, kChunkPages), kChunkPages);
  Arena& arena = *arena_at(first / kArenaPages);
  const std::size_t w = first % kArenaPages / bits::kWordBits;
  cache.start_ = address_of(first);
  cache.free_ = ~arena.used[w];
  cache.returned_ = arena.returned[w];
  cache.fresh_ = arena.fresh[w];
  cache.huge_ = arena.has_huge_pages(first % kArenaPages / kChunkPages);
  arena.used[w] = ~std::uint64_t{0};
  arena.returned[w] = 0;
  arena.fresh[w] = 0;
  used_.owner_add_relaxed(cache.idle_bytes() + cache.returned_bytes());
  idle_.owner_add_relaxed(-cache.idle_bytes());
  returned_.owner_add_relaxed(-cache.returned_bytes());
  summarize(first, PageCache::kBlockPages);
  lowest_free_ = first + PageCache::kBlockPages;
  return true;
}

void PageAllocator::flush(PageCache& cache) {
  if (cache.empty()) return;
  const std::size_t first = (cache.start_ - window.base) / kPageSize;
  Arena& arena = *arena_at(first / kArenaPages);
  const std::size_t w = first % kArenaPages / bits::kWordBits;
  GORT_CHECK((arena.used[w] & cache.free_) == cache.free_, "a page cache holds pages of others");
  arena.used[w] &= ~cache.free_;
  arena.returned[w] |= cache.returned_;
  arena.fresh[w] |= cache.fresh_;
  const std::size_t chunk = first % kArenaPages / kChunkPages;
  if (cache.huge_ && !arena.has_huge_pages(chunk)) drop_behind_returned(arena, chunk);
  used_.owner_add_relaxed(-(cache.idle_bytes() + cache.returned_bytes()));
  idle_.owner_add_relaxed(cache.idle_bytes());
  returned_.owner_add_relaxed(cache.returned_bytes());
  summarize(first, PageCache::kBlockPages);
  lowest_free_ = std::min(lowest_free_, first);
  if (cache.idle_bytes() > 0) scavenger_index.insert(first / kChunkPages);
  frees_.owner_add_relaxed(1);
  cache = PageCache();
}

}  // namespace gort::alloc
