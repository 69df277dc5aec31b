#pragma once

// ShrinkingMap<K, V>: a map that gives memory back by itself, a little at each write.
//
// A shrink begins when the map holds less than a quarter of what its array allows, seen at two
// checks in a row, and never below the array of the hint it was made with. After a check the next
// one comes with a quarter as many writes as there were pairs (16 at least): so a dip that so few
// writes make good does not count, and on the way from a quarter to a hundredth there are
// checks enough whatever the phase. It makes a second, smaller map with room for twice the pairs;
// each write then moves eight chains to it, in all about the pairs that two chains of a growth have
// (the array is a quarter full at most), and when all are moved the large map is dropped. Between
// two shrinks of an array there are more writes than pairs to move, so they cost a fixed share of
// the writes; a map that is emptied and filled in turns pays it each time, unless its hint says how
// large it will be.
//
//     at rest      draining_ == nil,  every pair in map_
//     shrinking    every pair in map_ or in draining_, never in both; chains of draining_ below
//                  next_chain_ are empty; no pair is ever added to draining_
//
// Iterators are counted: while one exists no shrink begins, and begin() first finishes one that is
// under way. A ShrinkingMap is not a pointer like Map: it lies outside the heap, holds its maps by
// roots, and cannot be copied.
//
// Errors: std::bad_alloc and what a hash throws, as for Map; a shrink that cannot have its smaller
// map does not begin, and one that cannot go on waits for the next write (begin() throws).
// Thread safety: any number of readers, or one writer; begin() is a write.

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <new>
#include <string_view>

#include <gort/hashmap/map.h>
#include <gort/hashmap/policies.h>

namespace gort {

template <class K, class V, class Hash = DefaultHash<K>>
class ShrinkingMap {
  using M = Map<K, V, Hash>;
  using Table = hashmap::Table<K, V, Hash>;
  static_assert(KeyTraits<K>::kReflexive,
                "gort::ShrinkingMap: a key that does not equal itself (NaN) could not be moved");

 public:
  explicit ShrinkingMap(std::size_t hint = 0)
      : map_(make_map<K, V, Hash>(hint)), least_log2_(map_.get().header()->B) {}
  ShrinkingMap(const ShrinkingMap&) = delete;
  ShrinkingMap& operator=(const ShrinkingMap&) = delete;

  std::size_t size() const { return map_.get().size() + draining_.get().size(); }
  bool empty() const { return size() == 0; }
  bool shrinking() const { return draining_.get() != nullptr; }
  /// The map that pairs are added to; for inspect().
  M current() const { return map_.get(); }
  M draining() const { return draining_.get(); }

  V* find(const K& key) const { return find_value(key); }
  template <hashmap::Lookup<K> Q>
  V* find(const Q& key) const {
    return find_value(std::string_view(key));
  }
  bool contains(const K& key) const { return find(key) != nullptr; }
  template <hashmap::Lookup<K> Q>
  bool contains(const Q& key) const {
    return find(key) != nullptr;
  }

  /// True if the key is new.
  bool insert_or_assign(const K& key, const V& value) {
    const M map = map_.get();
    if (GORT_LIKELY(!shrinking())) {
      const bool added = map.insert_or_assign(key, value);
      count_write();
      return added;
    }
    // What can throw comes before anything is changed: the search, then the insert. The old pair,
    // where the key or the value may stand, goes last.
    hashmap::Header& old = *draining_.get().header();
    const std::uint64_t hash = Hash{}(key, old.hash0);
    char* const chain = Table::bucket_at(old.buckets, hash & old.mask());
    Table::prefetch(chain, hashmap::kCacheLine);
    const auto cell = Table::find_in_chain(chain, key, hash);
    const bool added = map.insert_or_assign(key, value);
    if (cell) Table::erase_cell(old, chain, cell);
    move_on();
    return added && !cell;
  }

  /// True if the key was there.
  bool erase(const K& key) { return take_out(key); }
  template <hashmap::Lookup<K> Q>
  bool erase(const Q& key) {
    return take_out(std::string_view(key));
  }

