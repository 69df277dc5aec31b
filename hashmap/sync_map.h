#pragma once

// SyncMap<K, V>: Go's sync.Map up to 1.23 (src/sync/map.go). Readers of keys that are there take no
// lock; for keys that are written once and read often, or for threads that use different keys.
//
//     state --read----> ReadOnly { map: K -> Entry, amended }   never changed once it is published
//           --dirty---> map: K -> Entry                          only under the lock; nil at times
//
//     Entry.value       a box: the value. null: deleted. kExpunged: deleted, and not in dirty
//     amended           dirty has keys that read.map has not
//     dirty != nil      every entry of read.map that is not expunged is in dirty, the same Entry
//
// Values change by compare-and-swap in the Entry, whichever map leads to it. A new key goes to
// dirty, which is made by copying read.map; entries deleted by then become expunged and are not
// copied. When readers have missed read.map as often as dirty has keys, dirty becomes the new
// read.map: only then the keys of deleted entries are gone.
//
// Lies outside the heap and cannot be copied. Values are returned as copies.
// Thread safety: all operations from any attached thread. Errors: std::bad_alloc changes nothing,
// nor does what a hash throws.

#include <cstddef>
#include <mutex>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

#include <gort/hashmap/atomic_reference.h>
#include <gort/hashmap/map.h>
#include <gort/hashmap/policies.h>
#include <gort/hashmap/waiting_lock.h>

namespace gort {

template <class K, class V, class Hash = DefaultHash<K>>
class SyncMap {
  struct Box {
    V value;
    GORT_FIELDS(Box, value);
  };
  struct Entry {
    hashmap::AtomicReference<Box> value;
    GORT_FIELDS(Entry, value);
  };
  using M = Map<K, Ref<Entry>, Hash>;
  using Table = hashmap::Table<K, Ref<Entry>, Hash>;
  struct ReadOnly {
    M map;
    bool amended = false;
    GORT_FIELDS(ReadOnly, map);
  };
  struct State {
    hashmap::AtomicReference<ReadOnly> read;
    M dirty;
    GORT_FIELDS(State, read, dirty);
  };

 public:
  SyncMap() : state_(make<State>()) { state_->read.init(make<ReadOnly>()); }
  SyncMap(const SyncMap&) = delete;
  SyncMap& operator=(const SyncMap&) = delete;

  std::optional<V> load(const K& key) const { return value_at(find(key)); }
  template <hashmap::Lookup<K> Q>
  std::optional<V> load(const Q& key) const {
    return value_at(find(std::string_view(key)));
  }
  bool contains(const K& key) const { return load(key).has_value(); }
  template <hashmap::Lookup<K> Q>
  bool contains(const Q& key) const {
    return load(key).has_value();
  }

  void store(const K& key, const V& value) { swap(key, value); }

  /// Stores, and returns what was there.
  std::optional<V> swap(const K& key, const V& value) {
    const Operand operand(key, &value);
    const hashmap::Pin box(new_box(value));
    if (Entry* const entry = find_in(read()->map, key)) {
      Box* old = entry->value.load();
      while (old != expunged()) {
        if (entry->value.cas(old, target(box))) return value_of(old);
      }
    }
    const std::lock_guard guard(lock_);
    Box* const old = entry_to_write(key)->value.exchange(target(box));
    return value_of(old);
  }

  /// The value that is there, or `value`, which is then stored; and whether it was there.
  std::pair<V, bool> load_or_store(const K& key, const V& value) {
    if (const std::optional<V> there = value_at(find_in(read()->map, key))) return {*there, true};
    const Operand operand(key, &value);
    const std::lock_guard guard(lock_);
    if (const std::optional<V> there = value_at(find_locked(key))) return {*there, true};
    const hashmap::Pin box(new_box(value));
    Entry* const entry = entry_to_write(key);
    Box* old = nullptr;
    // Others may write to the entry by way of read.map.
    while (old == nullptr) {
      if (entry->value.cas(old, target(box))) return {value, false};
    }
    return {old->value, true};
  }

