#pragma once

// The radix tree that finds free pages: for aligned pieces of the window of growing size, how many
// free pages stand at its start, in its longest run, and at its end.
//
//     level        0        1        2        3        4
//     pages      2^20     2^18     2^15     2^12     2^9  (a chunk, 4 MiB)
//     bytes     8 GiB    2 GiB  256 MiB   32 MiB   4 MiB
//     entries     512     2048    16384   131072    2^20
//
// A level-4 entry is computed from its chunk's 512 used bits, every other entry from its children
// (8 of them, one cache line; 4 below the root). Entries are exact after every update:
//     start <= max, end <= max, max <= pages of the entry
//     start == pages  iff  end == pages  iff  max == pages            (all free)
// An entry of zero means that nothing is free there; address space that the heap has not reached
// yet looks just like that, so the arrays are .bss and their untouched parts cost nothing.
//
// Finding the first run of n pages goes down from the root. At each level the entries are walked in
// order of address, carrying the length of the free run that ends where the next entry begins:
// either that run and the entry's start make n pages, and the address is known, or the entry's max
// is n or more, and the search goes on inside it. So the lowest fit is found in at most 8 steps a
// level, and runs longer than a root entry are found as well, as sums over root entries. The root
// is walked from the entry of the lowest free page (8 GiB a step).
//
// This is the page allocator of Go 1.14 (Knyszek, Clements, "Scaling the Go page allocator", Go
// proposal 35112). Go's root entries cover 16 GiB and need a special bit for "all free"; with 8 GiB
// every length fits 21 bits.
//
// Guard: the heap lock, for everything here.

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include <gort/alloc/config.h>
#include <gort/base/bits.h>
#include <gort/base/fatal.h>

namespace gort::alloc {

inline constexpr std::size_t kNoPage = ~std::size_t{0};

/// (start, max, end) in 21 bits each.
class PageSummary {
 public:
  static constexpr unsigned kFieldBits = 21;

  /// Uninitialised; PageSummary{} is zero. (A tree has over a million entries, too many for a
  /// compiler to initialise one by one.)
  PageSummary() = default;
  constexpr PageSummary(std::size_t start, std::size_t max, std::size_t end)
      : word_(start | max << kFieldBits | end << 2 * kFieldBits) {}

  constexpr std::size_t start() const { return word_ & bits::low_mask(kFieldBits); }
  constexpr std::size_t max() const { return word_ >> kFieldBits & bits::low_mask(kFieldBits); }
  constexpr std::size_t end() const { return word_ >> 2 * kFieldBits; }
  constexpr bool nothing_free() const { return word_ == 0; }

  constexpr bool operator==(const PageSummary&) const = default;

