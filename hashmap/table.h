#pragma once

// The frequent half of a map's life: lookup, insert, delete and evacuation, as templates, so that
// hash, comparison and copying are inlined for the types. The rare half is in growth.h.
//
// Every operation hashes the key, takes the chain's first bucket by the low bits of the hash, and
// compares the tophash bytes of eight cells at once (tophash.h); only keys behind an equal byte are
// looked at. The chain ends at the first bucket without an overflow bucket, or with a cell marked
// "nothing behind".
//
// While the map grows, a read takes the old chain unless it is evacuated; a write first evacuates
// the old chain that its key belongs to, and one more.
//
// assign() has a fast path for what is most frequent by far (no growth, the key is there or a cell
// is free) and a slow one for the rest, which alone allocates (but for replace_key()). Where maps
// are large, overwriting and erasing go through masked stores (masked_store.h).

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <utility>

#include <gort/base/config.h>
#include <gort/base/fatal.h>
#include <gort/gc/allocate.h>
#include <gort/hashmap/growth.h>
#include <gort/hashmap/header.h>
#include <gort/hashmap/map_type.h>
#include <gort/hashmap/masked_store.h>
#include <gort/hashmap/pin.h>
#include <gort/hashmap/rules.h>
#include <gort/hashmap/write_way.h>
#include <gort/hashmap/writing.h>

namespace gort::hashmap {

/// Go: panic "assignment to entry in nil map".
[[noreturn]] GORT_API GORT_COLD void throw_nil_map_write();

template <class K, class V, class Hash>
struct Table {
  static constexpr BucketShape kS = kShape<K, V>;
  using Traits = KeyTraits<K>;

  /// Where a pair is; bucket == null: nowhere.
  struct Cell {
    char* bucket = nullptr;
    std::size_t number = 0;
    explicit operator bool() const { return bucket != nullptr; }
    K* key() const { return Slot<K>::object(key_slot()); }
    V* elem() const { return Slot<V>::object(elem_slot()); }
    char* key_slots() const { return bucket + kDataOffset; }
    char* elem_slots() const { return bucket + kS.elem_offset(); }
    char* key_slot() const { return key_slots() + number * kS.key_slot; }
    char* elem_slot() const { return elem_slots() + number * kS.elem_slot; }
  };

  static char* bucket_at(void* array, std::size_t number) {
    return static_cast<char*>(array) + number * kS.bucket_size;
  }
  static char* overflow(const char* bucket) { return overflow_of(bucket, kS.bucket_size); }
  static const MapType& type() { return map_type<K, V, Hash>(); }

  /// No hash, no comparison of a key with itself (goes_up()) and no copy throws while a chain is
  /// moved; an overflow bucket may still be refused.
  static constexpr bool kMovesSafely =
      noexcept(Hash{}(std::declval<const K&>(), 0U)) &&
      (Traits::kReflexive ||
       noexcept(Traits::equal(std::declval<const K&>(), std::declval<const K&>()))) &&
      kCopiesSafely<K> && kCopiesSafely<V>;

  /// Whether writes go through masked stores, where they can.
  static inline constinit WriteWay write_way;

  /// The chain that a reader of this hash must look at.
  static char* chain_to_read(const Header& map, std::uint64_t hash) {
    char* const chain = bucket_at(map.buckets, hash & map.mask());
    if (GORT_LIKELY(!map.growing())) return chain;
    char* const old = bucket_at(map.oldbuckets, hash & (map.old_bucket_count() - 1));
    return Tops::load(old).evacuated() ? chain : old;
  }

  /// Fetches the cache lines of a bucket, from byte `from` on, to byte `to` at most; of large
  /// buckets most lines are never needed. Who looks for a key does so while the tophash bytes are
  /// on their way: which of the other lines hold the key and its value is known only after those.
  template <int kToWrite = 0>
  GORT_ALWAYS_INLINE static void prefetch(const char* bucket, std::size_t from = 0,
                                          std::size_t to = 3 * kCacheLine) {
    for (std::size_t at = from; at < kS.bucket_size && at <= to; at += kCacheLine) {
      __builtin_prefetch(bucket + at, kToWrite);
    }
  }

