#pragma once

// MapType: everything about one Map<K, V, Hash> that code which does not know the types needs.
// There is one for each; growth, overflow bookkeeping, clearing and inspection are written against
// it, so that they exist once and not once per type. A map's header carries a layout whose `info`
// is its MapType: so a walk over the heap finds the maps and can read them.

#include <cstddef>
#include <cstdint>

#include <gort/base/atomic.h>
#include <gort/base/config.h>
#include <gort/gc/layout.h>
#include <gort/hashmap/bucket.h>

namespace gort {

template <class K, class V, class Hash>
class Map;

namespace hashmap {

struct MapType {
  using HashFunction = std::uint64_t (*)(const void* key, std::uint32_t seed);
  using EqualFunction = bool (*)(const void* a, const void* b);

  /// Interns the layouts, with `this` as their info: a MapType never moves. Throws std::bad_alloc.
  MapType(const BucketShape& bucket_shape, const std::uint64_t* bucket_references,
          const char* type_name, HashFunction hash_key, EqualFunction equal_keys);
  MapType(const MapType&) = delete;
  MapType& operator=(const MapType&) = delete;

  const BucketShape shape;
  const char* const name;            ///< as the compiler spells it
  const HashFunction hash;           ///< of a key object, wherever it stands
  const EqualFunction equal;         ///< of two key objects
  const gc::LayoutId header_layout;  ///< kind map_header, info = this
  const gc::LayoutId bucket_layout;  ///< kind bucket, info = this; kNoReferences if pointer-free

  bool indirect_key() const { return (shape.flags & kIndirectKey) != 0; }
  bool indirect_elem() const { return (shape.flags & kIndirectElem) != 0; }

  /// The bucket with this number of an array.
  char* bucket(void* array, std::size_t number) const {
    return static_cast<char*>(array) + number * shape.bucket_size;
  }
  char* overflow(const void* bucket) const { return overflow_of(bucket, shape.bucket_size); }
  /// Makes `next` the bucket after `bucket` in its chain; null cuts the chain.
  void set_overflow(void* bucket, void* next) const {
    gc::write_reference(overflow_word(bucket, shape.bucket_size), next);
  }
  char* key_slot(char* bucket, std::size_t cell) const {
    return bucket + kDataOffset + cell * shape.key_slot;
  }
  char* elem_slot(char* bucket, std::size_t cell) const {
    return bucket + shape.elem_offset() + cell * shape.elem_slot;
  }
  /// The key object of a cell.
  const void* key(char* bucket, std::size_t cell) const {
    char* const slot = key_slot(bucket, cell);
    return indirect_key() ? *reinterpret_cast<void**>(slot) : slot;
  }
};

/// `*known`, or else one made of these and kept for ever. Throws std::bad_alloc. Two threads that
/// come first may make one each; layouts refer to both, so both stay.
GORT_API const MapType& known_or_made(Atomic<const MapType*>& known, const BucketShape& shape,
                                      const std::uint64_t* bucket_references, const char* name,
                                      MapType::HashFunction hash, MapType::EqualFunction equal);

/// The MapType of Map<K, V, Hash>. No static object: the child of a fork might find its guard
/// taken.
template <class K, class V, class Hash>
const MapType& map_type() {
  static constinit Atomic<const MapType*> known{nullptr};
  const MapType* const type = known.load_acquire();
  if (GORT_LIKELY(type != nullptr)) return *type;
  return known_or_made(
      known, kShape<K, V>, kBucketReferences<K, V>.bits.data(), gc::type_name<Map<K, V, Hash>>(),
      [](const void* key, std::uint32_t seed) -> std::uint64_t {
        return Hash{}(*static_cast<const K*>(key), seed);
      },
      [](const void* a, const void* b) {
        return KeyTraits<K>::equal(*static_cast<const K*>(a), *static_cast<const K*>(b));
      });
}

}  // namespace hashmap
}  // namespace gort
