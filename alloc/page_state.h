#pragma once

// What the parts of the page allocator (page_allocator.cpp, page_growth.cpp, page_scavenge.cpp,
// page_check.cpp) share and nobody else sees: the tree of free runs, the scavenger's index, and the
// way from a page's number to its bits. Pages, chunks and places count from the window's base.
//
// Guard of everything here: the page allocator's lock.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <gort/alloc/arena.h>
#include <gort/alloc/chunk_set.h>
#include <gort/alloc/page_summary.h>
#include <gort/base/bits.h>
#include <gort/base/config.h>
#include <gort/base/fatal.h>
#include <gort/base/os.h>

namespace gort::alloc {

extern GORT_API PageTree page_tree;
static_assert(std::is_trivially_default_constructible_v<PageTree>);  // starts as .bss, all zero

/// Every chunk that may have something to give back.
extern GORT_API ChunkSet scavenger_index;

/// The address of a page.
inline std::uintptr_t address_of(std::size_t page) { return window.base + page * kPageSize; }
/// The same as a pointer.
inline void* pointer_to(std::size_t page) { return reinterpret_cast<void*>(address_of(page)); }

/// The arena at a place, or null.
inline Arena* arena_at(std::size_t place) { return arenas[place].load_relaxed(); }

/// The used bits of a chunk of an existing arena.
inline const std::uint64_t* used_bits_of(std::size_t chunk) {
  return arena_at(chunk / kArenaChunks)->used + chunk % kArenaChunks * kChunkWords;
}

/// Calls f(arena, first, count) for the part of the pages [first, first + count) in each arena.
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

/// Our pages in one page of the operating system, at least 1.
inline std::size_t system_pages() {
  const std::size_t pages = std::max<std::size_t>(1, os::page_size() / kPageSize);
  GORT_CHECK(pages <= bits::kWordBits, "the system's pages have {} bytes", os::page_size());
  return pages;
}

/// The bits of `word` that lie in aligned groups of `group` (a power of two) set bits.
constexpr std::uint64_t whole_groups(std::uint64_t word, std::size_t group) {
  const std::uint64_t group_starts = ~std::uint64_t{0} / bits::low_mask(group);
  return (runs_of(word, group) & group_starts) * bits::low_mask(group);
}

inline std::size_t popcount(std::uint64_t word) {
  return static_cast<std::size_t>(std::popcount(word));
}

/// One past the highest bit below `limit` that equals `value`; 0 if there is none.
inline std::size_t end_of_last(const std::uint64_t* map, std::size_t limit, bool value) {
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

/// Idle, resident pages of a chunk that make whole pages of the system, below page `limit` of it.
inline void releasable(std::size_t chunk, std::size_t limit, std::size_t group,
                       std::uint64_t* out) {
  const Arena& arena = *arena_at(chunk / kArenaChunks);
  const std::size_t first_word = chunk % kArenaChunks * kChunkWords;
  for (std::size_t w = 0; w < kChunkWords; ++w) {
    const std::size_t below = w * bits::kWordBits;
    const std::uint64_t idle = ~(arena.used[first_word + w] | arena.returned[first_word + w]);
    out[w] = limit <= below ? 0 : whole_groups(idle & bits::low_mask(limit - below), group);
  }
}

}  // namespace gort::alloc