  /// For a reader: of a bucket of more than three lines the second alone. The others cost more than
  /// they bring, as a reader needs two of them at most (docs/decisions.md).
  GORT_ALWAYS_INLINE static void prefetch_to_read(const char* bucket) {
    prefetch(bucket, kCacheLine, kS.bucket_size <= 3 * kCacheLine ? kS.bucket_size : kCacheLine);
  }

  // --- lookup ------------------------------------------------------------------------------------

  template <class Q>
  GORT_ALWAYS_INLINE static Cell find(const Header* map, const Q& key) {
    if (GORT_UNLIKELY(map == nullptr || map->count == 0)) return {};
    check_readable(*map);
    const std::uint64_t hash = Hash{}(key, map->hash0);
    char* const chain = chain_to_read(*map, hash);
    prefetch_to_read(chain);
    return find_in_chain(chain, key, hash);
  }

  template <class Q>
  GORT_ALWAYS_INLINE static Cell find_in_chain(char* bucket, const Q& key, std::uint64_t hash) {
    const std::uint64_t pattern = Tops::pattern_of(hash);
    for (;;) {
      const Tops tops = Tops::load(bucket);
      for (CellMask hits = tops.match(pattern); hits; hits.drop_first()) {
        const Cell cell{bucket, hits.first()};
        if (GORT_LIKELY(Traits::equal(*cell.key(), key))) return cell;
      }
      // In this order: a quarter of the buckets of a full map are full, at random, but only a sixth
      // have another behind them, and then this one is hardly ever the end. One toss to predict.
      bucket = overflow(bucket);
      if (GORT_LIKELY(bucket == nullptr) || tops.ends_chain()) return {};
    }
  }

  // --- insert ------------------------------------------------------------------------------------

  /// Calls `store(value, operand)` with the value of the key's pair; a zero one if the pair is new.
  /// `key` is a K, or a string_view from which one can be made. Both may stand in the map.
  template <class Q, class T, class Store>
  GORT_ALWAYS_INLINE static void assign(Header* map, const Q& key, const T& operand,
                                        const Store& store) {
    if (GORT_UNLIKELY(map == nullptr)) throw_nil_map_write();
    check_writable(*map);
    const std::uint64_t hash = Hash{}(key, map->hash0);
    WritingScope writing(*map);
    V* elem = nullptr;
    if (GORT_LIKELY(!map->growing() && map->buckets != nullptr)) {
      const Search found = search(bucket_at(map->buckets, hash & map->mask()), key, hash);
      if (found.present) {
        const std::conditional_t<kInKey<Q, T>, T, const T&> kept_operand(operand);
        elem = overwrite(found.cell, key, &operand);
        if constexpr (kMaskable<V>) {
          if (GORT_UNLIKELY(write_way.masks(map->B))) {
            writing.finish();
            V value = *elem;
            store(value, kept_operand);
            return store_masked<V>(found.cell.elem_slots(), found.cell.number, &value);
          }
        }
        if constexpr (kInKey<Q, T>) {
          writing.finish();
          return store(*elem, kept_operand);
        }
      } else if constexpr (!kIndirect<K> && !kIndirect<V> && std::is_same_v<K, Q>) {
        if (GORT_LIKELY(found.cell && !must_grow(*map))) elem = fill(*map, found.cell, key, hash);
      }
    }
    if (GORT_UNLIKELY(elem == nullptr)) {
      writing.hand_over();
      return assign_slowly(*map, key, hash, operand, store);
    }
    writing.finish();
    store(*elem, operand);
  }

  // --- delete ------------------------------------------------------------------------------------

  template <class Q>
  GORT_ALWAYS_INLINE static bool erase(Header* map, const Q& key) {
    if (GORT_UNLIKELY(map == nullptr || map->count == 0)) return false;
    check_writable(*map);
    const std::uint64_t hash = Hash{}(key, map->hash0);
    WritingScope writing(*map);
    const bool was = GORT_UNLIKELY(map->growing()) ? erase_growing(*map, key, hash)
                                                   : erase_from_chain(*map, key, hash);
    writing.finish();
    return was;
  }

