#pragma once

// Iteration, by Go's rules: every pair that is in the map from the beginning to the end of the loop
// is visited exactly once, a deleted pair not yet visited is not visited, an inserted one may or
// may not be. The order starts at a random bucket, and in each bucket at a random cell.
//
// An iterator walks the array that the map had when the loop began, all of it, whatever happens to
// the map meanwhile:
//
//     the map grows in the loop       the snapshot becomes the old array; moved pairs are looked up
//                                     by key in the current table, so that their current values are
//                                     seen and deleted ones are left out
//     the map was growing already     a bucket whose old chain is not evacuated yet is read from
//                                     the old chain, taking only the pairs that will go to it
//     a key that does not equal       cannot be looked up nor deleted nor changed, so the old copy
//     itself (NaN)                    is as good as the moved one
//     the table is rebuilt            as if the map had grown (policies.h)
//
//     the map becomes empty           all that was there at the beginning is gone, and the seed is
//                                     another one: moved pairs are left out from then on
//
// One exception is Go's: clear() makes the spare overflow buckets of the array spare again, also
// the one in which a loop stands. Once another chain has it, a pair inserted into that chain may
// come twice: from where the loop stands, and when it comes to the chain.
//
// In two things this is stricter than Go. Moved pairs of a map with another seed are left out: so a
// NaN deleted by clear() does not come any more (golang/go#70189, mended in Go for 1.24), nor does
// a loop in a moved chain come by its old key to a pair that was inserted since elsewhere and has
// its own turn. And an old chain stands for a bucket only in the growth that was under way when the
// loop began. (Go asks for the same B, and may read an old chain of a later growth.)
//
// That the old copies still exist is the work of the flags kIterator and kOldIterator: evacuation
// does not clear old chains while they are set. They stay set until the next growth, since nobody
// knows when a loop ends (but for maps with wipe_eagerly(), which count their iterators).
//
// Without conservative stack scanning nothing but roots keeps alive what the loop walks on, also
// when the map itself is dropped within it: therefore the pins.

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <utility>

#include <gort/base/config.h>
#include <gort/base/fatal.h>
#include <gort/hashmap/pin.h>
#include <gort/hashmap/rules.h>
#include <gort/hashmap/table.h>
#include <gort/hashmap/writing.h>

namespace gort::hashmap {

/// Go's hiter: twelve words (but for the cells that are done, which MapIterator keeps).
struct IteratorState {
  void* key = nullptr;   ///< key object of the current pair; null at the end
  void* elem = nullptr;  ///< value object of the current pair
  const MapType* type = nullptr;
  Header* map = nullptr;
  void* buckets = nullptr;      ///< the array when the iteration began
  char* bucket = nullptr;       ///< current bucket
  void* overflow = nullptr;     ///< keeps overflow buckets of pointer-free buckets alive
  void* oldoverflow = nullptr;  ///< likewise
  std::size_t start_bucket = 0;
  std::uint8_t offset = 0;  ///< cell where each bucket begins
  bool wrapped = false;     ///< went from the last bucket to bucket 0
  std::uint8_t B = 0;       ///< of the map when the iteration began
  std::uint32_t hash0 = 0;  ///< likewise
  std::size_t next_bucket = 0;
  std::size_t check_bucket = 0;  ///< take only pairs that belong to this bucket; or kNoCheck
};
static_assert(sizeof(IteratorState) == 12 * kWordSize);

inline constexpr std::size_t kNoCheck = ~std::size_t{0};

/// How a map knows of an iterator: by the flags, or, with wipe_eagerly(), by the count of those
/// that live. From the eighth on it is the flags again.
class IteratorMark {
 public:
  IteratorMark() = default;
  IteratorMark(const IteratorMark& other) {
    if (other.counted_by_ != nullptr) set(*other.counted_by_);
  }
  IteratorMark(IteratorMark&& other) noexcept
      : counted_by_(std::exchange(other.counted_by_, nullptr)) {}
  IteratorMark& operator=(IteratorMark other) noexcept {
    std::swap(counted_by_, other.counted_by_);
    return *this;
  }
  ~IteratorMark() {
    if (GORT_UNLIKELY(counted_by_ != nullptr)) take_back();
  }
  GORT_API void set(Header& map);