 private:
  std::uint64_t word_;
};

/// The summary of `count` neighbours of `pages_each` pages.
inline PageSummary merge(const PageSummary* children, std::size_t count, std::size_t pages_each) {
  std::size_t max = 0;
  std::size_t run = 0;  // free pages right before the child
  for (std::size_t i = 0; i < count; ++i) {
    const PageSummary child = children[i];
    max = std::max({max, run + child.start(), child.max()});
    run = child.start() == pages_each ? run + pages_each : child.end();
  }
  std::size_t start = children[0].start();
  for (std::size_t i = 1; i < count && start == i * pages_each; ++i) start += children[i].start();
  return {start, max, run};
}

inline constexpr std::size_t kChunkWords = kChunkPages / bits::kWordBits;

/// Whether `word` has `n` (1..64) set bits in a row: the result has a bit where such a run begins.
constexpr std::uint64_t runs_of(std::uint64_t word, std::size_t n) {
  // After each step a bit stands for `have` set bits in a row.
  for (std::size_t have = 1; have < n && word != 0;) {
    const std::size_t step = std::min(have, n - have);
    word &= word >> step;
    have += step;
  }
  return word;
}

/// The longest run of free pages that lies inside one word of a chunk's used bits, or `least` if
/// that is more. All words are worked on together, without a branch between them.
inline std::size_t longest_inside_words(const std::uint64_t* used, std::size_t least) {
  std::uint64_t runs[kChunkWords];  // a bit where a run of `length` free pages begins
  std::uint64_t any = 0;
  for (std::size_t w = 0; w < kChunkWords; ++w) any |= runs[w] = ~used[w];
  if (any == 0) return least;
  std::size_t length = 1;
  // Keeps only the runs that are `step` (at most `length`) pages longer, if there are any.
  auto lengthen = [&](std::size_t step) {
    std::uint64_t longer[kChunkWords];
    any = 0;
    for (std::size_t w = 0; w < kChunkWords; ++w) any |= longer[w] = runs[w] & runs[w] >> step;
    if (any == 0) return false;
    for (std::size_t w = 0; w < kChunkWords; ++w) runs[w] = longer[w];
    length += step;
    return true;
  };
  // Mostly the longest run lies across a word's end, and none inside a word is longer.
  while (length <= least) {
    if (!lengthen(std::min(length, least + 1 - length))) return least;
  }
  while (length < bits::kWordBits && lengthen(length)) {
  }
  for (std::size_t step = std::bit_ceil(length) / 2; step > 0; step /= 2) lengthen(step);
  return length;
}

/// The summary of a chunk's used bits (kChunkWords words).
inline PageSummary summarize_chunk(const std::uint64_t* used) {
  constexpr std::size_t kUnset = ~std::size_t{0};
  std::size_t start = kUnset;
  std::size_t max = 0;
  std::size_t run = 0;  // free pages right before the word
  for (std::size_t w = 0; w < kChunkWords; ++w) {
    if (used[w] == 0) {
      run += bits::kWordBits;
      continue;
    }
    run += static_cast<std::size_t>(std::countr_zero(used[w]));
    if (start == kUnset) start = run;
    max = std::max(max, run);
    run = static_cast<std::size_t>(std::countl_zero(used[w]));
  }
  if (start == kUnset) return {kChunkPages, kChunkPages, kChunkPages};
  max = std::max(max, run);
  if (max < bits::kWordBits - 2) max = longest_inside_words(used, max);
  return {start, max, run};
}

/// The first run of `n` free pages inside a chunk, at or after page `from` of it, or kNoPage. All
/// free pages of the chunk below `from` are ignored.
inline std::size_t find_in_chunk(const std::uint64_t* used, std::size_t n, std::size_t from) {
  std::size_t run = 0;  // free pages right before the word
  for (std::size_t w = from / bits::kWordBits; w < kChunkWords; ++w) {
    std::uint64_t free = ~used[w];
    if (w == from / bits::kWordBits) free &= ~bits::low_mask(from % bits::kWordBits);
    const auto leading = static_cast<std::size_t>(std::countr_one(free));
    if (run + leading >= n) return w * bits::kWordBits - run;
    if (leading == bits::kWordBits) {
      run += bits::kWordBits;
      continue;
    }
    if (n <= bits::kWordBits) {
      if (const std::uint64_t found = runs_of(free, n); found != 0) {
        return w * bits::kWordBits + static_cast<std::size_t>(std::countr_zero(found));
      }
    }
    run = static_cast<std::size_t>(std::countl_one(free));
  }
  return kNoPage;
}

namespace detail {
/// log2 of the pages of a tree entry, by level.
inline constexpr std::array<std::size_t, 5> kTreeShift = {20, 18, 15, 12, 9};
/// Entries above each level, that is where its own begin; last, all of them.
inline constexpr auto kTreeFirst = [] {
  std::array<std::size_t, kTreeShift.size() + 1> first{};
  for (std::size_t l = 0; l < kTreeShift.size(); ++l) {
    first[l + 1] = first[l] + (kWindowSize / kPageSize >> kTreeShift[l]);
  }
  return first;
}();
}  // namespace detail

/// The tree over the whole window. To be put in static storage, where it begins as all zero. Page
/// and chunk numbers count from the window's base.
class PageTree {
 public:
  static constexpr std::size_t kLevels = detail::kTreeShift.size();
  static constexpr auto& kShift = detail::kTreeShift;
  static constexpr std::size_t kWindowPages = kWindowSize / kPageSize;
  static constexpr std::size_t kRootPages = std::size_t{1} << kShift[0];
  static_assert(kRootPages < std::size_t{1} << PageSummary::kFieldBits);
  static_assert(std::size_t{1} << kShift[kLevels - 1] == kChunkPages);

  struct Found {
    std::size_t page = kNoPage;   ///< the run's first page, or of the chunk to look into
    bool inside_chunk = false;    ///< the run lies inside the chunk that `page` begins
    std::size_t lowest_free = 0;  ///< no page below this one is free
  };

  PageSummary chunk(std::size_t chunk) const { return entries_[kFirst[kLevels - 1] + chunk]; }
  PageSummary entry(std::size_t level, std::size_t i) const { return entries_[kFirst[level] + i]; }