  /// Erases a pair that has been found in a map that is not growing. Asks for no hash, so nothing
  /// can throw. `chain`: the first bucket of the pair's chain.
  GORT_ALWAYS_INLINE static void erase_cell(Header& map, char* chain, const Cell& cell) {
    clear_pair(map, cell);
    mark_empty(chain, cell);
    if (--map.count == 0) map.hash0 = static_cast<std::uint32_t>(random_bits());
  }

  // --- growth ------------------------------------------------------------------------------------

  /// What every write to a growing map does: moves the chain it is about to use, and one more.
  static void grow_work(Header& map, std::size_t bucket) {
    const std::size_t number = bucket & (map.old_bucket_count() - 1);
    prefetch_move(map, number);
    prefetch_move(map, map.nevacuate + 1);  // for the next write
    char* const next = bucket_at(map.oldbuckets, map.nevacuate);
    prefetch_keys(next, Tops::load(next).live());
    evacuate(map, number);
    if (map.growing()) evacuate(map, map.nevacuate);
  }

  /// Adds a pair that stands in another map, with the key and value objects that it has if they are
  /// stored indirectly. The key must not be in this map, which must not grow.
  static void append(Header& map, const Cell& from) {
    const std::uint64_t hash = Hash{}(*from.key(), map.hash0);
    char* bucket = bucket_at(map.buckets, hash & map.mask());
    CellMask empty = Tops::load(bucket).empty();
    while (!empty) {
      char* const next = overflow(bucket);
      bucket = next == nullptr ? add_overflow_bucket(map, type(), bucket) : next;
      empty = Tops::load(bucket).empty();
    }
    const Cell into{bucket, empty.first()};
    Slot<K>::copy(into.key_slot(), from.key_slot());
    Slot<V>::copy(into.elem_slot(), from.elem_slot());
    top_of(into.bucket, into.number) = tophash(hash);
    ++map.count;
  }

  GORT_NOINLINE static void evacuate(Header& map, std::size_t number) {
    char* const old = bucket_at(map.oldbuckets, number);
    if (!Tops::load(old).evacuated()) {
      if (kMovesSafely && GORT_LIKELY(overflow(old) == nullptr)) {
        move_chain(map, number, old);
      } else {
        EvacuationUndo undo(map, type(), number);
        move_chain(map, number, old);
        undo.commit();
      }
      // The copies must not keep alive what is deleted from the new chain. Iterators may need them.
      if (GORT_UNLIKELY((map.load_flags() & kEagerWipe) != 0)) {
        if (!map.old_iterated()) wipe_moved_chain(map, type(), number);
      } else if (!kS.pointer_free && !map.old_iterated()) {
        gc::clear_references(old + kDataOffset, kS.bucket_size - kDataOffset);
      }
    }
    if (number == map.nevacuate) advance_evacuation_mark(map, type());
  }

 private:
  struct Search {
    Cell cell;   ///< of the key if present, else the first free one, if there is any
    char* last;  ///< last bucket of the chain, if no cell is free
    bool present;
  };

  template <class Q>
  GORT_ALWAYS_INLINE static Search search(char* bucket, const Q& key, std::uint64_t hash) {
    const std::uint64_t pattern = Tops::pattern_of(hash);
    Cell free;
    prefetch(bucket, kCacheLine);
    for (;;) {
      const Tops tops = Tops::load(bucket);
      for (CellMask hits = tops.match(pattern); hits; hits.drop_first()) {
        const Cell cell{bucket, hits.first()};
        if (GORT_LIKELY(Traits::equal(*cell.key(), key))) return {cell, bucket, true};
      }
      if (!free) {
        if (const CellMask empty = tops.empty()) free = {bucket, empty.first()};
      }
      char* const next = overflow(bucket);
      if (GORT_LIKELY(next == nullptr) || tops.ends_chain()) return {free, bucket, false};
      bucket = next;
    }
  }

