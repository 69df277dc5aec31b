#pragma once

// Bit arithmetic and plain bitmaps. A bitmap here is an array of 64-bit words, bit i of the map
// being bit (i % 64) of word (i / 64). Nothing in this file is atomic: callers own the words.

#include <bit>
#include <cstddef>
#include <cstdint>

#include <gort/base/config.h>

namespace gort::bits {

inline constexpr std::size_t kWordBits = 64;

constexpr bool is_power_of_two(std::size_t n) { return n != 0 && (n & (n - 1)) == 0; }

/// `n` up to a multiple of `unit` (a power of two). The caller makes sure that it does not
/// overflow.
constexpr std::size_t align_up(std::size_t n, std::size_t unit) {
  return (n + unit - 1) & ~(unit - 1);
}
constexpr std::size_t align_down(std::size_t n, std::size_t unit) { return n & ~(unit - 1); }

constexpr std::size_t words_for(std::size_t bit_count) {
  return (bit_count + kWordBits - 1) / kWordBits;
}

/// The lowest `n` bits set; n may be 0..64.
constexpr std::uint64_t low_mask(std::size_t n) {
  return n >= kWordBits ? ~std::uint64_t{0} : (std::uint64_t{1} << n) - 1;
}

constexpr bool test(const std::uint64_t* map, std::size_t i) {
  return (map[i / kWordBits] >> (i % kWordBits) & 1) != 0;
}

/// Calls `f(word_index, mask)` for every word that the bits [first, first + count) touch.
template <class F>
constexpr void for_each_word(std::size_t first, std::size_t count, F&& f) {
  while (count > 0) {
    const std::size_t offset = first % kWordBits;
    const std::size_t here = count < kWordBits - offset ? count : kWordBits - offset;
    f(first / kWordBits, low_mask(here) << offset);
    first += here;
    count -= here;
  }
}

constexpr void set_range(std::uint64_t* map, std::size_t first, std::size_t count) {
  for_each_word(first, count, [map](std::size_t w, std::uint64_t mask) { map[w] |= mask; });
}

constexpr void clear_range(std::uint64_t* map, std::size_t first, std::size_t count) {
  for_each_word(first, count, [map](std::size_t w, std::uint64_t mask) { map[w] &= ~mask; });
}

constexpr std::size_t count_range(const std::uint64_t* map, std::size_t first, std::size_t count) {
  std::size_t n = 0;
  for_each_word(first, count, [map, &n](std::size_t w, std::uint64_t mask) {
    n += static_cast<std::size_t>(std::popcount(map[w] & mask));
  });
  return n;
}

/// The first bit at or after `from` and below `size` that equals `value`; `size` if there is none.
constexpr std::size_t find(const std::uint64_t* map, std::size_t size, std::size_t from,
                           bool value) {
  if (from >= size) return size;
  const std::uint64_t flip = value ? 0 : ~std::uint64_t{0};
  std::size_t w = from / kWordBits;
  std::uint64_t word = (map[w] ^ flip) & ~low_mask(from % kWordBits);
  for (;;) {
    if (word != 0) {
      const std::size_t i = w * kWordBits + static_cast<std::size_t>(std::countr_zero(word));
      return i < size ? i : size;
    }
    if (++w >= words_for(size)) return size;
    word = map[w] ^ flip;
  }
}

constexpr std::size_t find_set(const std::uint64_t* map, std::size_t size, std::size_t from) {
  return find(map, size, from, true);
}
constexpr std::size_t find_clear(const std::uint64_t* map, std::size_t size, std::size_t from) {
  return find(map, size, from, false);
}

/// Calls `f(first, count)` for every maximal run of set bits in [0, size).
template <class F>
constexpr void for_each_run(const std::uint64_t* map, std::size_t size, F&& f) {
  for (std::size_t first = find_set(map, size, 0); first < size;) {
    const std::size_t end = find_clear(map, size, first);
    f(first, end - first);
    first = find_set(map, size, end);
  }
}

}  // namespace gort::bits