 private:
  GORT_API void take_back();
  Header* counted_by_ = nullptr;
};

/// Begins an iteration over `map` (not null, not empty): everything but the first step. May
/// allocate.
GORT_API void start_iteration(IteratorState& state, Header& map, const MapType& type);

}  // namespace gort::hashmap

namespace gort {

/// One pair, copied out of the map: what happens to the map in the loop does not change it.
template <class K, class V>
struct MapPair {
  K key;
  V value;
};

/// Input iterator over a map; the end is std::default_sentinel.
template <class K, class V, class Hash>
class MapIterator {
  using Table = hashmap::Table<K, V, Hash>;

 public:
  using value_type = MapPair<K, V>;
  using difference_type = std::ptrdiff_t;
  using iterator_concept = std::input_iterator_tag;

  MapIterator() = default;
  explicit MapIterator(hashmap::Header* map) {
    if (map == nullptr || map->count == 0) return;
    pins_[0].hold(map);
    hashmap::start_iteration(state_, *map, Table::type());
    mark_.set(*map);
    pins_[1].hold(state_.buckets);
    pins_[2].hold(state_.overflow);
    pins_[3].hold(state_.oldoverflow);
    hashmap::check_iterable(*map);
    advance();
  }
  MapIterator(const MapIterator&) = default;
  MapIterator(MapIterator&&) noexcept = default;
  MapIterator& operator=(MapIterator other) noexcept {
    std::swap(state_, other.state_);
    std::swap(pending_, other.pending_);
    std::swap(live_, other.live_);
    std::swap(word_, other.word_);
    std::swap(pins_, other.pins_);
    std::swap(mark_, other.mark_);
    return *this;  // `other` gives back its mark while its map is still pinned
  }
  ~MapIterator() = default;

  const K& key() const { return *static_cast<const K*>(state_.key); }
  V& value() const { return *static_cast<V*>(state_.elem); }
  MapPair<K, V> operator*() const { return {key(), value()}; }
  MapIterator& operator++() {
    step();
    return *this;
  }
  void operator++(int) { step(); }
  friend bool operator==(const MapIterator& it, std::default_sentinel_t) {
    return it.state_.key == nullptr;
  }

 private:
  using Cell = typename Table::Cell;

  /// Buckets from the one entered to the one fetched ahead. How many pairs a bucket has nobody can
  /// predict, so its tophash bytes are waited for; the processor's own prefetching stops at pages.
  static constexpr std::size_t kAhead = 4;

  /// The growth that was under way when the iteration began still is.
  bool began_in_this_growth() const {
    return state_.map->growing() && state_.buckets == state_.map->buckets;
  }

  /// The next bucket to walk, from the snapshot or from the old chain that still stands for it;
  /// false if all are done.
  bool enter_next_bucket() {
    hashmap::IteratorState& s = state_;
    if (s.next_bucket == s.start_bucket && s.wrapped) return false;
    s.bucket = Table::bucket_at(s.buckets, s.next_bucket);
    s.check_bucket = hashmap::kNoCheck;
    Table::prefetch(s.bucket + kAhead * Table::kS.bucket_size);
    // What was walked last need not outlive its growth.
    if (GORT_UNLIKELY(pins_[4].target() != nullptr)) pins_[4].hold(nullptr);
    if (GORT_UNLIKELY(began_in_this_growth())) {
      const std::size_t number = s.next_bucket & (s.map->old_bucket_count() - 1);
      char* const old = Table::bucket_at(s.map->oldbuckets, number);
      if (!hashmap::Tops::load(old).evacuated()) {
        s.bucket = old;
        if (!s.map->same_size_growth()) s.check_bucket = s.next_bucket;
        pins_[4].hold(old);
      }
    }
    if (++s.next_bucket == std::size_t{1} << s.B) {
      s.next_bucket = 0;
      s.wrapped = true;
    }
    pending_ = hashmap::CellMask::all();
    return true;
  }

  GORT_ALWAYS_INLINE void step() {
    using namespace hashmap;
    check_iterable(*state_.map);
    CellMask behind = live_;
    behind.drop_first();
    if (behind && Tops::load(state_.bucket).word() == word_) {
      live_ = behind;
      set_current(behind.first());
    } else {
      advance();
    }
  }

