// String: how it is compared, hashed and printed.

#include <catch2/catch.hpp>

#include <compare>
#include <functional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include <gort/tests/hashmap/samples.h>

using namespace gort;
using namespace gort_test;

TEST_CASE("Strings are ordered by their bytes", "[hashmap][string]") {
  const Runtime runtime;
  const Root<String> low = make<String>("abc");
  const Root<String> high = make<String>("abd");
  CHECK(*low < *high);
  CHECK(*high > *low);
  CHECK(*low <= *low);
  CHECK(std::is_eq(*low <=> *low));
  CHECK(*low != *high);
  CHECK(*low > "abb");  // and any text
  CHECK(*low < std::string("abca"));
  CHECK(std::is_eq(*low <=> std::string_view("abc")));
  CHECK(*low == "abc");
  CHECK(String() < *low);
  CHECK(String::from_static("\x80") > String::from_static("\x7f"));  // unsigned
  CHECK(String::from_static(std::string_view("a\0b", 3)) > "a");     // zero is a byte like others
}

TEST_CASE("equal Strings have equal hashes wherever their bytes are", "[hashmap][string]") {
  const Runtime runtime;
  const Root<String> one = make<String>("the same text");
  const std::string copy = "the same text";
  const String other = String::from_static(copy);
  REQUIRE(one->data() != other.data());
  CHECK(std::hash<String>()(*one) == std::hash<String>()(other));
  CHECK(std::hash<String>()(other) == std::hash<std::string_view>()(copy));
  CHECK(std::hash<String>()(other) != std::hash<String>()("another text"));
}

TEST_CASE("a Ref is hashed as its pointer", "[hashmap][string]") {
  const Runtime runtime;
  const Root<Node> node(make<Node>());
  const Ref<Node> ref(node.get());
  CHECK(std::hash<Ref<Node>>()(ref) == std::hash<Node*>()(node.get()));
}

TEST_CASE("a String is printed as a string_view is", "[hashmap][string]") {
  const Runtime runtime;
  const Root<String> text = make<String>("text");
  CHECK(fmt::format("{}|{:>6}|{:.2}|{}", *text, *text, *text, String()) == "text|  text|te|");
}

// Words that overlap stand for most lengths: none may leave a byte out, or look at one outside.
TEST_CASE("bytes are equal if every one is", "[hashmap][string]") {
  constexpr std::size_t kMost = 40;
  for (std::size_t size = 0; size <= kMost; ++size) {
    CAPTURE(size);
    std::string a(kMost + 2, 'x');
    std::string b(kMost + 2, 'y');  // what is outside differs
    for (std::size_t i = 1; i <= size; ++i) a[i] = b[i] = static_cast<char>(i);
    REQUIRE(equal_bytes(a.data() + 1, b.data() + 1, size));
    for (std::size_t i = 1; i <= size; ++i) {
      CAPTURE(i);
      b[i] = static_cast<char>(b[i] ^ 0x80);
      REQUIRE_FALSE(equal_bytes(a.data() + 1, b.data() + 1, size));
      b[i] = a[i];
    }
  }
}
