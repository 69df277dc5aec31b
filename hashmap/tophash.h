#pragma once

// The eight tophash bytes at the start of every bucket, and how they are compared all at once.
//
// A cell's tophash says in one byte what the cell holds (Go's names in brackets):
//
//     0  empty, and so is every later cell of the chain   (emptyRest)
//     1  empty                                            (emptyOne)
//     2  moved to the bucket of the same number           (evacuatedX)   only in an old array
//     3  moved to the bucket in the upper half            (evacuatedY)   only in an old array
//     4  was empty when its chain was moved               (evacuatedEmpty)   only in an old array
//     5..255  live: the top 8 bits of the key's hash, plus 5 where they are below 5
//
//     a cell is 0  <=>  it is empty and no later cell of its chain is live
//
// The eight bytes are loaded as one word and searched by arithmetic inside the word (SWAR). Each
// search gives a CellMask: bit 7 of byte i stands for cell i. The classic "is there a zero byte"
// test
//     (w - 0x01..01) & ~w & 0x80..80
// is exact in its lowest hit and as a truth value, but a byte equal to 1 right above a hit is
// reported as well. match() may therefore report a cell whose tophash is t ^ 1 where t was wanted:
// comparing its key settles the matter. Nothing stale is read: such a cell is live, or marked as
// evacuated and empty (t == 5), which no chain that is searched has.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace gort::hashmap {

static_assert(std::endian::native == std::endian::little, "cell 0 is the lowest byte of the word");

inline constexpr std::size_t kCells = 8;  ///< cells of a bucket

inline constexpr std::uint8_t kEmptyRest = 0;
inline constexpr std::uint8_t kEmptyOne = 1;
inline constexpr std::uint8_t kEvacuatedX = 2;
inline constexpr std::uint8_t kEvacuatedY = 3;
inline constexpr std::uint8_t kEvacuatedEmpty = 4;
inline constexpr std::uint8_t kMinTop = 5;  ///< the lowest tophash of a live cell

constexpr std::uint8_t tophash(std::uint64_t hash) {
  const auto top = static_cast<std::uint8_t>(hash >> 56);
  return static_cast<std::uint8_t>(top + (top < kMinTop ? kMinTop : 0));
}
constexpr bool is_empty(std::uint8_t top) { return top <= kEmptyOne; }
constexpr bool is_live(std::uint8_t top) { return top >= kMinTop; }
constexpr bool is_moved(std::uint8_t top) { return top == kEvacuatedX || top == kEvacuatedY; }

/// A set of cells of one bucket.
class CellMask {
 public:
  constexpr explicit CellMask(std::uint64_t mask) : mask_(mask) {}
  constexpr explicit operator bool() const { return mask_ != 0; }
  /// The lowest cell; the set must not be empty.
  constexpr std::size_t first() const {
    return static_cast<unsigned>(std::countr_zero(mask_)) >> 3;
  }
  constexpr void drop_first() { mask_ &= mask_ - 1; }
  /// All cells behind the lowest one, whether in the set or not; the set must not be empty.
  constexpr CellMask behind_first() const { return CellMask(all().mask_ & ~(mask_ ^ (mask_ - 1))); }
  constexpr std::size_t count() const { return static_cast<std::size_t>(std::popcount(mask_)); }
  constexpr CellMask operator&(CellMask other) const { return CellMask(mask_ & other.mask_); }
  static constexpr CellMask all() { return CellMask(0x8080808080808080U); }

 private:
  std::uint64_t mask_;
};

/// The eight tophash bytes of a bucket in one word.
class Tops {
 public:
  constexpr explicit Tops(std::uint64_t word) : word_(word) {}
  static Tops load(const void* bucket) {
    std::uint64_t word = 0;
    std::memcpy(&word, bucket, sizeof word);
    return Tops(word);
  }
  void store(void* bucket) const { std::memcpy(bucket, &word_, sizeof word_); }

  static constexpr std::uint64_t repeat(std::uint8_t byte) { return byte * kOnes; }
  /// repeat(tophash(hash)): one load of a table of 2 KiB, where the arithmetic is six instructions.
  static std::uint64_t pattern_of(std::uint64_t hash) { return kPatterns[hash >> 56]; }

  constexpr std::uint64_t word() const { return word_; }
  /// The same bytes but for one.
  constexpr Tops with(std::size_t cell, std::uint8_t top) const {
    const std::size_t shift = cell * 8;
    return Tops((word_ & ~(std::uint64_t{0xff} << shift)) | std::uint64_t{top} << shift);
  }
  /// The same bytes up to the last live one, and kEmptyRest behind it; some cell must be live, but
  /// not the last.
  constexpr Tops ending_behind_live() const {
    const int high_bit = 63 - std::countl_zero(at_least(kMinTop));
    return Tops(word_ & ((std::uint64_t{2} << high_bit) - 1));
  }
  constexpr std::uint8_t operator[](std::size_t cell) const {
    return static_cast<std::uint8_t>(word_ >> (cell * 8));
  }

  /// Cells whose tophash is the byte that `pattern` repeats, and perhaps live others (see above).
  constexpr CellMask match(std::uint64_t pattern) const { return CellMask(zeros(word_ ^ pattern)); }
  /// True if some cell is kEmptyRest: the chain has no live cell behind it.
  constexpr bool ends_chain() const { return zeros(word_) != 0; }
  /// Empty cells (0 or 1). Exact in its lowest cell, and as a truth value.
  constexpr CellMask empty() const { return CellMask((word_ - 2 * kOnes) & ~word_ & kHighs); }
  /// Live cells (5..255). Exact.
  constexpr CellMask live() const { return CellMask(at_least(kMinTop)); }
  /// True if some cell is in one of the states of an evacuated chain (2..4). Exact.
  constexpr bool has_evacuated_cells() const { return at_least(kEvacuatedX) != at_least(kMinTop); }
  /// The chain has been moved to the new array. Asked of the first bucket of a chain.
  constexpr bool evacuated() const { return (*this)[0] > kEmptyOne && (*this)[0] < kMinTop; }
  /// The same bytes, starting with cell `cell` and wrapping around.
  constexpr Tops rotated(std::size_t cell) const {
    return Tops(std::rotr(word_, static_cast<int>(cell * 8)));
  }

 private:
  static constexpr std::uint64_t kOnes = 0x0101010101010101U;
  static constexpr std::uint64_t kHighs = 0x8080808080808080U;
  /// High bits of the bytes >= n (1..127): no carry leaves a byte, so every bit is exact.
  constexpr std::uint64_t at_least(std::uint8_t n) const {
    return (((word_ & ~kHighs) + (0x80U - n) * kOnes) | word_) & kHighs;
  }
  static constexpr std::uint64_t zeros(std::uint64_t x) { return (x - kOnes) & ~x & kHighs; }

  static const std::array<std::uint64_t, 256> kPatterns;

  std::uint64_t word_;
};

inline constexpr std::array<std::uint64_t, 256> Tops::kPatterns = [] {
  std::array<std::uint64_t, 256> patterns{};
  for (std::uint64_t top = 0; top < 256; ++top) patterns[top] = repeat(tophash(top << 56));
  return patterns;
}();

}  // namespace gort::hashmap
