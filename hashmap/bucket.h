#pragma once

// A bucket: eight pairs, byte for byte as in Go (cmd/compile: MapBucketType).
//
//     | 8 tophash bytes | 8 keys | 8 values | overflow word |
//     0                 8                                   bucket_size - 8
//
// Keys stand together, and so do values: no padding between the two of a pair. The overflow word
// refers to the next bucket of the chain, or is null. If neither keys nor values hold references
// the whole bucket is pointer-free memory: the collector does not look into it, nor at its overflow
// word (header.h says who keeps overflow buckets alive then).
//
// A key or value above 128 bytes (or aligned to more than 8) is stored indirectly: the slot holds a
// reference to an object of its own.
//
//     bucket_size == 16 + 8 * key_slot + 8 * elem_slot

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>

#include <gort/base/config.h>
#include <gort/gc/barrier.h>
#include <gort/gc/layout.h>
#include <gort/hashmap/header.h>
#include <gort/hashmap/key_traits.h>
#include <gort/hashmap/tophash.h>

namespace gort::hashmap {

inline constexpr std::size_t kMaxInline =
    128;  ///< bytes; a larger key or value is stored indirectly
inline constexpr std::size_t kDataOffset = kCells;  ///< where the keys begin
inline constexpr std::size_t kCacheLine = 64;

// Bits of BucketShape::flags, as in Go's map type.
inline constexpr std::uint8_t kIndirectKey = 1;
inline constexpr std::uint8_t kIndirectElem = 2;
inline constexpr std::uint8_t kReflexiveKey = 4;
inline constexpr std::uint8_t kNeedKeyUpdate = 8;

/// Sizes of one bucket type, in bytes.
struct BucketShape {
  std::uint32_t key_size = 0;   ///< of a key, wherever it stands
  std::uint32_t elem_size = 0;  ///< of a value; 0 for an empty class
  std::uint32_t key_slot = 0;   ///< what a key takes in the bucket: key_size, or 8 if indirect
  std::uint32_t elem_slot = 0;
  std::uint32_t bucket_size = 0;
  std::uint8_t flags = 0;
  bool pointer_free = false;

  constexpr std::size_t elem_offset() const { return kDataOffset + kCells * key_slot; }
  constexpr std::size_t overflow_offset() const { return bucket_size - kWordSize; }
};

template <class T>
inline constexpr bool kIndirect = sizeof(T) > kMaxInline || alignof(T) > kWordSize;

template <class T>
inline constexpr std::size_t kStoredSize = std::is_empty_v<T> ? 0 : sizeof(T);

template <class T>
inline constexpr std::size_t kSlotSize = kIndirect<T> ? kWordSize : kStoredSize<T>;

/// True if a T's slot holds a reference (an indirect slot is one).
template <class T>
inline constexpr bool kSlotHasReferences = kIndirect<T> || gc::kHasReferences<T>;

/// Copying a T's slot throws nothing.
template <class T>
inline constexpr bool kCopiesSafely = kIndirect<T> || std::is_nothrow_copy_constructible_v<T>;

template <class K, class V>
inline constexpr BucketShape kShape = [] {
  static_assert(std::is_trivially_destructible_v<K> && std::is_trivially_destructible_v<V>,
                "gort::Map: the collector frees keys and values without running destructors, so "
                "their destructors must be trivial");
  static_assert(std::is_copy_constructible_v<K> && std::is_copy_constructible_v<V>,
                "gort::Map: keys and values are copied when the map grows");
  static_assert(alignof(K) <= 16 && alignof(V) <= 16, "gort::Map aligns to 16 bytes at most");
  BucketShape s;
  s.key_size = kStoredSize<K>;
  s.elem_size = kStoredSize<V>;
  s.key_slot = kSlotSize<K>;
  s.elem_slot = kSlotSize<V>;
  s.bucket_size =
      static_cast<std::uint32_t>(kDataOffset + kCells * (s.key_slot + s.elem_slot) + kWordSize);
  s.flags = static_cast<std::uint8_t>((kIndirect<K> ? kIndirectKey : 0) |
                                      (kIndirect<V> ? kIndirectElem : 0) |
                                      (KeyTraits<K>::kReflexive ? kReflexiveKey : 0) |
                                      (KeyTraits<K>::kNeedsUpdate ? kNeedKeyUpdate : 0));
  s.pointer_free = !kSlotHasReferences<K> && !kSlotHasReferences<V>;
  return s;
}();

/// The reference words of one bucket; none if it is pointer-free.
template <class K, class V>
inline constexpr auto kBucketReferences = [] {
  constexpr BucketShape kS = kShape<K, V>;
  gc::ReferenceBits<kS.bucket_size> out;
  auto add_slot = [&out]<class T>(const T*, std::size_t offset) {
    if constexpr (kIndirect<T>) {
      out.add(offset);
    } else if constexpr (gc::kHasReferences<T>) {
      for (std::size_t w = 0; w < sizeof(T) / kWordSize; ++w) {
        if (bits::test(gc::kReferenceBits<T>.bits.data(), w)) out.add(offset + w * kWordSize);
      }
    }
  };
  if (!kS.pointer_free) {
    for (std::size_t i = 0; i < kCells; ++i) {
      add_slot(static_cast<const K*>(nullptr), kDataOffset + i * kS.key_slot);
      add_slot(static_cast<const V*>(nullptr), kS.elem_offset() + i * kS.elem_slot);
    }
    out.add(kS.overflow_offset());
  }
  return out;
}();

inline std::uint8_t& top_of(char* bucket, std::size_t cell) {
  return reinterpret_cast<std::uint8_t*>(bucket)[cell];
}

inline void** overflow_word(void* bucket, std::size_t bucket_size) {
  return reinterpret_cast<void**>(static_cast<char*>(bucket) + bucket_size - kWordSize);
}
inline char* overflow_of(const void* bucket, std::size_t bucket_size) {
  return static_cast<char*>(*overflow_word(const_cast<void*>(bucket), bucket_size));
}

/// One slot for a T: how it is read, filled and emptied. All of it is empty code for an empty
/// class.
template <class T>
struct Slot {
  static void*& word(char* slot) { return *reinterpret_cast<void**>(slot); }

  static T* object(char* slot) {
    if constexpr (kIndirect<T>) {
      return static_cast<T*>(word(slot));
    } else {
      return std::launder(reinterpret_cast<T*>(slot));
    }
  }

  /// Fills a slot whose reference words are null. Not for indirect slots.
  static void construct(char* slot, const T& value) {
    if constexpr (!std::is_empty_v<T>) ::new (static_cast<void*>(slot)) T(value);
  }

  /// Fills a slot whose reference words are null with what stands in another one.
  static void copy(char* to, char* from) {
    if constexpr (kIndirect<T>) {
      gc::init_reference(&word(to), word(from));
    } else {
      construct(to, *object(from));
    }
  }

  /// Zeroes a slot; of an indirect one only the reference.
  static void clear(char* slot) {
    if constexpr (kIndirect<T>) {
      gc::write_reference(&word(slot), nullptr);
    } else if constexpr (gc::kHasReferences<T>) {
      gc::clear_references(slot, sizeof(T));
    } else {
      std::memset(slot, 0, kStoredSize<T>);
    }
  }
};

}  // namespace gort::hashmap
