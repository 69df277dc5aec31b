#pragma once

// Two simple ways to share a map, beside SyncMap.
//
//     LockedMap     a map and a readers-writer lock: every operation takes it. Fair to all
//                   mixtures; readers on many cores share the lock's cache line
//     SnapshotMap   readers look at a complete map that never changes; a writer copies it, changes
//                   the copy and swaps it in. Reading costs one load more than a plain map, a
//                   write costs the whole map; rebuilding, clearing and replacing it are one swap
//
// Both lie outside the heap and cannot be copied. Values are returned as copies.
// Thread safety: all operations from any attached thread.

#include <cstddef>
#include <mutex>
#include <optional>
#include <shared_mutex>

#include <gort/hashmap/atomic_reference.h>
#include <gort/hashmap/map.h>
#include <gort/hashmap/policies.h>
#include <gort/hashmap/waiting_lock.h>

namespace gort {

template <class K, class V, class Hash = DefaultHash<K>>
class LockedMap {
 public:
  explicit LockedMap(std::size_t hint = 0) : map_(make_map<K, V, Hash>(hint)) {}
  LockedMap(const LockedMap&) = delete;
  LockedMap& operator=(const LockedMap&) = delete;

  std::optional<V> load(const K& key) const {
    const std::shared_lock guard(lock_);
    const V* const value = map_.get().find(key);
    return value == nullptr ? std::nullopt : std::optional<V>(*value);
  }
  bool contains(const K& key) const { return load(key).has_value(); }
  std::size_t size() const {
    const std::shared_lock guard(lock_);
    return map_.get().size();
  }
  /// True if the key is new.
  bool store(const K& key, const V& value) {
    const std::lock_guard guard(lock_);
    return map_.get().insert_or_assign(key, value);
  }
  /// True if the key was there.
  bool erase(const K& key) {
    const std::lock_guard guard(lock_);
    return map_.get().erase(key);
  }
  void clear() {
    const std::lock_guard guard(lock_);
    map_.get().clear();
  }
  /// Calls `f(map)` while nobody else uses the map.
  template <class F>
  decltype(auto) with_lock(F&& f) {
    const std::lock_guard guard(lock_);
    return f(map_.get());
  }
  /// Calls `f(key, value)` for the pairs, until it returns false, with writers kept out.
  template <class F>
  void range(F&& f) const {
    const std::shared_lock guard(lock_);
    for (const auto& [key, value] : map_.get()) {
      if (!f(key, value)) return;
    }
  }

 private:
  Root<Map<K, V, Hash>> map_;
  mutable hashmap::WaitingSharedLock lock_;
};

template <class K, class V, class Hash = DefaultHash<K>>
class SnapshotMap {
  using M = Map<K, V, Hash>;
  struct State {
    hashmap::AtomicReference<hashmap::Header> current;
    GORT_FIELDS(State, current);
  };

 public:
  SnapshotMap() : state_(make<State>()) { state_->current.init(make_map<K, V, Hash>().header()); }
  SnapshotMap(const SnapshotMap&) = delete;
  SnapshotMap& operator=(const SnapshotMap&) = delete;

  /// The pairs as of now. Nobody changes this map any more, and the caller must not either.
  M snapshot() const { return M(state_->current.load()); }

  std::optional<V> load(const K& key) const {
    const V* const value = snapshot().find(key);
    return value == nullptr ? std::nullopt : std::optional<V>(*value);
  }
  bool contains(const K& key) const { return snapshot().find(key) != nullptr; }
  std::size_t size() const { return snapshot().size(); }

  /// Calls `f(map)` with a copy, which then takes the place of the current map: readers see all of
  /// its changes or none. An exception changes nothing.
  template <class F>
  void update(F&& f) {
    const std::lock_guard guard(lock_);
    const Root<M> copy = copy_of(snapshot());
    f(copy.get());
    state_->current.exchange(copy.get().header());
  }
  /// Puts `map`, which the caller gives away, in place of the current one.
  void replace(const M& map) {
    const Root<M> kept = map;
    const std::lock_guard guard(lock_);
    state_->current.exchange(map.header());
  }
  void store(const K& key, const V& value) {
    const hashmap::PinnedReferences<K> pinned_key(&key);
    const hashmap::PinnedReferences<V> pinned_value(&value);
    update([&](const M& map) { map.insert_or_assign(key, value); });
  }
  bool erase(const K& key) {
    const hashmap::PinnedReferences<K> pinned_key(&key);
    bool was = false;
    update([&](const M& map) { was = map.erase(key); });
    return was;
  }
  void clear() { replace(make_map<K, V, Hash>()); }

 private:
  static M copy_of(const M& from) {
    const Root<M> copy = make_map<K, V, Hash>(from.size());
    for (const auto& [key, value] : from) copy.get().insert_or_assign(key, value);
    return copy.get();
  }

  Root<State> state_;
  hashmap::WaitingLock lock_;
};

}  // namespace gort