  /// Deletes, and returns what was there.
  std::optional<V> load_and_delete(const K& key) { return take_out(key); }
  template <hashmap::Lookup<K> Q>
  std::optional<V> load_and_delete(const Q& key) {
    return take_out(std::string_view(key));
  }
  /// True if the key was there.
  bool erase(const K& key) { return take_out(key).has_value(); }
  template <hashmap::Lookup<K> Q>
  bool erase(const Q& key) {
    return take_out(std::string_view(key)).has_value();
  }

  /// Stores `desired` if the value there equals `expected`.
  bool compare_and_swap(const K& key, const V& expected, const V& desired) {
    const Operand operand(key, &desired);
    const hashmap::PinnedReferences<V> pinned_expected(&expected);
    const hashmap::Pin entry_pin(find(key));
    Entry* const entry = static_cast<Entry*>(entry_pin.target());
    if (entry == nullptr) return false;
    Box* old = entry->value.load();
    if (old == nullptr || old == expunged() || !(old->value == expected)) return false;
    const hashmap::Pin box(new_box(desired));
    old = entry->value.load();
    while (old != nullptr && old != expunged() && old->value == expected) {
      if (entry->value.cas(old, target(box))) return true;
    }
    return false;
  }
  /// Deletes the pair if the value there equals `expected`.
  bool compare_and_delete(const K& key, const V& expected) {
    const Operand operand(key, &expected);
    Entry* const entry = find(key);
    if (entry == nullptr) return false;
    Box* old = entry->value.load();
    while (old != nullptr && old != expunged() && old->value == expected) {
      if (entry->value.cas(old, nullptr)) return true;
    }
    return false;
  }

  /// Calls `f(key, value)` for the pairs, until it returns false. No snapshot: each key is visited
  /// at most once, with its value at that moment or some other of the length of the call.
  template <class F>
  void range(F&& f) const {
    if (read()->amended) {
      const std::lock_guard guard(lock_);
      if (read()->amended) promote();
    }
    const M map = read()->map;
    for (const auto& [key, entry] : map) {
      const std::optional<V> value = value_of(entry->value.load());
      if (value && !f(key, *value)) return;
    }
  }

  void clear() {
    const std::lock_guard guard(lock_);
    if (read()->map.empty() && !read()->amended) return;
    state_->read.exchange(make<ReadOnly>());
    state_->dirty.clear();
    misses_ = 0;
  }

  /// Keys that the two maps hold, deleted ones included: for tests and reports.
  std::pair<std::size_t, std::size_t> keys_held() const {
    const std::lock_guard guard(lock_);
    return {read()->map.size(), state_->dirty.size()};
  }

 private:
  // Keeps alive what key and value refer to, while the operation allocates.
  struct Operand {
    Operand(const K& key, const V* value) : pinned_key(&key), pinned_value(value) {}
    hashmap::PinnedReferences<K> pinned_key;
    hashmap::PinnedReferences<V> pinned_value;
  };

  // Not in the heap, so the collector does not follow it.
  static Box* expunged() {
    alignas(Box) static constinit std::byte mark[sizeof(Box)]{};
    return reinterpret_cast<Box*>(mark);
  }
  static Box* new_box(const V& value) {
    Box* const box = make<Box>();
    box->value = value;
    return box;
  }
  static Box* target(const hashmap::Pin& pin) { return static_cast<Box*>(pin.target()); }
  static std::optional<V> value_of(const Box* box) {
    if (box == nullptr || box == expunged()) return std::nullopt;
    return box->value;
  }
  static std::optional<V> value_at(const Entry* entry) {
    return entry == nullptr ? std::nullopt : value_of(entry->value.load());
  }
  template <class Q>
  static Entry* find_in(const M& map, const Q& key) {
    const Ref<Entry>* const entry = map.find(key);
    return entry == nullptr ? nullptr : entry->get();
  }

  const ReadOnly* read() const { return state_->read.load(); }