  /// Sets a chunk's entry and brings those above it up to date.
  void set(std::size_t chunk, PageSummary now) {
    std::size_t i = chunk;
    for (std::size_t level = kLevels - 1;; --level) {
      PageSummary& entry = entries_[kFirst[level] + i];
      const PageSummary before = entry;
      if (now == before) return;
      entry = now;
      if (level == 0) return;
      i >>= fan_shift(level - 1);
      // As long as the ends are the same, only the parent's max can change, and only if the child's
      // was or becomes the longest.
      const std::size_t longest = entries_[kFirst[level - 1] + i].max();
      if (now.start() == before.start() && now.end() == before.end() && before.max() < longest &&
          now.max() <= longest) {
        return;
      }
      now = merge_children(level - 1, i);
    }
  }

  /// Sets a chunk's entry alone. Those above it are out of date until `update`.
  void set_only(std::size_t chunk, PageSummary summary) {
    entries_[kFirst[kLevels - 1] + chunk] = summary;
  }

  /// Recomputes everything above the chunks [first, last], which have been set.
  void update(std::size_t first, std::size_t last) {
    for (std::size_t level = kLevels - 1; level-- > 0;) {
      first >>= fan_shift(level);
      last >>= fan_shift(level);
      for (std::size_t i = first; i <= last; ++i) {
        entries_[kFirst[level] + i] = merge_children(level, i);
      }
    }
  }

  /// Where the first run of `n` free pages is (see above). No page below `lowest_free` is free, and
  /// none at or above `limit`.
  Found find(std::size_t n, std::size_t lowest_free, std::size_t limit) const {
    Found found;
    found.lowest_free = lowest_free;
    bool lowest = true;  // we are inside the first entry that has anything free
    std::size_t first = lowest_free >> kShift[0];
    std::size_t end = (limit + kRootPages - 1) >> kShift[0];
    for (std::size_t level = 0;; ++level) {
      const std::size_t shift = kShift[level];
      std::size_t run = 0;
      std::size_t i = first;
      bool seen = false;
      for (;; ++i) {
        if (i >= end) return found;  // only at the root: further down, a fit is known to be there
        const PageSummary entry = entries_[kFirst[level] + i];
        if (entry.nothing_free()) {
          run = 0;
          continue;
        }
        if (lowest && !seen) found.lowest_free = std::max(lowest_free, i << shift);
        if (run + entry.start() >= n) {
          found.page = (i << shift) - run;
          return found;
        }
        if (entry.max() >= n) break;
        seen = true;
        run = entry.start() == std::size_t{1} << shift ? run + entry.start() : entry.end();
      }
      lowest = lowest && !seen;
      if (level == kLevels - 1) {
        found.page = i << shift;
        found.inside_chunk = true;
        return found;
      }
      first = i << fan_shift(level);
      end = (i + 1) << fan_shift(level);
    }
  }

  /// Aborts if an entry above the chunks [0, limit) is not what its children say.
  void check(std::size_t limit) const {
    for (std::size_t level = 0; level + 1 < kLevels; ++level) {
      for (std::size_t i = 0; i << (kShift[level] - kShift[kLevels - 1]) < limit; ++i) {
        const PageSummary expected = merge_children(level, i);
        GORT_CHECK(entry(level, i) == expected, "summary {} of level {}", i, level);
      }
    }
  }

  /// Forgets everything about the chunks [0, limit): nothing is free there.
  void clear(std::size_t limit) {
    for (std::size_t level = 0; level < kLevels; ++level) {
      const std::size_t chunks_each = std::size_t{1} << (kShift[level] - kShift[kLevels - 1]);
      const std::size_t n = (limit + chunks_each - 1) / chunks_each;
      std::fill_n(&entries_[kFirst[level]], n, PageSummary{});
    }
  }

 private:
  // log2 of the children of an entry.
  static constexpr std::size_t fan_shift(std::size_t level) {
    return kShift[level] - kShift[level + 1];
  }
  PageSummary merge_children(std::size_t level, std::size_t i) const {
    return merge(&entries_[kFirst[level + 1] + (i << fan_shift(level))],
                 std::size_t{1} << fan_shift(level), std::size_t{1} << kShift[level + 1]);
  }

  // All levels stand in one array; the children of an entry lie in one cache line.
  static constexpr auto& kFirst = detail::kTreeFirst;

  alignas(64) PageSummary entries_[kFirst[kLevels]];
};

}  // namespace gort::alloc
