#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <gort/alloc/central_list.h>

// One central list by itself: which stack a span is in, what a flip does, who owns what is popped.
// (Shards, and what a heap does with its lists: thread_cache_test.cpp.)

using namespace gort;
using namespace gort::alloc;

namespace {

// Spans in numbers only: the list looks at two of them.
struct Spans {
  std::array<Span, 8> span;
  Spans() {
    for (Span& s : span) s.slot_count = 10;
  }
  Span* with(std::size_t i, std::uint32_t allocated) {
    span[i].allocated = allocated;
    return &span[i];
  }
};

}  // namespace

TEST_CASE("an empty central list has nothing to give", "[alloc][central_list]") {
  CentralList list;
  CHECK(list.pop_partial_swept() == nullptr);
  CHECK(list.pop_unswept() == nullptr);
  CHECK_FALSE(list.has_unswept());
  list.flip();
  CHECK_FALSE(list.has_unswept());
}

TEST_CASE("spans with free slots are given out, the last first, full ones are not",
          "[alloc][central_list]") {
  Spans s;
  CentralList list;
  Span* const nearly_full = s.with(0, 9);
  Span* const full = s.with(1, 10);
  Span* const empty = s.with(2, 0);
  for (Span* span : {nearly_full, full, empty}) list.push_swept(span);
  CHECK_FALSE(list.has_unswept());
  CHECK(list.pop_unswept() == nullptr);
  CHECK(list.pop_partial_swept() == empty);
  CHECK(empty->next == nullptr);  // it is in no list
  CHECK(list.pop_partial_swept() == nearly_full);
  CHECK(list.pop_partial_swept() == nullptr);
  list.push_swept(empty);
  CHECK(list.pop_partial_swept() == empty);
}

TEST_CASE("a flip makes every span unswept, and partial ones come first", "[alloc][central_list]") {
  Spans s;
  CentralList list;
  list.push_swept(s.with(0, 10));
  list.push_swept(s.with(1, 3));
  list.push_swept(s.with(2, 10));
  list.push_swept(s.with(3, 5));
  list.flip();
  CHECK(list.has_unswept());
  CHECK(list.pop_partial_swept() == nullptr);
  // What is swept meanwhile is apart from them.
  list.push_swept(s.with(4, 1));
  CHECK(list.pop_unswept() == &s.span[3]);
  CHECK(list.pop_unswept() == &s.span[1]);
  CHECK(list.pop_unswept() == &s.span[2]);
  CHECK(list.has_unswept());
  CHECK(list.pop_unswept() == &s.span[0]);
  CHECK_FALSE(list.has_unswept());
  CHECK(list.pop_unswept() == nullptr);
  CHECK(list.pop_partial_swept() == &s.span[4]);
}

TEST_CASE("where a span belongs is decided when it is put back", "[alloc][central_list]") {
  Spans s;
  CentralList list;
  list.push_swept(s.with(0, 10));
  list.flip();
  Span* const span = list.pop_unswept();
  REQUIRE(span == &s.span[0]);
  list.push_swept(s.with(0, 9));  // the sweep has found a dead one
  CHECK(list.pop_partial_swept() == span);
  list.push_swept(s.with(0, 10));
  CHECK(list.pop_partial_swept() == nullptr);
  list.flip();
  CHECK(list.pop_unswept() == span);
}

TEST_CASE("whoever pops a span is alone with it", "[alloc][central_list][threads]") {
  constexpr std::size_t kSpans = 20;
  constexpr int kRounds = 20'000;
  std::vector<std::unique_ptr<Span>> spans;
  std::array<Atomic<int>, kSpans> owners{};
  CentralList list;
  for (std::size_t i = 0; i < kSpans; ++i) {
    spans.push_back(std::make_unique<Span>());
    spans[i]->slot_count = 10;
    spans[i]->search_from = static_cast<std::uint32_t>(i);
    list.push_swept(spans[i].get());
  }
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kRounds; ++i) {
        Span* const span = list.pop_partial_swept();
        if (span == nullptr) continue;
        wrong += owners[span->search_from].fetch_add_relaxed(1) != 0;
        ++span->page_count;  // the owner's: the thread sanitizer sees another one
        owners[span->search_from].fetch_sub_relaxed(1);
        list.push_swept(span);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  std::size_t left = 0;
  std::uint64_t popped = 0;
  while (Span* const span = list.pop_partial_swept()) {
    ++left;
    popped += span->page_count;
  }
  CHECK(left == kSpans);
  CHECK(popped == 3 * std::uint64_t{kRounds});  // there was always one left for the third
}