  template <class Q>
  Entry* find(const Q& key) const {
    const ReadOnly* const seen = read();
    Entry* entry = find_in(seen->map, key);
    if (entry != nullptr || !seen->amended) return entry;
    lock_.lock(key);
    const std::lock_guard guard(lock_, std::adopt_lock);
    // dirty may have become read.map before the lock was ours.
    const ReadOnly* const now = read();
    entry = find_in(now->map, key);
    if (entry == nullptr && now->amended) {
      entry = find_in(state_->dirty, key);
      count_miss();
    }
    return entry;
  }

  template <class Q>
  std::optional<V> take_out(const Q& key) {
    hashmap::Pin pin;
    Entry* entry = find_in(read()->map, key);
    if (entry == nullptr && read()->amended) {
      lock_.lock(key);
      const std::lock_guard guard(lock_, std::adopt_lock);
      entry = find_in(read()->map, key);
      if (entry == nullptr && read()->amended) {
        entry = find_in(state_->dirty, key);
        pin.hold(entry);
        state_->dirty.erase(key);
        count_miss();
      }
    }
    if (entry == nullptr) return std::nullopt;
    Box* old = entry->value.load();
    while (old != nullptr && old != expunged()) {
      if (entry->value.cas(old, nullptr)) return value_of(old);
    }
    return std::nullopt;
  }

  // --- under the lock ---

  /// The key's entry, in whichever map; a miss if that is dirty.
  Entry* find_locked(const K& key) const {
    Entry* const entry = find_in(read()->map, key);
    if (entry != nullptr) return entry;
    Entry* const unread = find_in(state_->dirty, key);
    if (unread != nullptr) count_miss();
    return unread;
  }

  /// The key's entry, not expunged, made if need be.
  Entry* entry_to_write(const K& key) {
    const ReadOnly* const now = read();
    if (Entry* const entry = find_in(now->map, key)) {
      if (entry->value.load() == expunged()) {
        state_->dirty.insert_or_assign(key, Ref<Entry>(entry));
        Box* old = expunged();
        entry->value.cas(old, nullptr);
      }
      return entry;
    }
    if (Entry* const entry = find_in(state_->dirty, key)) return entry;
    if (!now->amended) {
      make_dirty();
      ReadOnly* const amended = make<ReadOnly>();
      amended->map = read()->map;
      amended->amended = true;
      state_->read.exchange(amended);
    }
    const hashmap::Pin added(make<Entry>());
    state_->dirty.insert_or_assign(key, Ref<Entry>(static_cast<Entry*>(added.target())));
    return static_cast<Entry*>(added.target());
  }

  void make_dirty() {
    if (state_->dirty != nullptr) return;
    const M from = read()->map;
    const Root<M> copy = make_map<K, Ref<Entry>, Hash>(from.size());
    for (const auto& [key, entry] : from) copy->insert_or_assign(key, entry);
    evacuate(copy.get());
    // From here on nothing can throw, no hash is asked for either: an expunged entry asks for a
    // dirty that it is not in.
    hashmap::Header& header = *copy.get().header();
    hashmap::visit_buckets(header, Table::type(), [&header](const hashmap::BucketView& bucket) {
      char* const chain = Table::bucket_at(header.buckets, bucket.number);
      for (auto live = bucket.tops().live(); live; live.drop_first()) {
        const typename Table::Cell cell{const_cast<char*>(bucket.address), live.first()};
        Entry& entry = **cell.elem();
        Box* value = entry.value.load();
        while (value == nullptr && !entry.value.cas(value, expunged())) {
        }
        if (value == nullptr) Table::erase_cell(header, chain, cell);
      }
    });
    state_->dirty = copy.get();
  }

  // Without memory the next miss promotes.
  void count_miss() const {
    if (++misses_ < state_->dirty.size()) return;
    try {
      promote();
    } catch (const std::bad_alloc&) {
    }
  }
  void promote() const {
    ReadOnly* const promoted = make<ReadOnly>();
    promoted->map = state_->dirty;
    state_->read.exchange(promoted);
    state_->dirty = nullptr;
    misses_ = 0;
  }

  Root<State> state_;
  mutable hashmap::WaitingLock lock_;
  mutable std::size_t misses_ = 0;  // guard: lock_
};

}  // namespace gort
