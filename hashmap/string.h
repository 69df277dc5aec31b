#pragma once

// String: Go's string. Two words, a pointer to the bytes and their number; the bytes never change,
// so copies share them. They stand in pointer-free heap memory and live as long as a String in a
// live object (or on a scanned stack) refers to them, or outside the heap for ever (from_static).
//
// Not terminated by a zero byte. Any bytes, zero included; nothing assumes UTF-8.

#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string_view>

#include <fmt/format.h>

#include <gort/base/config.h>
#include <gort/gc/layout.h>
#include <gort/gc/ref.h>

namespace gort {

namespace hashmap {

template <class Word>
GORT_ALWAYS_INLINE bool equal_words(const char* a, const char* b) {
  Word x, y;
  std::memcpy(&x, a, sizeof x);
  std::memcpy(&y, b, sizeof y);
  return x == y;
}

}  // namespace hashmap

/// memcmp(a, b, size) == 0, without a call up to 16 bytes, where most keys are.
inline bool equal_bytes(const char* a, const char* b, std::size_t size) {
  using hashmap::equal_words;
  if (size > 16) return std::memcmp(a, b, size) == 0;
  // Two words that overlap in the middle cover every length between one word and two.
  if (size >= 8) {
    return equal_words<std::uint64_t>(a, b) &&
           equal_words<std::uint64_t>(a + size - 8, b + size - 8);
  }
  if (size >= 4) {
    return equal_words<std::uint32_t>(a, b) &&
           equal_words<std::uint32_t>(a + size - 4, b + size - 4);
  }
  return size == 0 || (a[0] == b[0] && a[size / 2] == b[size / 2] && a[size - 1] == b[size - 1]);
}

class String {
 public:
  constexpr String() = default;
  /// Copies the bytes into the heap. Throws std::bad_alloc. May collect.
  GORT_API String(std::string_view bytes);  // NOLINT(google-explicit-constructor)
  String(const char* terminated) : String(std::string_view(terminated)) {}  // NOLINT
  /// Refers to bytes outside the heap, which must never change nor go away: a literal.
  static String from_static(std::string_view bytes) {
    String s;
    s.data_ = bytes.data();
    s.length_ = static_cast<long>(bytes.size());
    return s;
  }

  const char* data() const { return data_.get(); }
  std::size_t size() const { return static_cast<std::size_t>(length_); }
  bool empty() const { return length_ == 0; }
  std::string_view view() const { return {data(), size()}; }
  operator std::string_view() const { return view(); }  // NOLINT(google-explicit-constructor)

  friend bool operator==(const String& a, const String& b) { return a.view() == b.view(); }
  friend auto operator<=>(const String& a, const String& b) { return a.view() <=> b.view(); }
  template <class T>
  requires std::is_convertible_v<const T&, std::string_view> &&
      (!std::is_same_v<T, String>)friend bool
      operator==(const String& a, const T& b) {
    return a.view() == std::string_view(b);
  }
  template <class T>
  requires std::is_convertible_v<const T&, std::string_view> &&
      (!std::is_same_v<T, String>)friend auto
      operator<=>(const String& a, const T& b) {
    return a.view() <=> std::string_view(b);
  }

 private:
  Ref<const char> data_;
  long length_ = 0;

 public:
  GORT_FIELDS(String, data_);
};
static_assert(sizeof(String) == 16);

}  // namespace gort

template <>
struct std::hash<gort::String> {
  std::size_t operator()(const gort::String& s) const noexcept {
    return std::hash<std::string_view>()(s.view());
  }
};

template <>
struct fmt::formatter<gort::String> : fmt::formatter<std::string_view> {
  template <class Context>
  auto format(const gort::String& s, Context& context) const {
    return fmt::formatter<std::string_view>::format(s.view(), context);
  }
};
