#include <catch2/catch.hpp>

#include <thread>
#include <vector>

#include <gort/alloc/span_class_set.h>

// The set of span classes that caches and shards keep of themselves.

using namespace gort;
using namespace gort::alloc;

namespace {

std::vector<SpanClass> members(const SpanClassSet& set) {
  std::vector<SpanClass> out;
  set.for_each([&out](SpanClass c) { out.push_back(c); });
  return out;
}

constexpr auto kLast = static_cast<SpanClass>(kSpanClassCount - 1);

}  // namespace

TEST_CASE("a set of span classes lists its members in ascending order", "[alloc][span_class]") {
  SpanClassSet set;
  CHECK(members(set).empty());
  for (const SpanClass c : {SpanClass{64}, SpanClass{0}, kLast, SpanClass{63}, SpanClass{64}}) {
    set.add(c);
  }
  CHECK(members(set) == std::vector<SpanClass>{0, 63, 64, kLast});
  set.remove(63);
  set.remove(62);  // is none
  CHECK(members(set) == std::vector<SpanClass>{0, 64, kLast});
  SpanClassSet other;
  other.add(1);
  other.assign(set);
  CHECK(members(other) == members(set));
  set.clear();
  CHECK(members(set).empty());
  CHECK(members(other).size() == 3);
}

TEST_CASE("a walk over span classes ends where it is told to, and may remove what it meets",
          "[alloc][span_class]") {
  SpanClassSet set;
  for (SpanClass c = 0; c < 100; ++c) set.add(c);
  const bool found = set.any_of([&set](SpanClass c) {
    set.remove(c);
    return c == 70;
  });
  CHECK(found);
  CHECK(members(set).front() == 71);
  CHECK(members(set).size() == 29);
  CHECK_FALSE(set.any_of([](SpanClass c) { return c < 71; }));
}

TEST_CASE("threads that add and remove neighbours in a set lose none",
          "[alloc][span_class][stress]") {
  constexpr unsigned kThreads = 4;
  constexpr unsigned kRounds = 100'000;
  SpanClassSet set;
  std::vector<std::thread> threads;
  std::vector<unsigned> lost(kThreads, 0);
  for (unsigned t = 0; t < kThreads; ++t) {
    threads.emplace_back([&set, &lost, t] {
      const auto mine = static_cast<SpanClass>(10 + t);
      const auto has = [&set, mine] {
        return set.any_of([mine](SpanClass c) { return c == mine; });
      };
      for (unsigned i = 0; i < kRounds; ++i) {
        set.add(mine);
        if (!has()) ++lost[t];
        set.remove(mine);
        if (has()) ++lost[t];
      }
      set.add(mine);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(lost == std::vector<unsigned>(kThreads, 0));
  CHECK(members(set) == std::vector<SpanClass>{10, 11, 12, 13});
}
