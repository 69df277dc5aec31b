#pragma once

// What a map must know about a key type besides its hash.

#include <array>
#include <compare>
#include <cstring>
#include <type_traits>
#include <utility>

#include <gort/gc/layout.h>
#include <gort/gc/ref.h>
#include <gort/hashmap/string.h>

/// Inside a struct: it is compared and hashed as the plain bytes it consists of. It must have no
/// padding and no floating-point members (the compiler checks), and holds no references.
#define GORT_PLAIN_KEY()     \
  using GortPlainKey = void; \
  GORT_POINTER_FREE()

namespace gort {

/// The value type of a map that is used as a set: takes no room in the buckets (Go's struct{}).
struct Unit {
  bool operator==(const Unit&) const = default;
  GORT_POINTER_FREE();
};

/// kReflexive: k == k for every key of the type (false if it may hold NaN). An unknown type counts
/// as not reflexive, which is always correct and costs a comparison where it matters, and a way
/// back for each chain that moves if that may throw. kNeedsUpdate: equal keys may still differ (+0
/// and -0, two strings at different addresses), so that an assignment to a present key stores the
/// key again, as Go does.
template <class K>
struct KeyTraits {
  static constexpr bool kReflexive = false;
  static constexpr bool kNeedsUpdate = true;
  static bool equal(const K& a, const K& b) noexcept(noexcept(static_cast<bool>(a == b))) {
    return a == b;
  }
};

template <class K>
requires std::is_integral_v<K> || std::is_enum_v<K>
struct KeyTraits<K> {
  static constexpr bool kReflexive = true;
  static constexpr bool kNeedsUpdate = false;
  static bool equal(K a, K b) noexcept { return a == b; }
};

template <class K>
requires std::is_floating_point_v<K>
struct KeyTraits<K> {
  static constexpr bool kReflexive = false;
  static constexpr bool kNeedsUpdate = true;
  static bool equal(K a, K b) noexcept { return a == b; }
};

template <class T>
struct KeyTraits<Ref<T>> {
  static constexpr bool kReflexive = true;
  static constexpr bool kNeedsUpdate = false;
  static bool equal(const Ref<T>& a, const T* b) noexcept { return a.get() == b; }
};

template <>
struct KeyTraits<String> {
  static constexpr bool kReflexive = true;
  static constexpr bool kNeedsUpdate = true;
  static bool equal(const String& a, const String& b) noexcept {
    return a.size() == b.size() &&
           (a.data() == b.data() || equal_bytes(a.data(), b.data(), b.size()));
  }
  static bool equal(const String& a, std::string_view b) noexcept {
    return a.size() == b.size() && equal_bytes(a.data(), b.data(), b.size());
  }
};

template <class K>
requires requires { typename K::GortPlainKey; }
struct KeyTraits<K> {
  static_assert(std::is_trivially_copyable_v<K> && std::has_unique_object_representations_v<K>,
                "GORT_PLAIN_KEY: equal keys of this type may differ in their bytes (padding or "
                "floating-point members)");
  static constexpr bool kReflexive = true;
  static constexpr bool kNeedsUpdate = false;
  static bool equal(const K& a, const K& b) noexcept { return std::memcmp(&a, &b, sizeof(K)) == 0; }
};

template <class T, std::size_t N>
struct KeyTraits<std::array<T, N>> {
  static constexpr bool kReflexive = KeyTraits<T>::kReflexive;
  static constexpr bool kNeedsUpdate = KeyTraits<T>::kNeedsUpdate;
  static bool equal(const std::array<T, N>& a,
                    const std::array<T, N>& b) noexcept(noexcept(KeyTraits<T>::equal(a[0], b[0]))) {
    for (std::size_t i = 0; i < N; ++i) {
      if (!KeyTraits<T>::equal(a[i], b[i])) return false;
    }
    return true;
  }
};

template <class A, class B>
struct KeyTraits<std::pair<A, B>> {
  static constexpr bool kReflexive = KeyTraits<A>::kReflexive && KeyTraits<B>::kReflexive;
  static constexpr bool kNeedsUpdate = KeyTraits<A>::kNeedsUpdate || KeyTraits<B>::kNeedsUpdate;
  static bool equal(const std::pair<A, B>& a, const std::pair<A, B>& b) noexcept(noexcept(
      KeyTraits<A>::equal(a.first, b.first)) && noexcept(KeyTraits<B>::equal(a.second, b.second))) {
    return KeyTraits<A>::equal(a.first, b.first) && KeyTraits<B>::equal(a.second, b.second);
  }
};

}  // namespace gort