  template <class Q>
  GORT_NOINLINE static bool erase_growing(Header& map, const Q& key, std::uint64_t hash) {
    const Kept<Q> kept_key(key);
    grow_work(map, hash & map.mask());
    return erase_from_chain(map, *kept_key, hash);
  }

  template <class Q>
  GORT_ALWAYS_INLINE static bool erase_from_chain(Header& map, const Q& key, std::uint64_t hash) {
    char* const chain = bucket_at(map.buckets, hash & map.mask());
    prefetch(chain, kCacheLine);
    const Cell cell = find_in_chain(chain, key, hash);
    if (cell) erase_cell(map, chain, cell);
    return static_cast<bool>(cell);
  }

  static bool must_grow(const Header& map) {
    return static_cast<std::size_t>(map.count) + 1 > load_limit(map.B) ||
           too_many_overflow_buckets(map.noverflow, map.B);
  }

  /// Whether an operand of type T may stand in the very key, in its slot, that a key of type Q
  /// overwrites. Then it is copied first: to store the value before the key would not do, since the
  /// new key may stand in the old value.
  template <class Q, class T>
  static constexpr bool kInKey =
      Traits::kNeedsUpdate && !kIndirect<K> && std::is_same_v<K, Q> &&
      (std::is_same_v<T, K> ||
       (std::is_class_v<K> && !std::is_same_v<K, String> && sizeof(T) <= sizeof(K) &&
        std::is_trivially_destructible_v<T> && std::is_copy_constructible_v<T>));

  /// Stores the key again if equal ones may differ. `operand`: from where the value comes next.
  template <class Q>
  static V* overwrite(const Cell& cell, const Q& key, [[maybe_unused]] const void* operand) {
    if constexpr (std::is_same_v<K, Q> && Traits::kNeedsUpdate) {
      if constexpr (kIndirect<K>) {
        const auto* const begin = reinterpret_cast<const char*>(cell.key());
        if (GORT_UNLIKELY(operand >= begin && operand < begin + sizeof(K))) {
          replace_key(cell, key);
          return cell.elem();
        }
      }
      *cell.key() = key;
    }
    return cell.elem();
  }
  /// The new key becomes an object of its own: the operand stands in the old one, and may be too
  /// large for a copy on the stack. Nothing allocates until it has been read, so it stays there.
  GORT_NOINLINE static void replace_key(const Cell& cell, const K& key) {
    const PinnedReferences<K> pins(&key);
    void* const object = gc::allocate_object<K>();
    ::new (object) K(key);
    gc::write_reference(&Slot<K>::word(cell.key_slot()), object);
  }

  /// Puts the key into a free cell; the value's slot is zero.
  static V* fill(Header& map, const Cell& cell, const K& key, std::uint64_t hash) {
    Slot<K>::construct(cell.key_slot(), key);
    top_of(cell.bucket, cell.number) = tophash(hash);
    ++map.count;
    return cell.elem();
  }

  /// The writing flag is set.
  template <class Q, class T, class Store>
  GORT_NOINLINE static void assign_slowly(Header& map, const Q& key, std::uint64_t hash,
                                          const T& operand, const Store& store) {
    WritingScope writing(map);
    write_way.consider(map, kS.bucket_size);
    const Kept<Q> kept_key(key);
    const Kept<T, std::is_same_v<T, V>> kept_operand(operand);
    V* const elem = assign_growing(map, *kept_key, hash, &*kept_operand);
    writing.finish();
    store(*elem, *kept_operand);
  }

  template <class Q>
  static V* assign_growing(Header& map, const Q& key, std::uint64_t hash, const void* operand) {
    if (map.buckets == nullptr) add_first_bucket(map, type());
    for (;;) {
      const std::size_t number = hash & map.mask();
      if (map.growing()) grow_work(map, number);
      const Search found = search(bucket_at(map.buckets, number), key, hash);
      if (found.present) return overwrite(found.cell, key, operand);
      if (!map.growing() && must_grow(map)) {
        start_growth(map, type());
        continue;
      }
      if constexpr (std::is_same_v<K, Q>) {
        return add_pair(map, found, key, hash);
      } else {
        const Kept<K> made{K(key)};
        return add_pair(map, found, *made, hash);
      }
    }
  }

