#pragma once

// A set of chunks (4 MiB pieces of the window) that finds its highest member below a limit in a few
// steps: a bitmap, a bitmap of its words that are not zero, and once more. The scavenger's index of
// chunks that may have something to give back.
//
//     level        0      1      2
//     bits      2^20   2^14    256
//     bit i of level l + 1 is set  iff  word i of level l is not zero
//
// Guard: the heap lock.

#include <bit>
#include <cstddef>
#include <cstdint>

#include <gort/alloc/config.h>
#include <gort/base/bits.h>

namespace gort::alloc {

class ChunkSet {
 public:
  static constexpr std::size_t kChunks = kWindowSize / kChunkSize;
  static constexpr std::size_t kNone = ~std::size_t{0};

  bool contains(std::size_t chunk) const { return bits::test(level0_, chunk); }

  void insert(std::size_t chunk) {
    level0_[chunk >> 6] |= bit(chunk);
    level1_[chunk >> 12] |= bit(chunk >> 6);
    level2_[chunk >> 18] |= bit(chunk >> 12);
  }

  void erase(std::size_t chunk) {
    if ((level0_[chunk >> 6] &= ~bit(chunk)) != 0) return;
    if ((level1_[chunk >> 12] &= ~bit(chunk >> 6)) != 0) return;
    level2_[chunk >> 18] &= ~bit(chunk >> 12);
  }

  /// The highest member below `limit`, or kNone.
  std::size_t highest_below(std::size_t limit) const {
    // Up until a word has a member below the limit, then down along the highest bits.
    std::size_t i = highest_in_word(level0_, limit);
    if (i == kNone) {
      i = highest_in_word(level1_, limit >> 6);
      if (i == kNone) {
        const std::size_t below = limit >> 12;
        i = highest_in_word(level2_, below);
        for (std::size_t w = below >> 6; i == kNone && w-- > 0;) i = top(level2_, w);
        if (i == kNone) return kNone;
        i = top(level1_, i);
      }
      i = top(level0_, i);
    }
    return i;
  }

 private:
  static constexpr std::uint64_t bit(std::size_t i) { return std::uint64_t{1} << (i % 64); }

  // The highest bit below `limit` in the word that `limit` falls into.
  static std::size_t highest_in_word(const std::uint64_t* map, std::size_t limit) {
    if (limit % 64 == 0) return kNone;
    const std::uint64_t word = map[limit / 64] & bits::low_mask(limit % 64);
    return word == 0 ? kNone : limit / 64 * 64 + top_bit(word);
  }
  static std::size_t top(const std::uint64_t* map, std::size_t w) {
    return map[w] == 0 ? kNone : w * 64 + top_bit(map[w]);
  }
  static std::size_t top_bit(std::uint64_t word) {
    return 63 - static_cast<std::size_t>(std::countl_zero(word));
  }

  std::uint64_t level0_[kChunks / 64] = {};
  std::uint64_t level1_[kChunks / 64 / 64] = {};
  std::uint64_t level2_[kChunks / 64 / 64 / 64] = {};
};

}  // namespace gort::alloc
