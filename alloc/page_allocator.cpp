#include <gort/alloc/page_allocator.h>

#include <algorithm>
#include <bit>
#include <type_traits>

#include <gort/alloc/arena.h>
#include <gort/alloc/chunk_set.h>
#include <gort/alloc/page_summary.h>
#include <gort/base/bits.h>
#include <gort/base/counters.h>
#include <gort/base/fatal.h>
#include <gort/base/os.h>

namespace gort::alloc {
namespace {

// Guard of both: the page allocator's lock.
PageTree tree;
static_assert(std::is_trivially_default_constructible_v<PageTree>);  // starts as .bss, all zero
constinit ChunkSet index;  // every chunk that may have something to give back

constexpr std::size_t kHugePages = (std::size_t{2} << 20) / kPageSize;
// One scavenge stops after so many refusals: some memory cannot be given back (mlock), and if it is
// all of it, trying must not go on for ever.
constexpr int kMaxRefusals = 16;

std::uintptr_t address_of(std::size_t page) { return window.base + page * kPageSize; }
void* pointer_to(std::size_t page) { return reinterpret_cast<void*>(address_of(page)); }

Arena* arena_at(std::size_t place) { return arenas[place].load_relaxed(); }

const std::uint64_t* used_bits_of(std::size_t chunk) {
  return arena_at(chunk / kArenaChunks)->used + chunk % kArenaChunks * kChunkWords;
}

// Calls f(arena, first, count) for the part of the pages [first, first + count) in each arena.
template <class F>
void for_each_part(std::size_t first, std::size_t count, F&& f) {
  while (count > 0) {
    const std::size_t at = first % kArenaPages;
    const std::size_t here = std::min(count, kArenaPages - at);
    f(*arena_at(first / kArenaPages), at, here);
    first += here;
    count -= here;
  }
}

// Our pages in one page of the operating system, at least 1.
std::size_t system_pages() {
  const std::size_t pages = std::max<std::size_t>(1, os::page_size() / kPageSize);
  GORT_CHECK(pages <= bits::kWordBits, "the system's pages have {} bytes", os::page_size());
  return pages;
}

// The bits of `word` that lie in aligned groups of `group` (a power of two) set bits.
constexpr std::uint64_t whole_groups(std::uint64_t word, std::size_t group) {
  const std::uint64_t group_starts = ~std::uint64_t{0} / bits::low_mask(group);
  return (runs_of(word, group) & group_starts) * bits::low_mask(group);
}

std::size_t popcount(std::uint64_t word) { return static_cast<std::size_t>(std::popcount(word)); }

// One past the highest bit below `limit` that equals `value`; 0 if there is none.
std::size_t end_of_last(const std::uint64_t* map, std::size_t limit, bool value) {
  for (std::size_t end = limit; end > 0;) {
    const std::size_t w = (end - 1) / bits::kWordBits;
    const std::uint64_t word =
        (value ? map[w] : ~map[w]) & bits::low_mask(end - w * bits::kWordBits);
    if (word != 0) {
      return (w + 1) * bits::kWordBits - static_cast<std::size_t>(std::countl_zero(word));
    }
    end = w * bits::kWordBits;
  }
  return 0;
}

// Idle, resident pages of a chunk that make whole pages of the system, below page `limit` of it.
void releasable(std::size_t chunk, std::size_t limit, std::size_t group, std::uint64_t* out) {
  const Arena& arena = *arena_at(chunk / kArenaChunks);
  const std::size_t first_word = chunk % kArenaChunks * kChunkWords;
  for (std::size_t w = 0; w < kChunkWords; ++w) {
    const std::size_t below = w * bits::kWordBits;
    const std::uint64_t idle = ~(arena.used[first_word + w] | arena.returned[first_word + w]);
    out[w] = limit <= below ? 0 : whole_groups(idle & bits::low_mask(limit - below), group);
  }
}

}  // namespace

// --- allocation --------------------------------------------------------------------------------------

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
  if (tree.chunk(chunk).max() < count) {
    const PageTree::Found found = tree.find(count, lowest_free_, limit);
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
  std::size_t returned = 0;
  for_each_part(first, count, [&](Arena& arena, std::size_t at, std::size_t here) {
    bits::for_each_word(at, here, [&](std::size_t w, std::uint64_t mask) {
      GORT_DCHECK((arena.used[w] & mask) == 0, "page allocated twice");
      arena.used[w] |= mask;
      returned += popcount(arena.returned[w] & mask);
    });
  });
  used_.owner_add_relaxed(count * kPageSize);
  idle_.owner_add_relaxed((returned - count) * kPageSize);
  if (returned > 0) reuse_returned(first, count, returned);
  summarize(first, count);
  if (first == lowest_free_) lowest_free_ = first + count;
  return {address_of(first), Pages(count), returned == count};
}

// Pages [first, first + count), `returned` of which are marked so, get memory behind them again, and
// so does the rest of the system's pages that they lie in.
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
  GORT_CHECK(offset < limit && count.bytes() <= limit - offset && offset % kPageSize == 0,
             "{} pages at {:#x} are not of this heap", count.count(), start);
  const std::size_t first = offset / kPageSize;
  put_back(first, count.count());
  used_.owner_add_relaxed(-count.bytes());
  idle_.owner_add_relaxed(count.bytes());
  const std::size_t end = first + count.count();
  for (std::size_t chunk = first / kChunkPages; chunk * kChunkPages < end; ++chunk) {
    index.insert(chunk);
  }
}

