#pragma once

// A store into one of eight slots whose address does not depend on which.
//
// A write to a map finds the number of a cell by arithmetic on tophash bytes that have just been
// fetched. Until the address of a store is known, processors let later loads pass it if they guess
// that the two will not meet; but (as measured on Intel's, docs/decisions.md) not a load that has
// to walk the page tables. So in a map of far more pages than the TLB has entries one write comes
// after the other, each for the whole latency of memory, while lookups overlap.
//
// AVX2 has stores under a mask: the address is that of all eight slots, which follows from the hash
// alone, and the number of the cell is in the mask, that is, data. Bytes that the mask leaves out
// are not written, not even with what they held, so whoever looks at the other slots meanwhile (a
// marker) sees nothing. Each word of 8 bytes is written as a whole.
//
// x86-64 does not promise AVX2, and nothing in gort relies on it. So this is assembly and not an
// intrinsic, which would want a function compiled for it, and whoever calls it asks can_mask().

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <gort/base/atomic.h>
#include <gort/base/bits.h>
#include <gort/base/config.h>
#include <gort/gc/barrier.h>
#include <gort/gc/layout.h>
#include <gort/hashmap/bucket.h>
#include <gort/hashmap/string.h>

namespace gort::hashmap {

inline bool can_mask() { return __builtin_cpu_supports("avx2") > 0; }

/// Objects of T in slots of their own that a masked store can fill: their bytes are all there is to
/// copy.
template <class T>
inline constexpr bool kMaskable =
    !kIndirect<T> && (kSlotSize<T> == 4 || kSlotSize<T> == 8 || kSlotSize<T> == 16) &&
    (std::is_trivially_copyable_v<T> || std::is_same_v<T, String> || gc::detail::IsReference<T>);

namespace detail {

/// The cell that each word of a store belongs to.
struct CellNumbers {
  alignas(32) std::uint32_t of_4[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  alignas(32) std::uint64_t of_8[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  alignas(32) std::uint64_t of_16[16] = {0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7};
};
inline constexpr CellNumbers kCellNumbers{};

}  // namespace detail

// vzeroupper, without which the program's SSE instructions would become slow, takes half of each of
// these; a program that is compiled for AVX may have them in use.
#define GORT_VECTOR_REGISTERS                                                              \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
      "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

/// Copies the `kSize` bytes (4, 8 or 16) at `value` to slot `cell` (0..7) of the eight at `slots`,
/// without a barrier.
template <std::size_t kSize>
GORT_ALWAYS_INLINE void init_masked(char* slots, std::size_t cell, const void* value) {
  // What one instruction writes or compares with: 32 bytes.
  using Vector = char[32];
  const auto at = [slots](std::size_t i) -> Vector& { return reinterpret_cast<Vector*>(slots)[i]; };
  const auto number = [](const auto& numbers, std::size_t i) -> const Vector& {
    return reinterpret_cast<const Vector*>(numbers)[i];
  };
  if constexpr (kSize == 4) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, value, sizeof bits);
    asm("vmovd %[cell], %%xmm0\n\t"
        "vmovd %[bits], %%xmm1\n\t"
        "vpbroadcastd %%xmm0, %%ymm0\n\t"
        "vpbroadcastd %%xmm1, %%ymm1\n\t"
        "vpcmpeqd %[numbers], %%ymm0, %%ymm0\n\t"
        "vpmaskmovd %%ymm1, %%ymm0, %[at]\n\t"
        "vzeroupper"
        : [at] "+m"(at(0))
        : [cell] "r"(static_cast<std::uint32_t>(cell)), [bits] "r"(bits),
          [numbers] "m"(number(detail::kCellNumbers.of_4, 0))
        : GORT_VECTOR_REGISTERS);
  } else if constexpr (kSize == 8) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, value, sizeof bits);
    asm("vmovq %[cell], %%xmm0\n\t"
        "vmovq %[bits], %%xmm1\n\t"
        "vpbroadcastq %%xmm0, %%ymm0\n\t"
        "vpbroadcastq %%xmm1, %%ymm1\n\t"
        "vpcmpeqq %[number0], %%ymm0, %%ymm2\n\t"
        "vpcmpeqq %[number1], %%ymm0, %%ymm0\n\t"
        "vpmaskmovq %%ymm1, %%ymm2, %[at0]\n\t"
        "vpmaskmovq %%ymm1, %%ymm0, %[at1]\n\t"
        "vzeroupper"
        : [at0] "+m"(at(0)), [at1] "+m"(at(1))
        : [cell] "r"(cell), [bits] "r"(bits), [number0] "m"(number(detail::kCellNumbers.of_8, 0)),
          [number1] "m"(number(detail::kCellNumbers.of_8, 1))
        : GORT_VECTOR_REGISTERS);
  } else {
    static_assert(kSize == 16);
    asm("vmovq %[cell], %%xmm0\n\t"
        "vbroadcasti128 %[value], %%ymm1\n\t"
        "vpbroadcastq %%xmm0, %%ymm0\n\t"
        "vpcmpeqq %[number0], %%ymm0, %%ymm2\n\t"
        "vpmaskmovq %%ymm1, %%ymm2, %[at0]\n\t"
        "vpcmpeqq %[number1], %%ymm0, %%ymm2\n\t"
        "vpmaskmovq %%ymm1, %%ymm2, %[at1]\n\t"
        "vpcmpeqq %[number2], %%ymm0, %%ymm2\n\t"
        "vpmaskmovq %%ymm1, %%ymm2, %[at2]\n\t"
        "vpcmpeqq %[number3], %%ymm0, %%ymm2\n\t"
        "vpmaskmovq %%ymm1, %%ymm2, %[at3]\n\t"
        "vzeroupper"
        : [at0] "+m"(at(0)), [at1] "+m"(at(1)), [at2] "+m"(at(2)), [at3] "+m"(at(3))
        : [cell] "r"(cell), [value] "m"(*static_cast<const char(*)[16]>(value)),
          [number0] "m"(number(detail::kCellNumbers.of_16, 0)),
          [number1] "m"(number(detail::kCellNumbers.of_16, 1)),
          [number2] "m"(number(detail::kCellNumbers.of_16, 2)),
          [number3] "m"(number(detail::kCellNumbers.of_16, 3))
        : GORT_VECTOR_REGISTERS);
  }
}

#undef GORT_VECTOR_REGISTERS

/// The same for an object of T over another one, with the barrier.
template <class T>
GORT_ALWAYS_INLINE void store_masked(char* slots, std::size_t cell, const void* value) {
  static_assert(kMaskable<T>);
  if constexpr (!gc::kHasReferences<T>) {
    init_masked<sizeof(T)>(slots, cell, value);
  } else {
    constexpr std::size_t kWords = sizeof(T) / kWordSize;
    auto** const words = reinterpret_cast<void**>(slots) + cell * kWords;
    void* old[kWords];
    for (std::size_t w = 0; w < kWords; ++w) old[w] = AtomicRef<void*>(words[w]).load_relaxed();
    init_masked<sizeof(T)>(slots, cell, value);
    for (std::size_t w = 0; w < kWords; ++w) {
      if (bits::test(gc::kReferenceBits<T>.bits.data(), w)) gc::overwritten(old[w]);
    }
  }
}

}  // namespace gort::hashmap
