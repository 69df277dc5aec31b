#include <gort/hashmap/map_type.h>

#include <gort/base/metadata.h>

namespace gort::hashmap {
namespace {

constexpr auto kHeaderReferences = [] {
  gc::ReferenceBits<sizeof(Header)> out;
  out.add(offsetof(Header, buckets));
  out.add(offsetof(Header, oldbuckets));
  out.add(offsetof(Header, extra_word));
  return out;
}();

}  // namespace

MapType::MapType(const BucketShape& bucket_shape, const std::uint64_t* bucket_references,
                 const char* type_name, HashFunction hash_key, EqualFunction equal_keys)
    : shape(bucket_shape),
      name(type_name),
      hash(hash_key),
      equal(equal_keys),
      header_layout(gc::intern_layout(sizeof(Header), kHeaderReferences.bits.data(), type_name,
                                      gc::LayoutKind::map_header, this)),
      bucket_layout(shape.pointer_free
                        ? gc::kNoReferences
                        : gc::intern_layout(shape.bucket_size, bucket_references, type_name,
                                            gc::LayoutKind::bucket, this)) {}

const MapType& known_or_made(Atomic<const MapType*>& known, const BucketShape& shape,
                             const std::uint64_t* bucket_references, const char* name,
                             MapType::HashFunction hash, MapType::EqualFunction equal) {
  const MapType* const made =
      metadata::create<MapType>(shape, bucket_references, name, hash, equal);
  const MapType* first = nullptr;
  return known.cas_acq_rel(first, made) ? *made : *first;
}

}  // namespace gort::hashmap
