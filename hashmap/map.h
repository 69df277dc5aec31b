#pragma once

// Map<K, V>: Go's bucket map (up to Go 1.23) for C++, in layout, growth, iteration and misuse.
//
//     auto m = gort::make_map<long, long>(1000);   // room for 1000 pairs
//     m[1] = 2;                                    // m[k] += 1 and ++m[k] work on absent keys too
//     if (long* v = m.find(1)) use(*v);            // valid until the next write to the map
//     bool was = m.erase(1);
//     for (auto [k, v] : m) m.erase(k);            // copies; any write is allowed in the loop
//     auto same = m;                               // one pointer: copies are the same map
//     m = nullptr;                                 // nil map: empty to readers, a write throws
//
// Keys: integers, enums, floats, String, Ref, std::pair and std::array of those, structs with
// GORT_PLAIN_KEY(); others with a hash of their own. Values: whatever a heap object may hold (see
// gc/layout.h) that is meaningful as zero bytes; gort::Unit for a set. Neither's destructor ever
// runs.
//
// A map of String keys is also looked up, written and erased with anything that converts to
// std::string_view; a String is then made only if the key is new.
//
// What a write is given may stand in the map itself: m[b] = *m.find(a), m.erase(it.key()).
//
// Memory never shrinks: see inspect() and docs/ for where deleted pairs' memory is and what brings
// it back.
//
// Errors: std::bad_alloc leaves the map as it was (erase can throw it too, while the map grows).
// std::logic_error "assignment to entry in nil map". Two threads writing at once, or one reading or
// iterating while another writes, is misuse that ends the process if it is noticed.
//
// Thread safety: any number of readers, or one writer.
//
// Writes are inlined wherever they are called, which costs half a kilobyte of code a place: a
// call's instructions are a third of a write to a small map, and in a large one they stand between
// two misses that could overlap.

#include <concepts>
#include <cstddef>
#include <iterator>
#include <string_view>
#include <type_traits>
#include <utility>

#include <gort/base/config.h>
#include <gort/gc/barrier.h>
#include <gort/gc/root.h>
#include <gort/hashmap/growth.h>
#include <gort/hashmap/hash.h>
#include <gort/hashmap/inspect.h>
#include <gort/hashmap/iterator.h>
#include <gort/hashmap/table.h>

namespace gort {

namespace hashmap {

/// Types by which a map of String keys can be addressed without making a String.
template <class Q, class K>
concept Lookup = std::is_same_v<K, String> && !std::is_same_v<Q, String> &&
                 std::is_convertible_v<const Q&, std::string_view>;

}  // namespace hashmap

/// What m[k] gives: assigning to it writes to the map, reading it gives the value or a zero one.
/// `KeyArgument` is const K&, or std::string_view. Not to be kept: it may refer to a temporary key.
template <class K, class V, class Hash, class KeyArgument>
class MapElement {
  using Table = hashmap::Table<K, V, Hash>;

 public:
  MapElement(hashmap::Header* map, KeyArgument key) : map_(map), key_(key) {}
  MapElement(const MapElement&) = default;

  GORT_ALWAYS_INLINE const MapElement& operator=(const V& value) const {
    Table::assign(map_, key_, value, [](V& elem, const V& v) { elem = v; });
    return *this;
  }
  const MapElement& operator=(const MapElement& other) const { return *this = V(other); }

  operator V() const {  // NOLINT(google-explicit-constructor)
    const auto cell = Table::find(map_, key_);
    return cell ? *cell.elem() : V{};
  }

  // Compound assignment: an absent key counts from zero. It is not added if the operation throws.
  const MapElement& operator++() const { return *this += 1; }
  const MapElement& operator--() const { return *this -= 1; }
  template <class U>
  const MapElement& operator+=(const U& x) const {
    return update(x, [](const V& v, const U& y) noexcept(noexcept(v + y)) { return v + y; });
  }
  template <class U>
  const MapElement& operator-=(const U& x) const {
    return update(x, [](const V& v, const U& y) noexcept(noexcept(v - y)) { return v - y; });
  }
  template <class U>
  const MapElement& operator|=(const U& x) const {
    return update(x, [](const V& v, const U& y) noexcept(noexcept(v | y)) { return v | y; });
  }
  template <class U>
  const MapElement& operator&=(const U& x) const {
    return update(x, [](const V& v, const U& y) noexcept(noexcept(v & y)) { return v & y; });
  }

 private:
  /// One lookup, if nothing can come between it and the store; else, as in Go, first the value.
  template <class U, class F>
  GORT_ALWAYS_INLINE const MapElement& update(const U& x, const F& f) const {
    if constexpr (noexcept(static_cast<V>(f(std::declval<const V&>(), x)))) {
      Table::assign(map_, key_, x,
                    [&f](V& elem, const U& operand) { elem = static_cast<V>(f(elem, operand)); });
      return *this;
    } else {
      return *this = static_cast<V>(f(V(*this), x));
    }
  }

  hashmap::Header* map_;
  KeyArgument key_;
};

template <class K, class V, class Hash = DefaultHash<K>>
class Map {
  using Table = hashmap::Table<K, V, Hash>;

 public:
  using GortReference = Map;
  using key_type = K;
  using mapped_type = V;
  using hasher = Hash;
  using iterator = MapIterator<K, V, Hash>;