  /// The next pair, if it is not the next in live_.
  GORT_NOINLINE void advance() {
    using namespace hashmap;
    IteratorState& s = state_;
    if (live_) pending_ = live_.behind_first();
    live_ = CellMask(0);
    for (;;) {
      if (s.bucket == nullptr && !enter_next_bucket()) {
        s.key = nullptr;
        return;
      }
      // An evacuated bucket has no live cells, the others no moved ones.
      const Tops unrotated = Tops::load(s.bucket);
      const Tops tops = unrotated.rotated(s.offset);
      CellMask live = pending_ & tops.live();
      if (GORT_LIKELY(s.check_bucket == kNoCheck)) {
        if (live) {
          live_ = live;
          word_ = unrotated.word();
          set_current(live.first());
          return;
        }
      } else {
        for (; live; live.drop_first()) {
          pending_ = live.behind_first();
          if (belongs_here(cell_at(live.first()))) {
            set_current(live.first());
            return;
          }
        }
      }
      if (GORT_UNLIKELY(tops.has_evacuated_cells()) && step_moved(tops)) return;
      s.bucket = Table::overflow(s.bucket);
      // clear() cuts it from its chain; of pointer-free ones the lists keep hold, and the old array
      // may go.
      if (GORT_UNLIKELY(s.bucket != nullptr) &&
          (!Table::kS.pointer_free || pins_[4].target() != nullptr)) {
        pins_[4].hold(s.bucket);
      }
      pending_ = CellMask::all();
    }
  }

  GORT_NOINLINE bool step_moved(hashmap::Tops tops) {
    while (pending_) {
      const std::size_t i = pending_.first();
      pending_.drop_first();
      if (hashmap::is_moved(tops[i]) && take_moved(i)) return true;
    }
    return false;
  }

  /// Cell `i` of the current bucket, counted from state_.offset.
  Cell cell_at(std::size_t i) const {
    return {state_.bucket, (i + state_.offset) & (hashmap::kCells - 1)};
  }
  void set_current(const Cell& cell) {
    state_.key = cell.key();
    state_.elem = cell.elem();
  }
  void set_current(std::size_t i) { set_current(cell_at(i)); }

  /// While walking the old chain of a growth to twice the size: does the pair go to the bucket that
  /// is being visited? What decides for a moved cell decides for NaN too, the lowest bit.
  bool belongs_here(const Cell& cell) const {
    const hashmap::IteratorState& s = state_;
    const std::uint8_t top = hashmap::top_of(cell.bucket, cell.number);
    static_assert((hashmap::kEvacuatedX & 1U) == 0 && (hashmap::kEvacuatedY & 1U) == 1);
    const K& k = *cell.key();
    if (hashmap::is_moved(top) || (!KeyTraits<K>::kReflexive && !KeyTraits<K>::equal(k, k))) {
      return s.check_bucket >> (s.B - 1) == (top & 1U);
    }
    const std::size_t mask = (std::size_t{1} << s.B) - 1;
    return (Hash{}(k, s.map->hash0) & mask) == s.check_bucket;
  }

  bool take_moved(std::size_t i) {
    if (state_.hash0 != state_.map->hash0) return false;
    const Cell old = cell_at(i);
    if (state_.check_bucket != hashmap::kNoCheck && !belongs_here(old)) return false;
    Cell now = old;
    if (KeyTraits<K>::kReflexive || KeyTraits<K>::equal(*old.key(), *old.key())) {
      now = Table::find(state_.map, *old.key());
      if (!now) return false;
    }
    set_current(now);
    return true;
  }

  hashmap::IteratorState state_;
  /// Cells of the current bucket still to visit, counted from state_.offset. Which of them are live
  /// is asked at each step, as a pair may be inserted or deleted meanwhile.
  hashmap::CellMask pending_ = hashmap::CellMask::all();
  /// The answer, which holds as long as the bucket's tophash bytes are word_: the current cell, and
  /// those behind it that are live. Stands for pending_ unless it is empty. Masks, as this is the
  /// one thing that each step waits for.
  hashmap::CellMask live_{0};
  std::uint64_t word_ = 0;
  std::array<hashmap::Pin, 5> pins_;  // map, buckets, both lists, current bucket
  hashmap::IteratorMark mark_;        // given back before the map's pin
};

}  // namespace gort
