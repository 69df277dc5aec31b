#pragma once

// What the text of a golden trace is in C++: its keys, and the values that go with them. Of a value
// only its size, its references and that it is not zero matter.
//
// clang-format off
//     integers             decimal
//     double               its 64 bits in hexadecimal: that tells NaNs from each other, -0 from +0
//     String               itself, outside the heap: the trace outlives the map
//     Point, two integers  "X/Y"
//     136 bytes            their first eight as an integer; the others are zero. Stored indirectly
//     Ref                  the number that the object begins with
// clang-format on

#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <unordered_map>

#include <fmt/format.h>

#include <gort/gc/allocate.h>
#include <gort/gc/ref.h>
#include <gort/gc/root.h>
#include <gort/hashmap/key_traits.h>
#include <gort/hashmap/string.h>
#include <gort/runtime/runtime.h>

namespace gort::tool {

using Bytes32 = std::array<std::uint8_t, 32>;
using Bytes136 = std::array<std::uint8_t, 136>;

struct Point {
  std::int32_t X;
  std::int32_t Y;
  GORT_PLAIN_KEY();
};

template <class N>
bool parse_number(std::string_view text, N& out, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return error == std::errc() && end == text.data() + text.size();
}
template <class N>
bool parse_pair(std::string_view text, N& first, N& second) {
  const std::size_t slash = text.find('/');
  return slash != std::string_view::npos && parse_number(text.substr(0, slash), first) &&
         parse_number(text.substr(slash + 1), second);
}

template <class K>
struct KeyText {
  static_assert(std::is_integral_v<K>);
  static bool parse(std::string_view text, K& out) { return parse_number(text, out); }
  static std::string text(K key) { return fmt::format("{}", key); }
};
template <>
struct KeyText<double> {
  static bool parse(std::string_view text, double& out) {
    std::uint64_t bits = 0;
    if (text.size() != 16 || !parse_number(text, bits, 16)) return false;
    out = std::bit_cast<double>(bits);
    return true;
  }
  static std::string text(double key) {
    return fmt::format("{:016x}", std::bit_cast<std::uint64_t>(key));
  }
};
template <>
struct KeyText<String> {
  static bool parse(std::string_view text, String& out) {
    out = String::from_static(text);
    return true;
  }
  static std::string text(const String& key) {
    return key.data() == nullptr ? "null" : std::string(key.view());
  }
};
template <>
struct KeyText<Point> {
  static bool parse(std::string_view text, Point& out) { return parse_pair(text, out.X, out.Y); }
  static std::string text(const Point& key) { return fmt::format("{}/{}", key.X, key.Y); }
};
template <>
struct KeyText<std::array<std::int64_t, 2>> {
  using K = std::array<std::int64_t, 2>;
  static bool parse(std::string_view text, K& out) { return parse_pair(text, out[0], out[1]); }
  static std::string text(const K& key) { return fmt::format("{}/{}", key[0], key[1]); }
};
template <>
struct KeyText<Bytes136> {
  static bool parse(std::string_view text, Bytes136& out) {
    std::int64_t number = 0;
    if (!parse_number(text, number)) return false;
    out = {};
    std::memcpy(out.data(), &number, sizeof number);
    return true;
  }
  static std::string text(const Bytes136& key) {
    std::int64_t number = 0;
    std::memcpy(&number, key.data(), sizeof number);
    return fmt::format("{}", number);
  }
};
template <>
struct KeyText<Ref<Bytes32>> {
  static bool parse(std::string_view text, std::uint64_t& number) {
    return parse_number(text, number);
  }
  static std::string text(const Ref<Bytes32>& key) {
    if (key.get() == nullptr) return "null";  // only a broken map shows it
    std::uint64_t number = 0;
    std::memcpy(&number, key->data(), sizeof number);
    return fmt::format("{}", number);
  }
};

/// A key as a recorder writes it: hashes are found by that spelling.
template <class K>
bool is_key_text(std::string_view text) {
  if constexpr (std::is_same_v<K, Ref<Bytes32>>) {
    std::uint64_t number = 0;
    return KeyText<K>::parse(text, number) && fmt::format("{}", number) == text;
  } else if constexpr (std::is_same_v<K, String>) {
    return true;
  } else {
    K key{};
    return KeyText<K>::parse(text, key) && KeyText<K>::text(key) == text;
  }
}

/// The keys of a trace. Objects that keys refer to are made once, before the heap is measured.
template <class K>
class GoldenKeys {
 public:
  void prepare(std::string_view /*text*/) {}
  K get(std::string_view text) const {
    K key{};
    KeyText<K>::parse(text, key);
    return key;
  }
};
template <>
class GoldenKeys<Ref<Bytes32>> {
 public:
  void prepare(std::string_view text) {
    const auto [at, added] = objects_.try_emplace(std::string(text));
    if (!added) return;
    at->second = gort::make<Bytes32>();
    std::uint64_t number = 0;
    KeyText<Ref<Bytes32>>::parse(text, number);
    std::memcpy(at->second->data(), &number, sizeof number);
  }
  Ref<Bytes32> get(std::string_view text) const {
    return Ref<Bytes32>(objects_.at(std::string(text)).get());
  }

 private:
  std::unordered_map<std::string, Root<Bytes32>> objects_;
};

/// The value that goes with a key.
template <class V>
V golden_value(std::string_view key) {
  if constexpr (std::is_integral_v<V>) {
    return 1;
  } else if constexpr (std::is_same_v<V, String>) {
    return String::from_static(key);
  } else if constexpr (std::is_same_v<V, Ref<Bytes32>>) {
    return gort::make<Bytes32>();
  } else {
    return V{};
  }
}

}  // namespace gort::tool