  constexpr Map() = default;
  constexpr Map(std::nullptr_t) {}  // NOLINT(google-explicit-constructor)
  explicit Map(hashmap::Header* header) noexcept { gc::init_reference(&header_, header); }
  Map(const Map& other) noexcept : Map(other.header()) {}
  Map& operator=(const Map& other) {
    gc::write_reference(&header_, other.header_);
    return *this;
  }
  Map& operator=(std::nullptr_t) { return *this = Map(); }
  ~Map() = default;

  /// nil maps are equal, and copies of one map.
  friend bool operator==(const Map& a, const Map& b) { return a.header_ == b.header_; }
  friend bool operator==(const Map& a, std::nullptr_t) { return a.header_ == nullptr; }
  explicit operator bool() const { return header_ != nullptr; }

  std::size_t size() const {
    return header_ == nullptr ? 0 : static_cast<std::size_t>(header()->count);
  }
  bool empty() const { return size() == 0; }

  /// The value, or null; valid until the next write to the map.
  V* find(const K& key) const { return find_value(key); }
  template <hashmap::Lookup<K> Q>
  V* find(const Q& key) const {
    return find_value(std::string_view(key));
  }
  /// The value, or a zero one: Go's v := m[k].
  V get(const K& key) const { return copy_of(find_value(key)); }
  template <hashmap::Lookup<K> Q>
  V get(const Q& key) const {
    return copy_of(find_value(std::string_view(key)));
  }
  bool contains(const K& key) const { return find(key) != nullptr; }
  template <hashmap::Lookup<K> Q>
  bool contains(const Q& key) const {
    return find(key) != nullptr;
  }

  auto operator[](const K& key) const { return MapElement<K, V, Hash, const K&>(header(), key); }
  template <hashmap::Lookup<K> Q>
  auto operator[](const Q& key) const {
    return MapElement<K, V, Hash, std::string_view>(header(), key);
  }

  /// True if the key is new.
  bool insert_or_assign(const K& key, const V& value) const { return insert(key, value); }
  template <hashmap::Lookup<K> Q>
  bool insert_or_assign(const Q& key, const V& value) const {
    return insert(std::string_view(key), value);
  }

  /// True if the key was there.
  GORT_ALWAYS_INLINE bool erase(const K& key) const { return Table::erase(header(), key); }
  template <hashmap::Lookup<K> Q>
  GORT_ALWAYS_INLINE bool erase(const Q& key) const {
    return Table::erase(header(), std::string_view(key));
  }

  /// Removes every pair, also those whose keys do not equal themselves. The memory stays.
  void clear() const {
    if (header_ != nullptr) hashmap::clear_map(*header(), Table::type());
  }

  iterator begin() const { return iterator(header()); }
  std::default_sentinel_t end() const { return {}; }

  hashmap::Header* header() const { return static_cast<hashmap::Header*>(header_); }
  static const hashmap::MapType& type() { return Table::type(); }

 private:
  template <class Q>
  V* find_value(const Q& key) const {
    const auto cell = Table::find(header(), key);
    return cell ? cell.elem() : nullptr;
  }
  static V copy_of(const V* value) { return value == nullptr ? V{} : *value; }
  template <class Q>
  GORT_ALWAYS_INLINE bool insert(const Q& key, const V& value) const {
    const std::size_t before = size();
    Table::assign(header(), key, value, [](V& elem, const V& v) { elem = v; });
    return size() != before;
  }

  void* header_ = nullptr;
};

namespace hashmap {

/// Calls `f(cell)` for each pair, in the order of the buckets (a Table's Cell). Allocates nothing;
/// `f` must not write to the map.
template <class K, class V, class Hash, class F>
void for_each_cell(const Map<K, V, Hash>& map, F&& f) {
  using Table = Table<K, V, Hash>;
  if (map.empty()) return;
  visit_buckets(*map.header(), Table::type(), [&f](const BucketView& bucket) {
    for (CellMask live = bucket.tops().live(); live; live.drop_first()) {
      f(typename Table::Cell{const_cast<char*>(bucket.address), live.first()});
    }
  });
}

}  // namespace hashmap

/// A new map with room for `hint` pairs before it grows (0: small). Throws std::bad_alloc.
template <class K, class V, class Hash = DefaultHash<K>>
Map<K, V, Hash> make_map(std::size_t hint = 0) {
  return Map<K, V, Hash>(hashmap::new_map(hashmap::map_type<K, V, Hash>(), hint));
}

/// How the map stands, counted by walking over it. Not while another thread writes to it.
template <class K, class V, class Hash>
MapStats inspect(const Map<K, V, Hash>& map) {
  return map == nullptr ? MapStats{} : hashmap::inspect(map.header(), map.type());
}

/// Keeps a map alive from outside the heap:
///     Root<Map<K, V>> root = make_map<K, V>();
///     (*root)[k] = v;
template <class K, class V, class Hash>
class Root<Map<K, V, Hash>> {
  using M = Map<K, V, Hash>;

 public:
  constexpr Root() = default;
  constexpr Root(std::nullptr_t) {}              // NOLINT(google-explicit-constructor)
  Root(const M& map) : header_(map.header()) {}  // NOLINT(google-explicit-constructor)
  Root& operator=(const M& map) {
    header_ = map.header();
    return *this;
  }
  Root& operator=(std::nullptr_t) { return *this = M(); }

  M get() const { return M(header_.get()); }
  operator M() const { return get(); }  // NOLINT(google-explicit-constructor)
  M operator*() const { return get(); }
  auto operator->() const {
    struct Arrow {
      M map;
      const M* operator->() const { return &map; }
    };
    return Arrow{get()};
  }

 private:
  Root<hashmap::Header> header_;
};

}  // namespace gort
