#include <gort/hashmap/inspect.h>

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include <gort/gc/allocate.h>

namespace gort::hashmap {
namespace {

// Spare buckets of the current array: from next_overflow to the one with the mark of the end.
std::size_t spare_buckets(const Header& map, const MapType& type, const ArrayView& array) {
  if (map.extra() == nullptr) return 0;
  const auto* first = static_cast<const char*>(map.extra()->next_overflow);
  if (first == nullptr || !array.contains(first)) return 0;
  const auto room = static_cast<std::size_t>(array.begin() + array.block_bytes() - first);
  const std::size_t most = room / type.shape.bucket_size;
  std::size_t n = 0;
  while (n < most && type.overflow(first + n * type.shape.bucket_size) == nullptr) ++n;
  return std::min(n + 1, most);
}

// Calls `f(block)` for the blocks that are neither arrays nor buckets.
template <class F>
void for_each_small_block(const Header& map, F&& f) {
  f(static_cast<const void*>(&map), MapPart::header);
  const Extra* const extra = map.extra();
  if (extra == nullptr) return;
  f(static_cast<const void*>(extra), MapPart::extra);
  for (const OverflowList* list : {extra->list(), extra->old_list()}) {
    if (list == nullptr) continue;
    f(static_cast<const void*>(list), MapPart::overflow_list);
    if (list->array != nullptr) f(static_cast<const void*>(list->array), MapPart::overflow_list);
  }
}

// Attributes the map's bytes: calls `live(bytes)` and `dead(reason, bytes)`.
template <class Live, class Dead>
void attribute(const Header& map, const MapType& type, Live&& live, Dead&& dead) {
  for_each_small_block(map, [&](const void* block, MapPart) { live(gc::block_size(block)); });
  const std::size_t bucket_size = type.shape.bucket_size;
  for (const bool old : {false, true}) {
    const ArrayView array(map, type, old);
    std::size_t rest = array.block_bytes();
    array.for_each_bucket([&](const BucketView& bucket) {
      const std::size_t cells = bucket.tops().live().count();
      const std::size_t used = live_bytes_of_bucket(type.shape, bucket.tops());
      live(used);
      const Reason reason = old                                 ? Reason::growth_stalled
                            : cells == 0 && bucket.position > 0 ? Reason::empty_overflow
                                                                : Reason::dead_cells;
      dead(reason, bucket_size - used);
      if (bucket.in_array) {
        rest -= bucket_size;
      } else {
        dead(old ? Reason::growth_stalled : Reason::array_rounding,
             gc::block_size(bucket.address) - bucket_size);
      }
    });
    if (old) {
      dead(Reason::growth_stalled, rest);
    } else {
      const std::size_t spare = spare_buckets(map, type, array) * bucket_size;
      dead(Reason::spare_overflow, spare);
      dead(Reason::array_rounding, rest - spare);
    }
  }
}

}  // namespace

ArrayView::ArrayView(const Header& map, const MapType& type, bool old)
    : type_(type), old_(old), begin_(static_cast<const char*>(old ? map.oldbuckets : map.buckets)) {
  if (begin_ == nullptr) return;
  block_bytes_ = gc::block_size(begin_);
  // The bound matters if a thread was stopped between two stores to the header.
  count_ = std::min(old ? map.old_bucket_count() : map.bucket_count(),
                    block_bytes_ / type.shape.bucket_size);
}

bool has_overflow_buckets(const Header& map, const MapType& type) {
  if (!map.growing() && map.B < kFirstBEstimated) return map.noverflow != 0;
  for (const bool old : {false, true}) {
    const ArrayView array(map, type, old);
    for (std::size_t i = 0; i < array.count(); ++i) {
      if (type.overflow(array.begin() + i * type.shape.bucket_size) != nullptr) return true;
    }
  }
  return false;
}

std::size_t live_bytes_of_bucket(const BucketShape& shape, Tops tops) {
  const std::size_t cells = tops.live().count();
  const std::size_t cell_size = 1 + shape.key_slot + shape.elem_slot;
  return cells == 0 ? 0 : shape.bucket_size - (kCells - cells) * cell_size;
}

MapStats inspect(const Header* map, const MapType& type) {
  MapStats s;
  if (map == nullptr) return s;
  s.count = static_cast<std::size_t>(map->count);
  s.B = map->B;
  s.flags = map->load_flags();
  s.noverflow = map->noverflow;
  s.nevacuate = map->nevacuate;
  s.growing = map->growing();
  s.same_size_growth = map->same_size_growth();
  s.bucket_size = type.shape.bucket_size;
  s.key_slot = type.shape.key_slot;
  s.elem_slot = type.shape.elem_slot;

  const ArrayView current(*map, type, false);
  s.buckets = current.count();
  s.old_buckets = ArrayView(*map, type, true).count();
  s.spare_overflow_buckets = spare_buckets(*map, type, current);
  visit_buckets(*map, type, [&s](const BucketView& bucket) {
    s.longest_chain = std::max(s.longest_chain, bucket.position + 1);
    const Tops tops = bucket.tops();
    const std::size_t live = tops.live().count();
    s.live_cells += live;
    for (std::size_t i = 0; i < kCells; ++i) {
      s.empty_cells += tops[i] == kEmptyRest;
      s.tombstones += tops[i] == kEmptyOne;
    }
    if (tops.evacuated()) s.moved_cells += kCells;
    if (bucket.position == 0) return;
    if (bucket.old) {
      ++s.old_overflow_buckets;
    } else {
      ++s.overflow_buckets;
      s.empty_overflow_buckets += live == 0;
    }
  });
  attribute(
      *map, type, [&s](std::size_t n) { s.live_bytes += n; },
      [&s](Reason, std::size_t n) { s.dead_bytes += n; });
  s.bytes = s.live_bytes + s.dead_bytes;
  return s;
}

void account(const Header* map, const MapType& type, Ledger& out) {
  if (map == nullptr) return;
  attribute(
      *map, type, [&out](std::size_t n) { out[Place::map_live] += n; },
      [&out](Reason reason, std::size_t n) { out.add(reason, n); });
}

const char* find_inconsistency(const Header* map, const MapType& type) {
  if (map == nullptr) return nullptr;
  const char* wrong = nullptr;
  auto fail = [&wrong](const char* what) {
    if (wrong == nullptr) wrong = what;
  };
  std::size_t live_cells = 0;
  std::size_t overflow_buckets = 0;
  bool rest_seen = false;  // in this chain: a cell said that nothing is behind it
  bool last_is_tombstone = false;
  auto end_chain = [&] {
    if (last_is_tombstone) fail("the last cells of a chain are empty, but do not say so");
    rest_seen = last_is_tombstone = false;
  };
  visit_buckets(*map, type, [&](const BucketView& bucket) {
    if (bucket.position == 0) end_chain();
    if (bucket.position > 0 && !bucket.old) ++overflow_buckets;
    const Tops tops = bucket.tops();
    const bool moved = tops.has_evacuated_cells();
    if (moved && !bucket.old) fail("an evacuated cell in the current array");
    if (moved && (tops.live() || tops.empty())) fail("a chain is evacuated in part");
    if (bucket.old && !moved && bucket.number < map->nevacuate) {
      fail("an old chain below nevacuate is not evacuated");
    }
    if (moved) return;
    for (std::size_t i = 0; i < kCells; ++i) {
      if (is_empty(tops[i])) {
        if (rest_seen && tops[i] == kEmptyOne) fail("an emptied cell behind the end of its chain");
        rest_seen = rest_seen || tops[i] == kEmptyRest;
        if (tops[i] == kEmptyOne) last_is_tombstone = true;
        if (tops[i] == kEmptyRest && last_is_tombstone) {
          fail("the last cells of a chain are empty, but do not say so");
        }
        continue;
      }
      ++live_cells;
      last_is_tombstone = false;
      if (rest_seen) fail("a live cell behind the end of its chain");
      const void* key = type.key(const_cast<char*>(bucket.address), i);
      if (key == nullptr) {
        fail("a live cell without its key object");
        continue;
      }
      if (!type.equal(key, key)) continue;  // NaN: its hash says nothing
      const std::uint64_t hash = type.hash(key, map->hash0);
      const std::size_t count = bucket.old ? map->old_bucket_count() : map->bucket_count();
      if ((hash & (count - 1)) != bucket.number) fail("a key in the wrong chain");
      if (tophash(hash) != tops[i]) fail("a tophash that is not its key's");
    }
  });
  end_chain();
  if (live_cells != static_cast<std::size_t>(map->count))
    fail("count is not the number of live cells");
  if (map->B < kFirstBEstimated && overflow_buckets != map->noverflow) {
    fail("noverflow is not the number of overflow buckets");
  }
  return wrong;
}

}  // namespace gort::hashmap