  void clear() {
    draining_ = nullptr;
    map_.get().clear();
  }

  /// Counts itself among the map's iterators; otherwise the iterator of a Map.
  class iterator {
   public:
    using value_type = MapPair<K, V>;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    explicit iterator(ShrinkingMap& owner) : owner_(&owner), at_(owner.map_.get().begin()) {
      ++owner_->iterators_;
    }
    iterator(const iterator& other) : owner_(other.owner_), at_(other.at_) { ++owner_->iterators_; }
    iterator& operator=(const iterator&) = delete;
    ~iterator() { --owner_->iterators_; }

    MapPair<K, V> operator*() const { return *at_; }
    iterator& operator++() {
      ++at_;
      return *this;
    }
    void operator++(int) { ++at_; }
    friend bool operator==(const iterator& it, std::default_sentinel_t end) {
      return it.at_ == end;
    }

   private:
    ShrinkingMap* owner_;
    typename M::iterator at_;
  };

  iterator begin() {
    while (shrinking()) move_chains(~std::size_t{0});
    return iterator(*this);
  }
  std::default_sentinel_t end() const { return {}; }

 private:
  static constexpr std::size_t kChainsPerWrite = 8;
  static constexpr std::size_t kLeastInterval = 16;  // writes

  template <class Q>
  V* find_value(const Q& key) const {
    V* const value = map_.get().find(key);
    return value != nullptr || !shrinking() ? value : draining_.get().find(key);
  }
  template <class Q>
  bool take_out(const Q& key) {
    const bool was = map_.get().erase(key) || (shrinking() && draining_.get().erase(key));
    if (shrinking()) {
      move_on();
    } else {
      count_write();
    }
    return was;
  }

  void count_write() {
    if (GORT_UNLIKELY(--until_check_ == 0)) check();
  }

  // Is the map small enough for the second time, and may it shrink?
  void check() {
    const hashmap::Header& header = *map_.get().header();
    const std::size_t count = size();
    until_check_ = count / 4 > kLeastInterval ? count / 4 : kLeastInterval;
    const bool low = header.B > least_log2_ && count < hashmap::load_limit(header.B) / 4;
    low_checks_ = low ? low_checks_ + 1 : 0;
    if (low_checks_ < 2 || iterators_ > 0 || header.growing()) return;
    low_checks_ = 0;
    const std::size_t least = hashmap::load_limit(least_log2_);
    try {
      const M smaller = make_map<K, V, Hash>(2 * count > least ? 2 * count : least);
      draining_ = map_.get();
      map_ = smaller;
      next_chain_ = 0;
    } catch (const std::bad_alloc&) {
      draining_ = nullptr;  // the large map stays
    }
  }

  // What the caller asked for is done. If there is no memory for more, or a hash throws, the next
  // write moves on.
  void move_on() {
    try {
      move_chains(kChainsPerWrite);
    } catch (...) {
    }
  }

  void move_chains(std::size_t budget) {
    const M from = draining_.get();
    if (from == nullptr) return;
    hashmap::Header& header = *from.header();
    while (budget-- > 0 && next_chain_ < header.bucket_count() && header.count > 0) {
      char* const chain = Table::bucket_at(header.buckets, next_chain_);
      for (char* bucket = chain; bucket != nullptr; bucket = Table::overflow(bucket)) {
        for (auto live = hashmap::Tops::load(bucket).live(); live; live.drop_first()) {
          const typename Table::Cell cell{bucket, live.first()};
          map_.get().insert_or_assign(*cell.key(), *cell.elem());
          Table::erase_cell(header, chain, cell);  // at once, so that the pair is never in both
        }
      }
      ++next_chain_;
    }
    if (next_chain_ == header.bucket_count() || header.count == 0) draining_ = nullptr;
  }

  Root<M> map_;
  Root<M> draining_;
  std::size_t next_chain_ = 0;
  std::size_t until_check_ = kLeastInterval;  // writes
  std::size_t iterators_ = 0;
  int low_checks_ = 0;
  std::uint8_t least_log2_;
};

}  // namespace gort
