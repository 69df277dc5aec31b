#include <gort/hashmap/picture.h>

#include <algorithm>

#include <gort/gc/allocate.h>

namespace gort::hashmap {
namespace {

ArrayPicture array_picture(const Header& map, const MapType& type, bool old) {
  const ArrayView view(map, type, old);
  const std::size_t bucket_size = type.shape.bucket_size;
  ArrayPicture out;
  out.buckets = view.count();
  out.bytes = out.rest_bytes = view.block_bytes();
  view.for_each_bucket([&](const BucketView& bucket) {
    BucketPicture& b = out.all.emplace_back();
    b.chain = bucket.number;
    b.position = bucket.position;
    b.in_array = bucket.in_array;
    std::copy_n(bucket.tophash(), kCells, b.tophash.begin());
    b.live_bytes = live_bytes_of_bucket(type.shape, bucket.tops());
    const std::size_t bytes = bucket.in_array ? bucket_size : gc::block_size(bucket.address);
    b.dead_bytes = bytes - b.live_bytes;
    if (bucket.in_array) out.rest_bytes -= bucket_size;
  });
  return out;
}

}  // namespace

MapPicture picture(const Header* map, const MapType& type) {
  MapPicture out;
  if (map == nullptr) return out;
  out.stats = inspect(map, type);
  out.current = array_picture(*map, type, false);
  out.current.spare_buckets = out.stats.spare_overflow_buckets;
  out.old = array_picture(*map, type, true);
  out.other_bytes = gc::block_size(map);
  if (const Extra* const extra = map->extra(); extra != nullptr) {
    out.other_bytes += gc::block_size(extra);
    for (const OverflowList* list : {extra->list(), extra->old_list()}) {
      if (list == nullptr) continue;
      out.other_bytes += gc::block_size(list);
      if (list->array != nullptr) out.other_bytes += gc::block_size(list->array);
    }
  }
  return out;
}

}  // namespace gort::hashmap
