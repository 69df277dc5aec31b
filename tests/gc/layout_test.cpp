#include <catch2/catch.hpp>

#include <gort/gc/layout.h>
#include <gort/gc/ref.h>

using namespace gort;
using namespace gort::gc;

namespace {

struct Node {
  Ref<Node> left, right;
  long value = 0;
  GORT_FIELDS(Node, left, right);
};
// Types of one size with references in the same words share a layout, and the name of the first.
// No other test has one like this.
struct Named {
  long before[41];
  Ref<Node> reference;
  long after[2];
  GORT_FIELDS(Named, reference);
};
struct Mixed {
  int number = 0;
  Ref<Node> one;
  std::array<Ref<Node>, 2> two;
  Node nested;
  double tail = 0;
  GORT_FIELDS(Mixed, one, two, nested);
};
struct Plain {
  char name[24];
  GORT_POINTER_FREE();
};
class Private {
 public:
  GORT_FIELDS(Private, hidden_, number_);

 private:
  long number_ = 0;
  Ref<Node> hidden_;
};
struct Wide {
  Ref<Node> refs[100];
  GORT_FIELDS(Wide, refs);
};

// Derived classes, and whether gort may guess where their references are.
struct AddsReference : Node {
  Ref<Node> more;
};
struct AddsReferenceToPlain : Plain {
  Ref<Node> more;
};
struct MovesBase : Node {
  virtual ~MovesBase() = default;
};
struct AddsReferenceToRef : Ref<Node> {
  Ref<Node> more;
};
struct NamesBaseOnly : Node {
  Ref<Node> more;
  GORT_FIELDS(Node, left, right);
};
struct PromisesTooMuch : Node {
  long more = 0;
  GORT_POINTER_FREE();
};
struct alignas(16) Padded {
  long number = 0;
  Padded() {}
  GORT_POINTER_FREE();
};
struct AddsReferenceInPadding : Padded {
  Ref<Node> more;
};
struct AddsNothing : Node {
  long twice() const { return 2 * value; }
};
struct AddsNothingToPlain : Plain {};
struct AddsNothingToRef : Ref<Node> {};
struct Derived : Node {
  virtual ~Derived() = default;
  Ref<Node> more;
  GORT_FIELDS(Derived, left, right, more);
};
struct DerivedFromPlain : Plain {
  Ref<Node> more;
  GORT_FIELDS(DerivedFromPlain, more);
};
struct PlainTwice : Plain {
  long number = 0;
  GORT_POINTER_FREE();
};
template <class T>
struct Pair {
  T first, second;
  GORT_FIELDS(Pair, first, second);
};

template <class T>
constexpr bool described() {
  return gc::detail::IsReference<T> || gc::detail::HasFields<T> || gc::detail::IsPointerFree<T>;
}

template <class T>
std::vector<std::size_t> reference_words() {
  std::vector<std::size_t> words;
  for (std::size_t w = 0; w < sizeof(T) / 8; ++w) {
    if (bits::test(kReferenceBits<T>.bits.data(), w)) words.push_back(w);
  }
  return words;
}

}  // namespace

TEST_CASE("GORT_FIELDS gives the words of the named members", "[gc][layout]") {
  CHECK(reference_words<Node>() == std::vector<std::size_t>{0, 1});
  CHECK(reference_words<Mixed>() == std::vector<std::size_t>{1, 2, 3, 4, 5});
  CHECK(kHasReferences<Mixed>);
}

TEST_CASE("types without references are pointer-free at compile time", "[gc][layout]") {
  STATIC_REQUIRE_FALSE(kHasReferences<long>);
  STATIC_REQUIRE_FALSE(kHasReferences<std::array<double, 100>>);
  STATIC_REQUIRE_FALSE(kHasReferences<Plain>);
  STATIC_REQUIRE_FALSE(kHasReferences<std::pair<int, char>>);
  CHECK(layout_id<Plain>() == kNoReferences);
}