// Used pages -> free.
void PageAllocator::put_back(std::size_t first, std::size_t count) {
  for_each_part(first, count, [&](Arena& arena, std::size_t at, std::size_t here) {
    bits::for_each_word(at, here, [&](std::size_t w, std::uint64_t mask) {
      GORT_CHECK((arena.used[w] & mask) == mask, "pages freed that are not used, near {:#x}",
                 arena.start + w * bits::kWordBits * kPageSize);
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
  for (std::size_t chunk = first_chunk; chunk <= last_chunk; ++chunk) {
    tree.set_chunk(chunk, summarize_chunk(used_bits_of(chunk)));
  }
  tree.update(first_chunk, last_chunk);
}

// --- page caches -------------------------------------------------------------------------------------

bool PageAllocator::fill(PageCache& cache) {
  GORT_CHECK(cache.empty(), "a page cache is filled that is not empty");
  std::size_t page = find(1);
  if (page == kNoPage) {
    if (!grow(1)) return false;
    page = find(1);
  }
  const std::size_t first = bits::align_down(page, PageCache::kBlockPages);
  Arena& arena = *arena_at(first / kArenaPages);
  const std::size_t w = first % kArenaPages / bits::kWordBits;
  cache.start_ = address_of(first);
  cache.free_ = ~arena.used[w];
  cache.returned_ = arena.returned[w];
  cache.fresh_ = arena.fresh[w];
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
  used_.owner_add_relaxed(-(cache.idle_bytes() + cache.returned_bytes()));
  idle_.owner_add_relaxed(cache.idle_bytes());
  returned_.owner_add_relaxed(cache.returned_bytes());
  summarize(first, PageCache::kBlockPages);
  lowest_free_ = std::min(lowest_free_, first);
  if (cache.idle_bytes() > 0) index.insert(first / kChunkPages);
  cache = PageCache();
}

// --- growth ------------------------------------------------------------------------------------------

// Makes sure that there is a run of `count` free pages, where there was none: prepares chunks behind
// the last prepared page, and reserves arenas for them if the last one has not enough left. When a
// foreign mapping is in the way, the run must begin behind it; the places before are not come back to.
bool PageAllocator::grow(std::size_t count) {
  if (window.base == 0 && !choose_window()) {
    counters.os_refusals.fetch_add_relaxed(1);
    return false;
  }
  std::size_t place = window.arena_limit.load_relaxed();
  std::size_t end = place * kArenaPages;  // of the prepared pages
  if (place > 0) end -= kArenaPages - arena_at(place - 1)->prepared;
  std::size_t below = free_before(end, count);
  for (;;) {
    const std::size_t room = place * kArenaPages - end;
    const std::size_t need = bits::align_up(count - below, kChunkPages);
    const std::size_t more = need > room ? (need - room + kArenaPages - 1) / kArenaPages : 0;
    if (more > window.places || place > window.places - more) return false;  // the window is full
    const Reservation got = more > 0 ? reserve_places(place, more) : Reservation{Outcome::done, 0};
    if (got.outcome == Outcome::done) return extend(place, more, end, need);
    if (got.outcome == Outcome::refused) {
      counters.os_refusals.fetch_add_relaxed(1);
      return false;
    }
    // Only the last arena may have unprepared pages.
    if (room > 0 && !extend(place, 0, end, room)) return false;
    place = got.place + 1;
    end = place * kArenaPages;
    below = 0;
  }
}

// Prepares pages [first, first + count), the last of which lie in `arena_count` arenas at `place`
// that have just been reserved. If that fails, these are released again.
bool PageAllocator::extend(std::size_t place, std::size_t arena_count, std::size_t first,
                           std::size_t count) {
  Arena* added = make_arenas(place, arena_count);
  const bool have_records = added != nullptr || arena_count == 0;
  if (!have_records || !os::prepare(pointer_to(first), count * kPageSize)) {
    if (have_records) counters.os_refusals.fetch_add_relaxed(1);
    discard_arenas(added);
    if (arena_count > 0) {
      os::release(reinterpret_cast<void*>(place_address(place)), arena_count * kArenaSize,
                  os::From::reserved);
    }
    return false;
  }
  publish_arenas(added);
  for_each_part(first, count, [](Arena& arena, std::size_t at, std::size_t here) {
    arena.prepared = at + here;
    bits::set_range(arena.returned, at, here);
    bits::set_range(arena.fresh, at, here);
  });
  reserved_.owner_add_relaxed(arena_count * kArenaSize - count * kPageSize);
  returned_.owner_add_relaxed(count * kPageSize);
  counters.prepared_bytes.fetch_add_relaxed(count * kPageSize);
  summarize(first, count);
  lowest_free_ = std::min(lowest_free_, first);
  return true;
}

// Free pages right before `page` (a chunk's first), counted up to `enough`.
std::size_t PageAllocator::free_before(std::size_t page, std::size_t enough) const {
  std::size_t total = 0;
  for (std::size_t chunk = page / kChunkPages; chunk > 0 && total < enough; --chunk) {
    const std::size_t here = tree.chunk(chunk - 1).end();
    total += here;
    if (here < kChunkPages) break;
  }
  return std::min(total, enough);
}

void PageAllocator::release_everything() {
  const std::size_t chunks = window.arena_limit.load_relaxed() * kArenaChunks;
  tree.clear(chunks);
  for (std::size_t chunk = 0; chunk < chunks; ++chunk) index.erase(chunk);
  release_arenas();
  lowest_free_ = 0;
  for (Atomic<std::size_t>* count : {&reserved_, &returned_, &idle_, &used_}) {
    count->store_relaxed(0);
  }
}

// --- scavenging --------------------------------------------------------------------------------------

std::size_t PageAllocator::scavenge(std::size_t bytes) {
  std::size_t done = 0;
  std::size_t below = PageTree::kWindowPages;
  int refusals = 0;
  lock.acquire();
  while (done < bytes && refusals < kMaxRefusals) {
    const Candidate run = take_candidate(below, Pages::holding(bytes - done).count());
    if (run.count == 0) break;
    void* const start = pointer_to(run.first);
    lock.release();
    const bool given_back = os::decommit(start, run.count * kPageSize);
    lock.acquire();
    finish_candidate(run, given_back);
    below = run.first;
    if (given_back) {
      done += run.count * kPageSize;
    } else {
      ++refusals;
    }
  }
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
        index.insert(page / kChunkPages);
      }
    }
  }
  index_page_size_ = os::page_size();

  std::uint64_t idle[kChunkWords];
  for (;;) {
    const std::size_t chunk = index.highest_below((below + kChunkPages - 1) / kChunkPages);
    if (chunk == ChunkSet::kNone) return {};
    const std::size_t chunk_start = chunk * kChunkPages;
    const std::size_t limit = std::min(kChunkPages, below - chunk_start);
    releasable(chunk, limit, group, idle);
    const std::size_t end = end_of_last(idle, limit, true);
    if (end == 0) {
      if (limit == kChunkPages) index.erase(chunk);
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

void PageAllocator::finish_candidate(Candidate run, bool given_back) {
  const std::size_t bytes = run.count * kPageSize;
  put_back(run.first, run.count);
  scavenging_.owner_add_relaxed(-bytes);
  if (!given_back) {
    counters.os_refusals.fetch_add_relaxed(1);
    index.insert(run.first / kChunkPages);
    return;
  }
  for_each_part(run.first, run.count, [](Arena& arena, std::size_t at, std::size_t here) {
    bits::set_range(arena.returned, at, here);
  });
  idle_.owner_add_relaxed(-bytes);
  returned_.owner_add_relaxed(bytes);
  counters.scavenged_bytes.fetch_add_relaxed(bytes);
}

// --- books -------------------------------------------------------------------------------------------

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
    for (std::size_t page = 0; page < kArenaPages; ++page) {
      GORT_CHECK(bits::test(arena->used, page) || arena->spans[page].load_acquire() == nullptr,
                 "page {} of arena {} is idle and has a span", page, place);
    }
    for (std::size_t c = 0; c < kArenaChunks; ++c) {
      const std::size_t chunk = place * kArenaChunks + c;
      const bool prepared = c * kChunkPages < arena->prepared;
      const PageSummary expected =
          prepared ? summarize_chunk(used_bits_of(chunk)) : PageSummary{};
      GORT_CHECK(tree.chunk(chunk) == expected, "summary of chunk {}", chunk);
      GORT_CHECK(expected.nothing_free() || chunk * kChunkPages + kChunkPages > lowest_free_,
                 "chunk {} has free pages, all below {}", chunk, lowest_free_);
      if (!prepared || os::page_size() < index_page_size_) continue;
      std::uint64_t candidates[kChunkWords];
      releasable(chunk, kChunkPages, system_pages(), candidates);
      GORT_CHECK(index.contains(chunk) || end_of_last(candidates, kChunkPages, true) == 0,
                 "chunk {} has idle pages and is not in the scavenger's index", chunk);
    }
  }
  tree.check(limit * kArenaChunks);
  const std::size_t taken_out = scavenging_.load_relaxed();
  GORT_CHECK(reserved * kPageSize == this->reserved(), "reserved: {} pages", reserved);
  GORT_CHECK(returned * kPageSize == this->returned(), "returned: {} pages", returned);
  GORT_CHECK(idle * kPageSize + taken_out == this->idle(), "idle: {} pages", idle);
  GORT_CHECK(used * kPageSize - taken_out == this->used(), "used: {} pages", used);
}

}  // namespace gort::alloc
