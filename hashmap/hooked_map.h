#pragma once

// HookedMap<K, V>: a map that tells when a pair leaves it, and when one is added.
//
//     gort::HookedMap<long, gort::Ref<Conn>> open(
//         {.on_delete = [](long id, auto& c) { log(id); }});
//
// A hook gets the key as it stood in the map and the value, as copies: the pair is already out of
// the map, and the map is not being written to, so the hook may read it, iterate over it and
// allocate. Writing to it from its own hook is refused with std::logic_error, whether directly or
// through calls: the loop that erases and the hook that erases again would feed each other.
//
//     erase           on_delete, if the key was there
//     overwriting     no hook: the key stays
//     clear           on_delete for each pair, when all are gone
//
// clear() is that of the map inside: the array stays, and loops under way end. With an on_delete it
// first copies the pairs, into a map that nobody else sees; if there is no memory for that, it
// throws std::bad_alloc, nothing is cleared and no hook called.
//
// An exception out of a hook goes to the caller; the change itself stays done (of a clear(), the
// rest of the pairs is not reported).
//
// Lies outside the heap, holds its map by a root. Thread safety: one thread at a time when writing.

#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <gort/hashmap/map.h>

namespace gort {

template <class K, class V, class Hash = DefaultHash<K>>
class HookedMap {
  using M = Map<K, V, Hash>;
  using Table = hashmap::Table<K, V, Hash>;

 public:
  struct Hooks {
    std::function<void(const K&, const V&)> on_delete = {};
    std::function<void(const K&, const V&)> on_insert = {};
  };

  explicit HookedMap(Hooks hooks, std::size_t hint = 0)
      : hooks_(std::move(hooks)), map_(make_map<K, V, Hash>(hint)) {}
  HookedMap(const HookedMap&) = delete;
  HookedMap& operator=(const HookedMap&) = delete;

  std::size_t size() const { return map_.get().size(); }
  bool empty() const { return size() == 0; }
  V* find(const K& key) const { return map_.get().find(key); }
  template <hashmap::Lookup<K> Q>
  V* find(const Q& key) const {
    return map_.get().find(key);
  }
  bool contains(const K& key) const { return find(key) != nullptr; }
  template <hashmap::Lookup<K> Q>
  bool contains(const Q& key) const {
    return find(key) != nullptr;
  }
  auto begin() const { return map_.get().begin(); }
  std::default_sentinel_t end() const { return {}; }

  /// True if the key is new.
  bool insert_or_assign(const K& key, const V& value) {
    refuse_reentry();
    if (!hooks_.on_insert) return map_.get().insert_or_assign(key, value);
    const hashmap::Kept<K> kept_key(key);
    const hashmap::Kept<V> kept_value(value);
    const bool added = map_.get().insert_or_assign(*kept_key, *kept_value);
    if (added) call(hooks_.on_insert, *kept_key, *kept_value);
    return added;
  }

  /// True if the key was there.
  bool erase(const K& key) { return take_out(key); }
  template <hashmap::Lookup<K> Q>
  bool erase(const Q& key) {
    return take_out(std::string_view(key));
  }

  void clear() {
    refuse_reentry();
    const M map = map_.get();
    const Root<M> gone = hooks_.on_delete ? copy_of(map) : M();
    map.clear();
    if (gone.get() == nullptr) return;
    hashmap::for_each_cell(gone.get(), [this](const auto& cell) {
      call(hooks_.on_delete, *cell.key(), *cell.elem());
    });
  }

 private:
  template <class Q>
  bool take_out(const Q& key) {
    refuse_reentry();
    const M map = map_.get();
    const auto cell = Table::find(map.header(), key);
    if (!cell) return false;
    const K old_key = *cell.key();
    const V old_value = *cell.elem();
    const hashmap::PinnedReferences<K> pin_key(&old_key);
    const hashmap::PinnedReferences<V> pin_value(&old_value);
    map.erase(old_key);
    call(hooks_.on_delete, old_key, old_value);
    return true;
  }

  // The same pairs; keys and values that are stored indirectly are the same objects. Nil if there
  // are none.
  static M copy_of(const M& from) {
    if (from.empty()) return {};
    const Root<M> copy = make_map<K, V, Hash>(from.size());
    hashmap::Header& to = *copy.get().header();
    if (to.buckets == nullptr) hashmap::add_first_bucket(to, Table::type());
    hashmap::for_each_cell(from, [&to](const auto& cell) { Table::append(to, cell); });
    return copy.get();
  }

  void refuse_reentry() const {
    if (in_hook_) throw std::logic_error("gort::HookedMap: a hook must not write to its own map");
  }
  void call(const std::function<void(const K&, const V&)>& hook, const K& key, const V& value) {
    if (!hook) return;
    struct InHook {
      bool& flag;
      explicit InHook(bool& f) : flag(f) { flag = true; }
      ~InHook() { flag = false; }
    } const in_hook(in_hook_);
    hook(key, value);
  }

  Hooks hooks_;
  Root<M> map_;
  bool in_hook_ = false;
};

}  // namespace gort