  /// Everything that can fail comes first.
  static V* add_pair(Header& map, const Search& found, const K& key, std::uint64_t hash) {
    [[maybe_unused]] void* key_object = nullptr;
    [[maybe_unused]] void* elem_object = nullptr;
    Pin key_pin;
    Pin elem_pin;
    if constexpr (kIndirect<K>) {
      key_pin.reserve();
      key_object = gc::allocate_object<K>();
      key_pin.hold(key_object);
    }
    if constexpr (kIndirect<V>) {
      elem_pin.reserve();
      elem_object = gc::allocate_object<V>();
      elem_pin.hold(elem_object);
    }
    Cell cell = found.cell;
    if (!cell) cell = {add_overflow_bucket(map, type(), found.last), 0};
    if constexpr (kIndirect<V>) gc::write_reference(&Slot<V>::word(cell.elem_slot()), elem_object);
    if constexpr (kIndirect<K>) {
      ::new (key_object) K(key);
      gc::write_reference(&Slot<K>::word(cell.key_slot()), key_object);
      top_of(cell.bucket, cell.number) = tophash(hash);
      ++map.count;
      return cell.elem();
    } else {
      return fill(map, cell, key, hash);
    }
  }

  /// A deleted key stays where it is, as in Go, unless it holds references. Of a string only the
  /// reference goes (Go's faststr maps; with large values the whole string).
  GORT_ALWAYS_INLINE static void clear_pair(const Header& map, const Cell& cell) {
    constexpr bool kKeepsLength = std::is_same_v<K, String> && !kIndirect<V>;
    if constexpr (kMaskable<V> && (kKeepsLength || !kSlotHasReferences<K> || kMaskable<K>)) {
      if (GORT_UNLIKELY(write_way.masks(map.B))) return clear_pair_masked<kKeepsLength>(cell);
    }
    if constexpr (kKeepsLength) {
      gc::write_reference(&Slot<K>::word(cell.key_slot()), nullptr);
    } else if constexpr (kSlotHasReferences<K>) {
      Slot<K>::clear(cell.key_slot());
    }
    Slot<V>::clear(cell.elem_slot());
  }
  template <bool kKeepsLength>
  GORT_ALWAYS_INLINE static void clear_pair_masked(const Cell& cell) {
    constexpr char kZero[std::max(sizeof(K), sizeof(V))] = {};
    if constexpr (kKeepsLength) {
      std::uint64_t words[2] = {};
      std::memcpy(words, cell.key_slot(), sizeof words);
      words[0] = 0;
      store_masked<K>(cell.key_slots(), cell.number, words);
    } else if constexpr (kSlotHasReferences<K>) {
      store_masked<K>(cell.key_slots(), cell.number, kZero);
    }
    store_masked<V>(cell.elem_slots(), cell.number, kZero);
  }

  /// The cell becomes empty. If nothing is behind it, it says so, and so do the empty cells right
  /// before it, back over the buckets of the chain.
  static void mark_empty(char* chain, Cell cell) {
    char* bucket = cell.bucket;
    const Tops tops = Tops::load(bucket).with(cell.number, kEmptyOne);
    bool ends = false;
    if (GORT_LIKELY(cell.number + 1 < kCells)) {
      ends = tops[cell.number + 1] == kEmptyRest;
    } else {
      char* const next = overflow(bucket);
      ends = next == nullptr || top_of(next, 0) == kEmptyRest;
    }
    if (!ends) return tops.store(bucket);
    if (GORT_LIKELY(static_cast<bool>(tops.live()))) return tops.ending_behind_live().store(bucket);
    // Nothing is left in this bucket; perhaps the one before it ends with empty cells.
    Tops(0).store(bucket);
    while (bucket != chain) {
      char* before = chain;
      while (overflow(before) != bucket) before = overflow(before);
      bucket = before;
      const Tops left = Tops::load(bucket);
      if (left[kCells - 1] != kEmptyOne) return;
      if (left.live()) return left.ending_behind_live().store(bucket);
      Tops(0).store(bucket);
    }
  }

