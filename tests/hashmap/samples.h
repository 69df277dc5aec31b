#pragma once

// Key and value types of every kind that a map tells apart, and a way to make the i-th sample of
// each and to read i back from it. A sample that was copied wrongly, or whose memory was freed,
// gives another number.

#include <array>
#include <bit>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <gort/hashmap/map.h>
#include <gort/hashmap/rules.h>
#include <gort/runtime/mem_stats.h>
#include <gort/runtime/runtime.h>

namespace gort_test {

struct Runtime {
  explicit Runtime(const gort::Options& options = {.gc_percent = -1,
                                                   .conservative_stacks = false}) {
    gort::start(options);
  }
  ~Runtime() { gort::shutdown(); }
};

struct Node {
  gort::Ref<Node> next;
  long value = 0;
  GORT_FIELDS(Node, next);
};

/// A plain key of 12 bytes.
struct Point {
  int x = 0, y = 0, z = 0;
  GORT_PLAIN_KEY();
};

/// Exactly 128 bytes: the largest that stands in the bucket.
struct Bytes128 {
  std::array<long, 16> words{};
  bool operator==(const Bytes128&) const = default;
  GORT_PLAIN_KEY();
};
/// One word more: stored indirectly.
struct Bytes136 {
  std::array<long, 17> words{};
  bool operator==(const Bytes136&) const = default;
  GORT_PLAIN_KEY();
};

/// References among plain data.
struct Mixed {
  long before = 0;
  gort::Ref<Node> node;
  gort::String text;
  long after = 0;
  GORT_FIELDS(Mixed, node, text);
};

/// Large, with references: an object of its own that must be scanned.
struct Wide {
  std::array<long, 20> pad{};
  gort::Ref<Node> node;
  GORT_FIELDS(Wide, node);
  friend bool operator==(const Wide& a, const Wide& b) { return a.pad == b.pad; }
};

enum class Colour : std::uint16_t {};

template <class T>
struct Sample {
  static T make(long i) { return static_cast<T>(i); }
  static long number(const T& x) { return static_cast<long>(x); }
};
template <>
struct Sample<gort::Unit> {
  static gort::Unit make(long) { return {}; }
};
template <>
struct Sample<gort::Ref<Node>> {
  static gort::Ref<Node> make(long i) {
    Node* node = gort::make<Node>();
    node->value = i;
    return node;
  }
  static long number(const gort::Ref<Node>& x) { return x->value; }
};
template <>
struct Sample<gort::String> {
  // Long enough to have a block of its own now and then, and of every length class.
  static std::string text(long i) {
    return std::to_string(i) + std::string(static_cast<std::size_t>(i % 40), 'x');
  }
  static gort::String make(long i) { return gort::String(text(i)); }
  static long number(const gort::String& s) {
    long i = -1;
    std::from_chars(s.data(), s.data() + s.size(), i);
    return s.view() == text(i) ? i : -1;
  }
};
template <>
struct Sample<Point> {
  static Point make(long i) { return {static_cast<int>(i), 7, -static_cast<int>(i)}; }
  static long number(const Point& p) { return p.y == 7 && p.z == -p.x ? p.x : -1; }
};
template <class T>
struct WordsSample {
  static T make(long i) {
    T out;
    out.words.fill(i);
    return out;
  }
  static long number(const T& x) {
    for (const long word : x.words) {
      if (word != x.words[0]) return -1;
    }
    return x.words[0];
  }
};
template <>
struct Sample<Bytes128> : WordsSample<Bytes128> {};
template <>
struct Sample<Bytes136> : WordsSample<Bytes136> {};
template <>
struct Sample<Mixed> {
  static Mixed make(long i) {
    const gort::Root<Node> node(Sample<gort::Ref<Node>>::make(i).get());
    Mixed out;
    out.text = Sample<gort::String>::make(i);
    out.node = node.get();
    out.before = out.after = i;
    return out;
  }
  static long number(const Mixed& m) {
    const long i = m.before;
    const bool whole =
        m.after == i && m.node->value == i && Sample<gort::String>::number(m.text) == i;
    return whole ? i : -1;
  }
};
template <>
struct Sample<Wide> {
  static Wide make(long i) {
    Wide out;
    out.pad.fill(i);
    out.node = Sample<gort::Ref<Node>>::make(i);
    return out;
  }
  static long number(const Wide& w) {
    return w.pad[19] == w.pad[0] && w.node->value == w.pad[0] ? w.pad[0] : -1;
  }
};
template <class A, class B>
struct Sample<std::pair<A, B>> {
  static std::pair<A, B> make(long i) {
    std::pair<A, B> out;
    out.first = Sample<A>::make(i);
    if constexpr (gort::gc::kHasReferences<A>) {
      // The second allocation must not free the first one.
      const gort::Root<const char> keep(reinterpret_cast<const char*>(out.first.data()));
      out.second = Sample<B>::make(i);
    } else {
      out.second = Sample<B>::make(i);
    }
    return out;
  }
  static long number(const std::pair<A, B>& p) {
    const long i = Sample<A>::number(p.first);
    return Sample<B>::number(p.second) == i ? i : -1;
  }
};
template <class T, std::size_t N>
struct Sample<std::array<T, N>> {
  static std::array<T, N> make(long i) {
    std::array<T, N> out;
    out.fill(Sample<T>::make(i));
    return out;
  }
  static long number(const std::array<T, N>& a) {
    for (const T& part : a) {
      if (Sample<T>::number(part) != Sample<T>::number(a[0])) return -1;
    }
    return Sample<T>::number(a[0]);
  }
};

/// For key types that gort cannot hash by itself.
struct SampleHash {
  template <class K>
  std::uint64_t operator()(const K& key, std::uint32_t seed) const {
    return gort::hashmap::hash_word(static_cast<std::uint64_t>(Sample<K>::number(key)), seed);
  }
};

/// Keys that name their place: the low bits are the bucket, and all have one tophash.
struct PlaceHash {
  std::uint64_t operator()(long key, std::uint32_t /*seed*/) const {
    return static_cast<std::uint64_t>(key) | std::uint64_t{0x77} << 56;
  }
};

using LongMap = gort::Map<long, long>;

/// A map of 0 to `count` - 1, each key with the sample of its number: a long with itself.
template <class V = long>
gort::Root<gort::Map<long, V>> filled(long count, std::size_t hint = 0) {
  const gort::Root<gort::Map<long, V>> map = gort::make_map<long, V>(hint);
  for (long i = 0; i < count; ++i) (*map)[i] = Sample<V>::make(i);
  return map;
}

/// Bytes of the objects that are left after a collection.
inline std::size_t heap_bytes() {
  gort::collect();
  return gort::mem_stats().HeapAlloc;
}

/// For a scope in which a test sets the rules of other versions.
struct DefaultRules {
  ~DefaultRules() { gort::set_map_rules({}); }
};

}  // namespace gort_test
