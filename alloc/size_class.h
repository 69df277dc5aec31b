#pragma once

// The 68 size classes: the slot sizes of small objects and how many pages a span of each takes.
//
// The table is computed at compile time by the rule of Go's generator (src/runtime/
// mksizeclasses.go), so that a block in gort is exactly as large as the block real Go would use:
//
//   1. Sizes rise by a step that starts at 8 and grows at powers of two: 16 from 32, size/8 from
//      128, 256 from 2048.
//   2. For each size take the fewest pages (at least kMinSpanPages: 1 in Go) whose tail waste is at
//      most 1/8 of the span.
//   3. A size that gives the same pages and the same number of slots as the class before replaces
//      that class: it is the same span with larger slots.
//   4. At the end, every class is widened to the largest multiple of 128 (up to 32 KiB) that keeps
//      its number of slots.
//
// Class 0 stands for large objects and has no slot size. Equation, for every class c > 0:
//     objects[c] == pages[c] * kPageSize / size[c]  (integer division)
//
// Slot numbers come from a multiplication: offset / size == offset * reciprocal >> 32 for every
// offset in a span (verified for every class at compile time below).

#include <array>
#include <cstddef>
#include <cstdint>

#include <gort/alloc/config.h>
#include <gort/base/bits.h>

namespace gort::alloc {

struct SizeClassInfo {
  std::uint32_t size = 0;        ///< bytes of a slot
  std::uint32_t pages = 0;       ///< pages of a span
  std::uint32_t objects = 0;     ///< slots in a span
  std::uint32_t reciprocal = 0;  ///< ceil(2^32 / size)
};

namespace detail {

inline constexpr std::size_t kMaxClasses = 128;

struct GeneratedTable {
  std::array<SizeClassInfo, kMaxClasses> info{};
  std::size_t count = 1;  // class 0: large
};

constexpr std::size_t step_at(std::size_t size) {
  if (size >= 2048) return 256;
  if (size >= 128) {
    std::size_t power = 128;
    while (power * 2 <= size) power *= 2;
    return power / 8;
  }
  return size >= 32 ? 16 : 8;
}

constexpr std::size_t pages_for(std::size_t size) {
  std::size_t bytes = kMinSpanPages * kPageSize;
  while (bytes % size > bytes / kMaxTailWaste) bytes += kPageSize;
  return bytes / kPageSize;
}

constexpr GeneratedTable generate() {
  GeneratedTable table;
  std::size_t step = 8;
  for (std::size_t size = 8; size <= kMaxSmallSize; size += step) {
    if (bits::is_power_of_two(size)) step = step_at(size);
    const std::size_t pages = pages_for(size);
    const std::size_t objects = pages * kPageSize / size;
    SizeClassInfo& last = table.info[table.count - 1];
    const bool same_span = table.count > 1 && last.pages == pages && last.objects == objects;
    SizeClassInfo& target = same_span ? last : table.info[table.count++];
    target.size = static_cast<std::uint32_t>(size);
    target.pages = static_cast<std::uint32_t>(pages);
    target.objects = static_cast<std::uint32_t>(objects);
  }
  for (std::size_t c = 1; c < table.count; ++c) {
    SizeClassInfo& info = table.info[c];
    while (info.size < kMaxSmallSize) {
      const std::size_t wider = (info.size + 128) & ~std::size_t{127};
      if (wider > kMaxSmallSize || info.pages * kPageSize / wider != info.objects) break;
      info.size = static_cast<std::uint32_t>(wider);
    }
    info.reciprocal =
        static_cast<std::uint32_t>(((std::uint64_t{1} << 32) + info.size - 1) / info.size);
  }
  return table;
}

inline constexpr GeneratedTable kGenerated = generate();

}  // namespace detail

inline constexpr std::size_t kSizeClassCount = detail::kGenerated.count;

inline constexpr auto kSizeClasses = [] {
  std::array<SizeClassInfo, kSizeClassCount> classes{};
  for (std::size_t c = 0; c < kSizeClassCount; ++c) classes[c] = detail::kGenerated.info[c];
  return classes;
}();

/// Slots that the smallest class puts into its span: no span has more.
inline constexpr std::size_t kMaxSlots = [] {
  std::size_t most = 0;
  for (const SizeClassInfo& info : kSizeClasses) most = info.objects > most ? info.objects : most;
  return most;
}();

namespace detail {

// Two tables, as in Go: steps of 8 bytes up to 1024, steps of 128 above.
inline constexpr std::size_t kFineLimit = 1024;
inline constexpr auto kFine = [] {
  std::array<std::uint8_t, kFineLimit / 8 + 1> table{};
  std::size_t c = 1;
  for (std::size_t i = 1; i < table.size(); ++i) {
    while (kSizeClasses[c].size < i * 8) ++c;
    table[i] = static_cast<std::uint8_t>(c);
  }
  table[0] = 1;  // zero bytes still need an address of their own
  return table;
}();
inline constexpr auto kCoarse = [] {
  std::array<std::uint8_t, (kMaxSmallSize - kFineLimit) / 128 + 1> table{};
  std::size_t c = 1;
  for (std::size_t i = 0; i < table.size(); ++i) {
    while (kSizeClasses[c].size < kFineLimit + i * 128) ++c;
    table[i] = static_cast<std::uint8_t>(c);
  }
  return table;
}();

}  // namespace detail

/// The class of a small object of `bytes` (0..kMaxSmallSize). Zero bytes take the smallest slot.
constexpr std::size_t size_class_of(std::size_t bytes) {
  if (bytes <= detail::kFineLimit) return detail::kFine[(bytes + 7) / 8];
  return detail::kCoarse[(bytes - detail::kFineLimit + 127) / 128];
}

/// Bytes that an object of `bytes` really takes: its slot, or whole pages for a large one. Go's
/// roundupsize. Saturates at SIZE_MAX rounded down to a page when `bytes` is absurd.
constexpr std::size_t block_size_for(std::size_t bytes) {
  if (bytes <= kMaxSmallSize) return kSizeClasses[size_class_of(bytes)].size;
  constexpr std::size_t kMost = ~std::size_t{0} & ~(kPageSize - 1);
  return bytes > kMost ? kMost : Pages::holding(bytes).bytes();
}

/// What to ask for so that a block of at least `bytes` is aligned to `alignment`, a power of two up
/// to a page: the least slot size that is a multiple of it, as spans begin at pages. (16 bytes need
/// nothing: every slot size from 32 on is a multiple, and so is that of 16.) Above the small sizes
/// `bytes` itself, since large objects begin at pages.
constexpr std::size_t bytes_to_align(std::size_t bytes, std::size_t alignment) {
  if (alignment <= 16 || bytes > kMaxSmallSize) return bytes;
  std::size_t c = size_class_of(bytes);
  while (kSizeClasses[c].size % alignment != 0) ++c;
  return kSizeClasses[c].size;
}
static_assert(kMaxSmallSize % kPageSize == 0);  // so the search ends

/// offset / size by a multiplication; `offset` lies inside a span of the class.
constexpr std::uint32_t divide_by_size(std::size_t offset, std::uint32_t reciprocal) {
  return static_cast<std::uint32_t>((static_cast<std::uint64_t>(offset) * reciprocal) >> 32);
}

// The multiplication must be exact at both ends of every slot, which makes it exact in between.
static_assert([] {
  for (std::size_t c = 1; c < kSizeClassCount; ++c) {
    const SizeClassInfo& info = kSizeClasses[c];
    for (std::uint32_t i = 0; i < info.objects; ++i) {
      const std::size_t first = std::size_t{i} * info.size;
      if (divide_by_size(first, info.reciprocal) != i) return false;
      if (divide_by_size(first + info.size - 1, info.reciprocal) != i) return false;
    }
  }
  return true;
}());

}  // namespace gort::alloc