TEST_CASE("pairs and arrays have their elements' references", "[gc][layout]") {
  CHECK(reference_words<std::pair<int, Ref<Node>>>() == std::vector<std::size_t>{1});
  CHECK(reference_words<std::array<Node, 2>>() == std::vector<std::size_t>{0, 1, 3, 4});
  CHECK(reference_words<Wide>().size() == 100);
  CHECK(reference_words<Private>() == std::vector<std::size_t>{1});
}

TEST_CASE("what a base class says is not said of a derived one that adds something",
          "[gc][layout]") {
  CHECK_FALSE(described<AddsReference>());
  CHECK_FALSE(described<AddsReferenceToPlain>());
  CHECK_FALSE(described<MovesBase>());
  CHECK_FALSE(described<AddsReferenceToRef>());
  CHECK_FALSE(described<NamesBaseOnly>());
  CHECK_FALSE(described<PromisesTooMuch>());
  // The compiler may put the reference into the base's padding: in as many bytes.
  STATIC_REQUIRE(sizeof(AddsReferenceInPadding) == sizeof(Padded));
  CHECK_FALSE(described<AddsReferenceInPadding>());
}

TEST_CASE("a derived class names inherited members, or adds nothing", "[gc][layout]") {
  STATIC_REQUIRE_FALSE(std::is_standard_layout_v<Derived>);
  CHECK(reference_words<Derived>() == std::vector<std::size_t>{1, 2, 4});
  CHECK(reference_words<DerivedFromPlain>() == std::vector<std::size_t>{3});
  CHECK(reference_words<AddsNothing>() == std::vector<std::size_t>{0, 1});
  CHECK(reference_words<AddsNothingToRef>() == std::vector<std::size_t>{0});
  CHECK(reference_words<Pair<AddsNothing>>() == std::vector<std::size_t>{0, 1, 3, 4});
  CHECK(reference_words<const Node>() == std::vector<std::size_t>{0, 1});
  STATIC_REQUIRE_FALSE(kHasReferences<PlainTwice>);
  STATIC_REQUIRE_FALSE(kHasReferences<AddsNothingToPlain>);
  STATIC_REQUIRE_FALSE(kHasReferences<const PlainTwice>);
}

TEST_CASE("equal layouts have one id, different ones two", "[gc][layout]") {
  const std::uint64_t two = 0b11000;
  const std::uint64_t one = 0b01000;
  const LayoutId a = intern_layout(7 * 8, &two, "a");
  CHECK(intern_layout(7 * 8, &two, "b") == a);
  CHECK(intern_layout(7 * 8, &one, "c") != a);
  CHECK(intern_layout(8 * 8, &two, "d") != a);
  CHECK(intern_layout(7 * 8, &two, "e", LayoutKind::bucket) != a);
  CHECK(layout(a).size == 56);
  CHECK(layout(a).words == 7);
  CHECK(layout(a).references == 2);
  CHECK(layout(a).mask == 0b11000);
  CHECK(std::string(layout(a).name) == "a");
}

TEST_CASE("a layout without references is no layout", "[gc][layout]") {
  const std::uint64_t none = 0;
  CHECK(intern_layout(64, &none, "none") == kNoReferences);
  // A map header has references or not, but it must be found again.
  CHECK(intern_layout(64, &none, "header", LayoutKind::map_header) != kNoReferences);
}

TEST_CASE("ids stay valid while hundreds of layouts are added", "[gc][layout]") {
  const std::uint64_t bits[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  const LayoutId first = intern_layout(8, bits, "first");
  const Layout* address = &layout(first);
  for (std::size_t words = 2; words < 500; ++words) {
    const LayoutId id = intern_layout(words * 8, bits, "many");
    REQUIRE(layout(id).size == words * 8);
  }
  CHECK(&layout(first) == address);
  CHECK(layout(first).size == 8);
}

TEST_CASE("types are named as they are written", "[gc][layout]") {
  CHECK(std::string(type_name<char>()) == "char");
  CHECK(std::string(type_name<std::pair<int, char>>()) == "std::pair<int, char>");
  CHECK(std::string(layout(layout_id<Named>()).name).find("::Named") != std::string::npos);
}
