#pragma once

// What Go's map never does, for those who ask for it: giving memory back while the map lives.
//
//     evacuate(map, budget)     does what writes would have done later: moves up to `budget` old
//                               chains of a stalled growth. The old array goes when it is through
//     shrink_to_fit(map)        rebuilds into the smallest array that holds the pairs
//     compact(map)              rebuilds into an array of the same size: no tombstones, no overflow
//                               bucket that is not needed
//     rebuild(map, hint, keep)  the general form: room for `hint`, only pairs for which keep(k, v)
//     clear_and_release(map)    clear() that gives the array back: the map is as if new
//     wipe_eagerly(map)         from now on, growth leaves nothing in the old chains it has moved
//     clear_sparse(map)         clear() that writes only to chains with something in them
//
// A rebuild makes a complete new table beside the old one and then swaps the header's words: until
// then the map is as it was, and std::bad_alloc leaves it so. The map stays the same map: all its
// copies see the new table. Both tables exist for a moment.
//
// Iterators under way survive all of it by Go's rules. A rebuild leaves every cell of the old table
// marked "moved", or "empty" where the pair is left out: that is what an iterator finds after a
// growth, and it looks the key up in the current table. The seed stays, since another one would
// mean that all pairs are gone; a growth under way is finished first, so that an iterator finds
// every chain where it expects it. A NaN that is left out may still come if the loop began before
// the end of that growth or of an earlier one: it cannot be looked up, and the array that the loop
// walks is not the map's any more.
//
// All of these are writes: one thread at a time, and misuse is detected as for any write.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <gort/base/bits.h>
#include <gort/base/config.h>
#include <gort/gc/allocate.h>
#include <gort/hashmap/map.h>

namespace gort {

namespace hashmap {

/// The table of `fresh` becomes that of `map`; `fresh` is not to be used any more. Iterators that
/// walk the old table are sent to the new one. `map` must not be growing. `kept`: a bit for each
/// pair of the map, in the order of visit_buckets(); null: all are in the new table.
GORT_API void adopt_table(Header& map, const MapType& type, Header& fresh,
                          const std::uint64_t* kept);

GORT_API void set_eager_wipe(Header& map, bool on);
GORT_API void clear_and_release(Header& map, const MapType& type);
GORT_API void clear_sparse(Header& map, const MapType& type);

/// Keeps every pair.
struct KeepAll {
  template <class K, class V>
  constexpr bool operator()(const K&, const V&) const {
    return true;
  }
};

}  // namespace hashmap

/// Moves up to `budget` old chains of a growth under way. Returns how many chains are left to walk;
/// 0: the map is not growing (any more).
template <class K, class V, class Hash>
std::size_t evacuate(const Map<K, V, Hash>& map,
                     std::size_t budget = std::numeric_limits<std::size_t>::max()) {
  using Table = hashmap::Table<K, V, Hash>;
  if (map == nullptr) return 0;
  hashmap::Header& header = *map.header();
  hashmap::check_writable(header);
  if (!header.growing()) return 0;
  hashmap::WritingScope writing(header);
  while (budget-- > 0 && header.growing()) Table::evacuate(header, header.nevacuate);
  writing.finish();
  return header.growing() ? header.old_bucket_count() - header.nevacuate : 0;
}

/// Rebuilds the table: room for `hint` pairs or those that stay, whichever is more (a hint that no
/// address space holds counts as none, as in make_map()). Pairs for which
/// `keep(key, value)` is false are left out; it is asked once for each pair, and must not use the
/// map. Not for a nil map.
template <class K, class V, class Hash, class Keep = hashmap::KeepAll>
void rebuild(const Map<K, V, Hash>& map, std::size_t hint, Keep keep = {}) {
  using namespace hashmap;
  using Table = hashmap::Table<K, V, Hash>;
  if (map == nullptr) throw_nil_map_write();
  evacuate(map);
  Header& header = *map.header();
  check_writable(header);
  WritingScope writing(header);
  auto pairs = static_cast<std::size_t>(header.count);
  std::uint64_t* kept = nullptr;
  Pin pin_kept;
  if constexpr (!std::is_same_v<Keep, KeepAll>) {
    pin_kept.reserve();
    const std::size_t words = bits::words_for(pairs + 1);
    kept = static_cast<std::uint64_t*>(gc::allocate(words * kWordSize, gc::kNoReferences));
    pin_kept.hold(kept);
    pairs = 0;
    std::size_t n = 0;
    for_each_cell(map, [&](const typename Table::Cell& cell) {
      if (keep(static_cast<const K&>(*cell.key()), static_cast<const V&>(*cell.elem()))) {
        bits::set_range(kept, n, 1);
        ++pairs;
      }
      ++n;
    });
  }
  Header* const fresh = new_map(Table::type(), std::max(pairs, usable_hint(Table::type(), hint)));
  const Pin pin(fresh);
  fresh->hash0 = header.hash0;
  if (fresh->buckets == nullptr && pairs > 0) add_first_bucket(*fresh, Table::type());
  for_each_cell(map, [fresh, kept, n = std::size_t{0}](const typename Table::Cell& cell) mutable {
    if (kept == nullptr || bits::test(kept, n++)) Table::append(*fresh, cell);
  });
  adopt_table(header, Table::type(), *fresh, kept);
  writing.finish();
}

/// Rebuilds the map into the smallest array that holds its pairs, if that is smaller than its own.
/// Returns true if it did.
template <class K, class V, class Hash>
bool shrink_to_fit(const Map<K, V, Hash>& map) {
  if (map == nullptr) return false;
  if (hashmap::smallest_log2(map.size()) >= map.header()->B && !map.header()->growing())
    return false;
  rebuild(map, 0);
  return true;
}

/// Rebuilds the map into an array of the same size, if it has overflow buckets. Returns true if it
/// did.
template <class K, class V, class Hash>
bool compact(const Map<K, V, Hash>& map) {
  if (map == nullptr || !hashmap::has_overflow_buckets(*map.header(), map.type())) return false;
  rebuild(map, hashmap::load_limit(map.header()->B));
  return true;
}

/// From now on (or no more) a chain that growth has moved is zeroed at once, and its overflow
/// buckets are free at the next collection, not at the end of the growth. Go does that only for the
/// first bucket of a chain, only in maps with references, and not if a loop began before the
/// growth. A map with eager wipe counts its iterators instead (an iterator is one until it is
/// destroyed; a loop that began before this call counts by Go's rule), so that only a loop under
/// way holds it up.
template <class K, class V, class Hash>
void wipe_eagerly(const Map<K, V, Hash>& map, bool on = true) {
  if (map != nullptr) hashmap::set_eager_wipe(*map.header(), on);
}

/// Removes every pair and gives all memory but the header back.
template <class K, class V, class Hash>
void clear_and_release(const Map<K, V, Hash>& map) {
  if (map != nullptr) hashmap::clear_and_release(*map.header(), map.type());
}

/// Removes every pair and keeps the array; writes only to buckets that are in use. For large arrays
/// with few pairs, above all where most of the array was never touched.
template <class K, class V, class Hash>
void clear_sparse(const Map<K, V, Hash>& map) {
  if (map != nullptr) hashmap::clear_sparse(*map.header(), map.type());
}

}  // namespace gort
