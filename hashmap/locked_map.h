#pragma once

// Two simple ways to share a map, beside SyncMap.
//
//     LockedMap     a map and a readers-writer lock: every operation takes it. A writer that waits
//                   goes before readers that come later; readers on many cores share the lock's
//                   cache line. On request a background thread finishes its growths when writes
//                   have stopped
//     SnapshotMap   readers look at a complete map that never changes; a writer copies it, changes
//                   the copy and swaps it in. Reading costs one load more than a plain map, a
//                   write costs the whole map; rebuilding, clearing and replacing it are one swap
//
// Both lie outside the heap and cannot be copied. Values are returned as copies.
// Thread safety: all operations from any attached thread.

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stdexcept>

#include <gort/base/clock.h>
#include <gort/gc/world.h>
#include <gort/hashmap/atomic_reference.h>
#include <gort/hashmap/evacuator.h>
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
  ~LockedMap() { hashmap::evacuator.remove(growth_); }

  /// From now on the background evacuator finishes a growth when nobody has written for a
  /// millisecond or two: up to `budget` at a time, holding the lock for that long (evacuator.h).
  void evacuate_in_background(EvacuationBudget budget = {}) {
    hashmap::evacuator.add(growth_);
    const Writing writing(*this);
    growth_.budget = budget;
    growth_.wanted = true;
  }
  /// Moves up to `budget` chains of a growth under way. Returns how many are left to walk.
  std::size_t evacuate(std::size_t budget) {
    const Writing writing(*this);
    return gort::evacuate(map_.get(), budget);
  }

  std::optional<V> load(const K& key) const { return value_at(key); }
  template <hashmap::Lookup<K> Q>
  std::optional<V> load(const Q& key) const {
    return value_at(std::string_view(key));
  }
  bool contains(const K& key) const { return load(key).has_value(); }
  template <hashmap::Lookup<K> Q>
  bool contains(const Q& key) const {
    return load(key).has_value();
  }
  std::size_t size() const {
    const hashmap::SharedGuard guard(lock_);
    return map_.get().size();
  }
  /// True if the key is new.
  bool store(const K& key, const V& value) {
    const Writing writing(*this, key, value);
    return map_.get().insert_or_assign(key, value);
  }
  /// True if the key was there.
  bool erase(const K& key) {
    const Writing writing(*this, key);
    return map_.get().erase(key);
  }
  template <hashmap::Lookup<K> Q>
  bool erase(const Q& key) {
    const Writing writing(*this);
    return map_.get().erase(key);
  }
  void clear() {
    const Writing writing(*this);
    map_.get().clear();
  }
  /// Calls `f(map)` while nobody else uses the map. `f` writes to that map; a write by way of this
  /// LockedMap throws std::logic_error.
  template <class F>
  decltype(auto) with_lock(F&& f) {
    const Writing writing(*this);
    const hashmap::HeldLock held(lock_);
    return f(map_.get());
  }
  /// True while a growth is under way.
  bool growing() const {
    const hashmap::SharedGuard guard(lock_);
    return map_.get().header()->growing();
  }
  /// How the map stands; writers are kept out meanwhile.
  MapStats stats() const {
    const hashmap::SharedGuard guard(lock_);
    return inspect(map_.get());
  }
  /// Calls `f(key, value)` for the pairs, until it returns false, with writers kept out. `f` may
  /// read this LockedMap; a write throws std::logic_error.
  template <class F>
  void range(F&& f) const {
    const hashmap::SharedGuard guard(lock_);
    for (const auto& [key, value] : map_.get()) {
      if (!f(key, value)) return;
    }
  }

 private:
  using M = Map<K, V, Hash>;

  template <class Q>
  std::optional<V> value_at(const Q& key) const {
    const hashmap::SharedGuard guard(lock_, key);
    const V* const value = map_.get().find(key);
    return value == nullptr ? std::nullopt : std::optional<V>(*value);
  }

  // What the evacuator knows of the map. Guard of its fields: lock_.
  struct Growth final : hashmap::Evacuator::Client {
    explicit Growth(LockedMap& map) : owner(map) {}

    bool step() override {
      // Long enough for readers to end that hold the lock for a lookup. Not without a limit:
      // writers may wait for the evacuator while they hold the lock, and other maps wait for their
      // turn.
      constexpr std::int64_t kWaitNs = 200'000;
      if (!owner.lock_.try_lock_for(kWaitNs)) return false;
      const std::lock_guard guard(owner.lock_, std::adopt_lock);
      const M map = owner.map_.get();
      if (!map.header()->growing()) {
        this->not_due();
        return false;
      }
      if (writes != writes_seen) {
        writes_seen = writes;
        return false;
      }
      try {
        return move(map);
      } catch (...) {
        // No memory, or the program's hash threw: the map is as it was; the next write asks again.
        this->not_due();
        return false;
      }
    }

    bool move(const M& map) {
      constexpr std::size_t kPiece = 4;
      const std::int64_t end = now_ns() + budget.ns;
      for (std::size_t left = budget.chains; left > 0;) {
        const std::size_t piece = left < kPiece ? left : kPiece;
        if (gort::evacuate(map, piece) == 0) {
          this->not_due();
          return true;
        }
        left -= piece;
        gc::world.poll(*gc::World::current());
        if (now_ns() >= end) break;
      }
      return true;
    }

    LockedMap& owner;
    EvacuationBudget budget;
    bool wanted = false;
    std::uint64_t writes = 0;
    std::uint64_t writes_seen = 0;
  };

  // The lock, for a write: on the way out the evacuator is told of a growth under way.
  class Writing {
   public:
    template <class... T>
    explicit Writing(LockedMap& map, const T&... operands) : map_(map) {
      if (GORT_UNLIKELY(hashmap::HeldLock::is_held(map.lock_))) {
        throw std::logic_error("gort::LockedMap: a write within range() or with_lock()");
      }
      map.lock_.lock(operands...);
    }
    ~Writing() {
      const std::lock_guard guard(map_.lock_, std::adopt_lock);
      Growth& growth = map_.growth_;
      if (GORT_LIKELY(!growth.wanted)) return;
      ++growth.writes;
      if (map_.map_.get().header()->growing() && !growth.due()) {
        hashmap::evacuator.announce(growth);
      }
    }
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;

   private:
    LockedMap& map_;
  };

  Root<M> map_;
  mutable hashmap::WaitingSharedLock lock_;
  Growth growth_{*this};
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

  std::optional<V> load(const K& key) const { return copy_of(snapshot().find(key)); }
  template <hashmap::Lookup<K> Q>
  std::optional<V> load(const Q& key) const {
    return copy_of(snapshot().find(key));
  }
  bool contains(const K& key) const { return snapshot().contains(key); }
  template <hashmap::Lookup<K> Q>
  bool contains(const Q& key) const {
    return snapshot().contains(key);
  }
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
  template <hashmap::Lookup<K> Q>
  bool erase(const Q& key) {
    bool was = false;
    update([&](const M& map) { was = map.erase(key); });
    return was;
  }
  void clear() { replace(make_map<K, V, Hash>()); }

 private:
  static std::optional<V> copy_of(const V* value) {
    return value == nullptr ? std::nullopt : std::optional<V>(*value);
  }
  static M copy_of(const M& from) {
    const Root<M> copy = make_map<K, V, Hash>(from.size());
    for (const auto& [key, value] : from) copy.get().insert_or_assign(key, value);
    return copy.get();
  }

  Root<State> state_;
  hashmap::WaitingLock lock_;
};

}  // namespace gort
