// The page allocator's growth: reserved address space becomes returned pages. And what chunks that
// are entered for the first time share with those that are entered anew: their huge pages.

#include <gort/alloc/page_allocator.h>

#include <algorithm>

#include <gort/alloc/page_state.h>
#include <gort/base/counters.h>

namespace gort::alloc {

// Makes sure that there is a run of `count` free pages, where there was none: prepares chunks
// behind the last prepared page, and reserves arenas for them if the last one has not enough left.
// When a foreign mapping is in the way, the run must begin behind it; the places before are not
// come back to.
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
    const std::size_t here = page_tree.chunk(chunk - 1).end();
    total += here;
    if (here < kChunkPages) break;
  }
  return std::min(total, enough);
}

void PageAllocator::release_everything() {
  const std::size_t chunks = window.arena_limit.load_relaxed() * kArenaChunks;
  page_tree.clear(chunks);
  for (std::size_t chunk = 0; chunk < chunks; ++chunk) scavenger_index.erase(chunk);
  release_arenas();
  lowest_free_ = 0;
  scavenge_below_.store_relaxed(kTop);
  for (Atomic<std::size_t>* count : {&reserved_, &returned_, &idle_, &used_}) {
    count->store_relaxed(0);
  }
}

namespace {

constexpr std::size_t kHugePagesOfChunk = kChunkSize / kHugePageSize;
constexpr std::uint32_t kMaskOfChunk = (std::uint32_t{1} << kHugePagesOfChunk) - 1;

// The chunk's bits are all set.
bool all_set(const std::uint64_t* map, std::size_t chunk) {
  const std::size_t at = chunk % kArenaChunks * kChunkPages;
  return bits::find_clear(map, at + kChunkPages, at) == at + kChunkPages;
}

}  // namespace

// Pages [first, first + count) are about to be taken. Chunks of which nothing is in use nor idle
// get huge pages: new ones, and of those that have lost theirs, what the run covers from end to
// end. One in which it takes a part would have resident memory that counts as returned.
void PageAllocator::use_huge_pages(std::size_t first, std::size_t count) {
  if (used() + idle() + returned() <= kHugePagesFrom) return;
  const std::size_t end = (first + count - 1) / kChunkPages + 1;
  std::size_t asked_from = first / kChunkPages;
  const auto ask = [&asked_from](std::size_t to) {
    if (asked_from == to) return;
    os::hint_huge_pages(pointer_to(asked_from * kChunkPages), (to - asked_from) * kChunkSize, true);
  };
  for (std::size_t chunk = asked_from; chunk < end; ++chunk) {
    Arena& arena = *arena_at(chunk / kArenaChunks);
    const std::size_t at = chunk % kArenaChunks;
    const bool covered = first <= chunk * kChunkPages && first + count >= (chunk + 1) * kChunkPages;
    if (!arena.has_huge_pages(at) && all_set(arena.returned, chunk) &&
        (covered || all_set(arena.fresh, chunk))) {
      arena.huge_chunks.fetch_or_relaxed(std::uint32_t{1} << at);
      arena.touched_huge_pages.fetch_and_acq_rel(~(kMaskOfChunk << at * kHugePagesOfChunk));
      continue;
    }
    ask(chunk);
    asked_from = chunk + 1;
  }
  ask(end);
}

}  // namespace gort::alloc