  struct Destination {
    char* bucket;
    std::size_t used;
  };

  /// Moves the pairs of one old chain, in order, to the chain of the same number and, if the map
  /// doubles, the one in the upper half. Holes close up.
  static void move_chain(Header& map, std::size_t number, char* old) {
    const bool same_size = map.same_size_growth();
    const std::size_t split = map.old_bucket_count();
    Destination to[2] = {{bucket_at(map.buckets, number), 0}, {nullptr, 0}};
    if (!same_size) to[1] = {bucket_at(map.buckets, number + split), 0};
    for (char* bucket = old; bucket != nullptr; bucket = overflow(bucket)) {
      const Tops tops = Tops::load(bucket);
      if (GORT_UNLIKELY(tops.has_evacuated_cells())) go_fatal("bad map state");
      if (!same_size) prefetch_keys(bucket, tops.live());
      std::uint64_t moved = Tops::repeat(kEvacuatedEmpty);
      for (CellMask live = tops.live(); live; live.drop_first()) {
        const Cell from{bucket, live.first()};
        std::uint8_t top = tops[from.number];
        const std::size_t upper = same_size ? 0 : goes_up(map, *from.key(), top);
        moved ^= ((kEvacuatedEmpty ^ kEvacuatedX) + upper) << (from.number * 8);
        move_pair(map, from, to[upper], top);
      }
      Tops(moved).store(bucket);
    }
  }
  static_assert((kEvacuatedEmpty ^ kEvacuatedY) == (kEvacuatedEmpty ^ kEvacuatedX) + 1);

  /// Fetches what the evacuation of a chain reads and writes. Before it is known whether the chain
  /// is evacuated: of random chains nobody can predict that, and to wait for the answer would be
  /// another miss one after the other. Even then the key's new chain is wanted.
  GORT_ALWAYS_INLINE static void prefetch_move(const Header& map, std::size_t number) {
    prefetch(bucket_at(map.oldbuckets, number));
    prefetch<1>(bucket_at(map.buckets, number));
    if (!map.same_size_growth()) {
      prefetch<1>(bucket_at(map.buckets, number + map.old_bucket_count()));
    }
  }

  /// Hashing these keys will read memory elsewhere: let all of it come at once.
  static void prefetch_keys([[maybe_unused]] char* bucket, [[maybe_unused]] CellMask live) {
    if constexpr (kIndirect<K> || std::is_same_v<K, String>) {
      for (; live; live.drop_first()) {
        const Cell cell{bucket, live.first()};
        if constexpr (kIndirect<K>) {
          __builtin_prefetch(cell.key());
        } else {
          __builtin_prefetch(cell.key()->data());
        }
      }
    }
  }

  /// 1 if the key goes to the upper half of an array that doubles, else 0. Half of the keys do, at
  /// random: arithmetic instead of branches. A key that does not equal itself (NaN) has no hash to
  /// go by; while an iterator may look at the chain, its tophash decides, and it gets a new one (so
  /// that its moves stay random).
  static std::size_t goes_up(const Header& map, const K& key, std::uint8_t& top) {
    const std::uint64_t hash = Hash{}(key, map.hash0);
    if constexpr (!Traits::kReflexive) {
      if (map.iterated() && !Traits::equal(key, key)) {
        const std::size_t upper = top & 1U;
        top = tophash(hash);
        return upper;
      }
    }
    return hash >> (map.B - 1) & 1U;
  }

  static void move_pair(Header& map, const Cell& from, Destination& to, std::uint8_t top) {
    if (GORT_UNLIKELY(to.used == kCells)) {
      to = {add_overflow_bucket(map, type(), to.bucket), 0};
    }
    const Cell into{to.bucket, to.used++};
    top_of(into.bucket, into.number) = top;
    Slot<K>::copy(into.key_slot(), from.key_slot());
    Slot<V>::copy(into.elem_slot(), from.elem_slot());
  }
};

}  // namespace gort::hashmap
