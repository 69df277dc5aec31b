#include <catch2/catch.hpp>

#include <array>
#include <set>
#include <thread>
#include <vector>

#include <gort/alloc/span_class.h>
#include <gort/tests/support/child.h>

// The table of span classes: what is in it at first, and how it grows.

using namespace gort;
using namespace gort::alloc;
using gort_test::require;

TEST_CASE("two base span classes for every size class, numbered as in Go", "[alloc][span_class]") {
  CHECK(kBaseSpanClasses == 2 * kSizeClassCount);
  std::set<SpanClass> numbers;
  for (std::size_t c = 1; c < kSizeClassCount; ++c) {
    for (const bool noscan : {false, true}) {
      const SpanClass span_class = base_span_class(c, noscan);
      CAPTURE(c, noscan);
      CHECK(span_class == (c << 1 | (noscan ? 1U : 0U)));  // Go's makeSpanClass
      CHECK(numbers.insert(span_class).second);
      const SpanClassInfo& info = span_class_info(span_class);
      CHECK(info.size_class == c);
      CHECK(info.noscan == noscan);
      CHECK(info.described == !noscan);  // any layout may be in a scan span: a tag a slot
      CHECK(info.tag == 0);
      CHECK(info.reference_mask == 0);
      CHECK(&size_class_info(span_class) == &kSizeClasses[c]);
    }
  }
  CHECK(*numbers.rbegin() < kBaseSpanClasses);
}

TEST_CASE("the first two span classes are those of large objects", "[alloc][span_class]") {
  CHECK(kLargeScan == base_span_class(0, false));
  CHECK(kLargeNoscan == base_span_class(0, true));
  CHECK(span_class_info(kLargeScan).size_class == 0);
  CHECK_FALSE(span_class_info(kLargeScan).noscan);
  CHECK(span_class_info(kLargeNoscan).noscan);
  // One slot, one tag: in the span's record.
  CHECK_FALSE(span_class_info(kLargeScan).described);
}

TEST_CASE("a uniform class is what it was registered with", "[alloc][span_class]") {
  const std::size_t limit = span_class_limit();
  const SpanClass first = add_uniform_class(5, 77, 0b1101);
  const SpanClass second = add_uniform_class(5, 77, 0b1101);  // who wants one only looks first
  CHECK(first == limit);
  CHECK(second == limit + 1);
  CHECK(span_class_limit() == limit + 2);
  const SpanClassInfo& info = span_class_info(first);
  CHECK(info.size_class == 5);
  CHECK(info.tag == 77);
  CHECK(info.reference_mask == 0b1101);
  CHECK_FALSE(info.noscan);
  CHECK_FALSE(info.described);
  CHECK(&size_class_info(first) == &kSizeClasses[5]);
}

TEST_CASE("when no uniform class is left, the answer is 0 and nothing changes",
          "[alloc][span_class]") {
  const auto result = gort_test::in_child([] {
    while (span_class_limit() < kSpanClassCount) {
      const auto n = static_cast<Tag>(span_class_limit());
      require(add_uniform_class(3, n, n) == n);
    }
    for (int i = 0; i < 3; ++i) require(add_uniform_class(4, 1, 1) == 0);
    require(span_class_limit() == kSpanClassCount);
    const SpanClassInfo& last = span_class_info(kSpanClassCount - 1);
    require(last.size_class == 3 && last.tag == kSpanClassCount - 1);
    require(span_class_info(kLargeScan).size_class == 0);
  });
  CHECK(result.exit_code == 0);
  CHECK(result.signal == 0);
}

TEST_CASE("threads that register get a class each, until there are no more",
          "[alloc][span_class][threads]") {
  const auto result = gort_test::in_child([] {
    const std::size_t before = span_class_limit();
    std::array<std::vector<SpanClass>, 3> got;
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < got.size(); ++t) {
      threads.emplace_back([&got, t] {
        while (const SpanClass c = add_uniform_class(t + 1, static_cast<Tag>(t + 1), t)) {
          got[t].push_back(c);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    std::set<SpanClass> all;
    for (std::size_t t = 0; t < got.size(); ++t) {
      for (const SpanClass c : got[t]) {
        require(all.insert(c).second);
        const SpanClassInfo& info = span_class_info(c);
        require(info.size_class == t + 1 && info.tag == t + 1 && info.reference_mask == t);
      }
    }
    require(all.size() == kSpanClassCount - before);
  });
  CHECK(result.exit_code == 0);
  CHECK(result.signal == 0);
}
