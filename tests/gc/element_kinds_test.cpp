// Arrays of every kind of element that holds references, small ones and large ones, and what holds
// none. In each the collector must find every reference, and take nothing else for one: the heaps
// are exact, and objects are counted.

#include <catch2/catch.hpp>

#include <array>
#include <string>
#include <utility>

#include <gort/hashmap/map.h>
#include <gort/tests/gc/heap_fixture.h>

using namespace gort;
using gort_test::ExactHeap;
using gort_test::Node;

namespace {

// References in the first word of its bitmap, at both ends of it, in the second and in the last.
struct Wide {
  Ref<Node> first;
  long a[62] = {};
  Ref<Node> word63;
  Ref<Node> word64;
  long b[70] = {};
  Ref<Node> last;
  GORT_FIELDS(Wide, first, word63, word64, last);
};
static_assert(offsetof(Wide, word63) == 63 * 8 && sizeof(Wide) > 128 * 8);

Node* numbered(long i) {
  Node* node = make<Node>();
  node->value = i;
  return node;
}

// How to fill the zeroed i-th element, which stands in the heap, with what leads to `kObjects`
// objects, and to check it.
template <class T>
struct Element;

template <>
struct Element<Wide> {
  static constexpr std::size_t kObjects = 4;
  static void fill(Wide& wide, long i) {
    for (Ref<Node>* ref : {&wide.first, &wide.word63, &wide.word64, &wide.last}) *ref = numbered(i);
    for (long& word : wide.a) word = i;
  }
  static bool good(const Wide& wide, long i) {
    return wide.first->value == i && wide.word63->value == i && wide.word64->value == i &&
           wide.last->value == i && wide.a[61] == i;
  }
};
template <class T, std::size_t N>
struct Element<std::array<T, N>> {
  static constexpr std::size_t kObjects = N * Element<T>::kObjects;
  static void fill(std::array<T, N>& array, long i) {
    for (T& part : array) Element<T>::fill(part, i++);
  }
  static bool good(const std::array<T, N>& array, long i) {
    bool all = true;
    for (const T& part : array) all = Element<T>::good(part, i++) && all;
    return all;
  }
};
template <>
struct Element<Ref<Node>> {
  static constexpr std::size_t kObjects = 1;
  static void fill(Ref<Node>& ref, long i) { ref = numbered(i); }
  static bool good(const Ref<Node>& ref, long i) { return ref->value == i; }
};
template <class A, class B>
struct Element<std::pair<A, B>> {
  static constexpr std::size_t kObjects = Element<A>::kObjects + Element<B>::kObjects;
  static void fill(std::pair<A, B>& pair, long i) {
    Element<A>::fill(pair.first, i);
    Element<B>::fill(pair.second, -i);
  }
  static bool good(const std::pair<A, B>& pair, long i) {
    return Element<A>::good(pair.first, i) && Element<B>::good(pair.second, -i);
  }
};
template <>
struct Element<char> {
  static constexpr std::size_t kObjects = 0;
  static void fill(char& c, long i) { c = static_cast<char>(i); }
  static bool good(const char& c, long i) { return c == static_cast<char>(i); }
};
template <>
struct Element<String> {
  static constexpr std::size_t kObjects = 1;
  // Not tiny: those share a block.
  static std::string text(long i) { return std::string(30, 'x') + std::to_string(i); }
  static void fill(String& string, long i) { string = String(text(i)); }
  static bool good(const String& string, long i) { return string.view() == text(i); }
};
template <>
struct Element<Map<long, Ref<Node>>> {
  static constexpr std::size_t kObjects = 3;  // header, bucket, value
  static void fill(Map<long, Ref<Node>>& map, long i) {
    map = make_map<long, Ref<Node>>();
    const Root<Node> node(numbered(i));
    map.insert_or_assign(i, node.get());
  }
  static bool good(const Map<long, Ref<Node>>& map, long i) {
    return map.size() == 1 && (*map.find(i))->value == i;
  }
};

}  // namespace

TEMPLATE_TEST_CASE("every reference in an array is followed, whatever its elements are",
                   "[gc][collector]", Wide, (std::array<Wide, 2>), (std::array<Ref<Node>, 3>),
                   (std::array<std::array<Ref<Node>, 2>, 2>), (std::pair<char, Ref<Node>>),
                   (std::pair<Ref<Node>, char>), (std::pair<String, std::array<Ref<Node>, 2>>),
                   String, (Map<long, Ref<Node>>)) {
  const ExactHeap heap;
  // One element, a small array, and one so large that it is scanned in several pieces.
  const std::size_t many = (std::size_t{300} << 10) / sizeof(TestType);
  for (const std::size_t count : {std::size_t{1}, std::size_t{3}, many}) {
    CAPTURE(count);
    auto* const array = make_array<TestType>(count);
    Root<char> keep(reinterpret_cast<char*>(array));
    for (std::size_t i = 0; i < count; ++i) {
      Element<TestType>::fill(array[i], static_cast<long>(i));
    }
    heap.collect();
    std::size_t good = 0;
    for (std::size_t i = 0; i < count; ++i) {
      good += Element<TestType>::good(array[i], static_cast<long>(i)) ? 1U : 0U;
    }
    CHECK(good == count);
    CHECK(heap.objects() == 1 + count * Element<TestType>::kObjects);
    keep = nullptr;
    heap.collect();
    CHECK(heap.objects() == 0);
  }
}

TEST_CASE("objects without references are marked and never looked at", "[gc][marker]") {
  const ExactHeap heap;
  std::vector<Root<char>> roots;
  std::size_t bytes = 0;
  for (const std::size_t size : {1U, 16U, 1000U, 30'000U, 1'000'000U}) {
    roots.emplace_back(make_array<char>(size));
    bytes += size;
  }
  heap.collect();
  const gc::CycleRecord record = gc::collector.last_cycle();
  CHECK(record.scanned == 0);
  CHECK(record.marked >= bytes);
  CHECK(heap.objects() == roots.size());
}
