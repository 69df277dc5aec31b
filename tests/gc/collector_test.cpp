#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gort/base/counters.h>
#include <gort/base/metadata.h>
#include <gort/base/os.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/support/child.h>
#include <gort/tests/support/scale.h>

using namespace gort;
using gort_test::ExactHeap;
using gort_test::Node;

TEST_CASE("what no root reaches is freed, what one reaches stays", "[gc][collector]") {
  ExactHeap heap;
  Root<Node> root(make<Node>());
  root->left = make<Node>();
  root->left->value = 42;
  for (int i = 0; i < 1000; ++i) make<Node>();
  CHECK(heap.objects() == 1002);
  heap.collect();
  CHECK(heap.objects() == 2);
  CHECK(root->left->value == 42);
  root->left = nullptr;
  heap.collect();
  CHECK(heap.objects() == 1);
  root = nullptr;
  heap.collect();
  CHECK(heap.objects() == 0);
}

TEST_CASE("a cycle of objects dies together", "[gc][collector]") {
  ExactHeap heap;
  Root<Node> root(make<Node>());
  root->left = make<Node>();
  root->left->left = root;
  heap.collect();
  CHECK(heap.objects() == 2);
  root = nullptr;
  heap.collect();
  CHECK(heap.objects() == 0);
}

// Lives and dies; verify=1 walks it too.
static void long_list(std::uint64_t length) {
  ExactHeap heap;
  Root<Node> head;
  for (std::uint64_t i = 0; i < length; ++i) {
    Node* node = make<Node>();
    node->left = head.get();
    node->value = static_cast<long>(i);
    head = node;
  }
  heap.collect();
  CHECK(heap.objects() == length);
  auto expected = static_cast<long>(length) - 1;
  for (const Node* n = head; n != nullptr; n = n->left) REQUIRE(n->value == expected--);
  head = nullptr;
  heap.collect();
  CHECK(heap.objects() == 0);
}

TEST_CASE("a list of three million nodes needs no recursion", "[gc][collector]") {
  long_list(3'000'000);
}

TEST_CASE("a list of ten million nodes needs no recursion", "[gc][collector][.slow]") {
  long_list(10'000'000);
}

TEST_CASE("a constructor that throws leaves garbage, and what it stored elsewhere",
          "[gc][collector]") {
  struct Throws {
    Ref<Node> mine;
    GORT_FIELDS(Throws, mine);
    explicit Throws(Root<Node>& elsewhere) {
      mine = make<Node>();
      elsewhere = mine.get();
      make<Node>();
      throw std::runtime_error("no");
    }
  };
  ExactHeap heap;
  Root<Node> kept;
  CHECK_THROWS_AS(make<Throws>(kept), std::runtime_error);
  CHECK(heap.objects() == 3);
  heap.collect();
  CHECK(heap.objects() == 1);
  CHECK(kept->left == nullptr);
}

TEST_CASE("an interior pointer keeps the whole object", "[gc][collector]") {
  ExactHeap heap;
  Root<long> middle;
  {
    auto* array = make_array<long>(1000);
    array[999] = 7;
    middle = array + 500;
  }
  heap.collect();
  CHECK(heap.objects() == 1);
  CHECK(middle.get()[499] == 7);
}

TEST_CASE("arrays of references and of structs keep every element's targets", "[gc][collector]") {
  ExactHeap heap;
  // Small, described, larger than 512 bytes, and large objects of their own span.
  for (const std::size_t count : {1U, 3U, 60U, 1000U, 100'000U}) {
    CAPTURE(count);
    Root<Ref<Node>> refs(make_array<Ref<Node>>(count));
    Root<Node> nodes(make_array<Node>(count));
    for (std::size_t i = 0; i < count; ++i) {
      refs.get()[i] = make<Node>();
      refs.get()[i]->value = static_cast<long>(i);
      nodes.get()[i].right = make<Node>();
      nodes.get()[i].right->value = -static_cast<long>(i);
    }
    heap.collect();
    CHECK(heap.objects() == 2 * count + 2);
    for (std::size_t i = 0; i < count; ++i) {
      REQUIRE(refs.get()[i]->value == static_cast<long>(i));
      REQUIRE(nodes.get()[i].right->value == -static_cast<long>(i));
    }
    refs = nullptr;
    nodes = nullptr;
    heap.collect();
    CHECK(heap.objects() == 0);
  }
}

TEST_CASE("objects wider than 64 words are traced by their bitmap", "[gc][collector]") {
  struct Wide {
    long before[70] = {};
    Ref<Node> first;
    long between[100] = {};
    Ref<Node> last;
    GORT_FIELDS(Wide, first, last);
  };
  ExactHeap heap;
  Root<Wide> wide(make<Wide>());
  wide->first = make<Node>();
  wide->last = make<Node>();
  heap.collect();
  CHECK(heap.objects() == 3);
}

TEST_CASE("words that are not declared as references keep nothing", "[gc][collector]") {
  ExactHeap heap;
  Root<Node> root(make<Node>());
  root->value = reinterpret_cast<long>(make<Node>());
  heap.collect();
  CHECK(heap.objects() == 1);
}

TEST_CASE("allocation past the goal starts a cycle by itself", "[gc][pacing]") {
  ExactHeap heap;
  const std::uint64_t before = counters.cycles.load_relaxed();
  for (int i = 0; i < 1'000'000; ++i) make<Node>();  // 24 MB of garbage, goal 4 MiB
  CHECK(counters.cycles.load_relaxed() - before >= 4);
  CHECK(alloc::heap.span_bytes() < 16_MiB);
}

TEST_CASE("GOGC decides how far the heap grows", "[gc][pacing]") {
  auto cycles_at = [](std::int64_t percent) {
    gc::CollectorOptions options;
    options.gc_percent = percent;
    ExactHeap heap(options);
    const std::uint64_t before = counters.cycles.load_relaxed();
    for (int i = 0; i < 2'000'000; ++i) make<Node>();
    return counters.cycles.load_relaxed() - before;
  };
  const std::uint64_t at_100 = cycles_at(100);
  CHECK(at_100 >= 7);  // 48 MB at a goal of 4 MiB, a cycle may pass it by 1.4 MiB
  CHECK(cycles_at(400) * 2 < at_100);
  CHECK(cycles_at(-1) == 0);
}

TEST_CASE("the minimum heap follows the number of threads that allocate", "[gc][pacing]") {
  ExactHeap heap;
  make<Node>();
  heap.collect();
  CHECK(gc::collector.goal() == gc::kMinimumHeap);
  make<Node>();
  std::thread other([] {
    make<Node>();
    ExactHeap::collect();  // both have allocated since the last one
    gc::world.detach();
  });
  gort_test::join(other);
  const std::size_t two = std::min<std::size_t>(os::processors(), 2) * gc::kMinimumHeap;
  CHECK(gc::collector.goal() == two);
  // A thread that had no processor for a while is not forgotten at once.
  int cycles = 0;
  for (; cycles < 100 && gc::collector.goal() == two; ++cycles) {
    make<Node>();
    heap.collect();
  }
  CHECK(gc::collector.goal() == gc::kMinimumHeap);
  CHECK((cycles > 10 || two == gc::kMinimumHeap));
}

TEST_CASE("a memory limit starts cycles that GOGC would not", "[gc][pacing]") {
  gc::CollectorOptions options;
  options.gc_percent = -1;
  options.memory_limit = 16_MiB;
  ExactHeap heap(options);
  const std::uint64_t cycles = counters.cycles.load_relaxed();
  for (int i = 0; i < 2'000'000; ++i) make<Node>();
  CHECK(counters.cycles.load_relaxed() >= cycles + 2);
  CHECK(alloc::heap.span_bytes() < 18_MiB);
}

namespace {
struct Wide {
  Ref<Ref<Wide>> more;
  GORT_FIELDS(Wide, more);
};
}  // namespace

TEST_CASE("two settings that change at the same time both apply", "[gc][pacing]") {
  const ExactHeap heap;
  std::atomic<int> begun{0};
  std::atomic<int> done{0};
  constexpr int kRounds = gort_test::scaled(20'000);
  std::thread other([&] {
    for (int round = 1; round <= kRounds; ++round) {
      while (begun < round) std::this_thread::yield();
      gc::collector.set_memory_limit(gc::kNoLimit);
      done = round;
    }
  });
  int wrong = 0;
  for (int round = 1; round <= kRounds; ++round) {
    gc::collector.set_gc_percent(-1);
    begun = round;
    for (int i = 0; i < round % 64; ++i) __builtin_ia32_pause();
    gc::collector.set_gc_percent(100);
    while (done < round) std::this_thread::yield();
    wrong += gc::collector.trigger() == gc::kNoLimit;
  }
  other.join();
  CHECK(wrong == 0);
}

TEST_CASE("markers may find no memory, and still nothing is lost", "[gc][marker]") {
  gc::CollectorOptions options;
  options.markers = 1;  // what is refused is not the record of a worker
  ExactHeap heap(options);
  // Arrays, and near the end of each a way to the next: a marker, which does what it has found
  // last, takes it before most of the array is done. That is more than the blocks that are kept can
  // hold.
  constexpr std::size_t kArrays = 30;
  constexpr std::size_t kNodes = 4000;
  Root<Ref<Wide>> root;
  for (std::size_t a = 0; a < kArrays; ++a) {
    Root<Ref<Wide>> array(make_array<Ref<Wide>>(kNodes));
    for (std::size_t i = 0; i < kNodes; ++i) {
      array.get()[i] = make<Wide>();
      array.get()[i]->more = i == kNodes - 100 ? root.get() : array.get();
    }
    root = array.get();
  }
  heap.collect();  // the collector's thread is there, and has what it needs to begin
  const std::uint64_t before = counters.mark_overflows.load_relaxed();
  metadata::fail_allocation_for_test(1);
  heap.collect();  // verify=1 checks the marks
  CHECK_FALSE(metadata::refusal_pending_for_test());
  metadata::fail_allocation_for_test(0);
  CHECK(counters.mark_overflows.load_relaxed() == before + 1);
  CHECK(heap.objects() == kArrays * (kNodes + 1));
}

TEST_CASE("without a thread of its own the collector runs on the callers'", "[gc][collector]") {
  ExactHeap heap;
  Root<Node> root(make<Node>());
  metadata::fail_allocation_for_test(1);  // the record of the thread
  for (int i = 0; i < 1'000'000; ++i) root->left = make<Node>();
  heap.collect();
  metadata::fail_allocation_for_test(0);
  CHECK(heap.objects() == 2);
}

TEST_CASE("a refused mmap leads to an emergency collection, then to success", "[gc][oom]") {
  gc::CollectorOptions options;
  options.gc_percent = -1;
  ExactHeap heap(options);
  const std::uint64_t before = counters.emergency_cycles.load_relaxed();
  make_array<char>(1_MiB);  // the first arena is there
  os::fail_call_for_test(1, true);
  // All garbage: what is there is filled once, and then the first cycle makes room.
  for (int i = 0; i < 100'000 && counters.emergency_cycles.load_relaxed() == before; ++i) {
    REQUIRE(make_array<char>(1_MiB) != nullptr);
  }
  os::fail_call_for_test(0);
  CHECK(counters.emergency_cycles.load_relaxed() == before + 1);
}

TEST_CASE("when everything is reachable, a refused mmap is bad_alloc", "[gc][oom]") {
  ExactHeap heap;
  std::vector<Root<char>> keep;
  for (int i = 0; i < 10; ++i) keep.emplace_back(make_array<char>(1_MiB));
  os::fail_call_for_test(1, true);
  CHECK_THROWS_AS(
      [&] {
        for (int i = 0; i < 100'000; ++i) keep.emplace_back(make_array<char>(1_MiB));
      }(),
      std::bad_alloc);
  os::fail_call_for_test(0);
  for (const Root<char>& p : keep) std::memset(p.get(), 1, 1_MiB);
  heap.collect();
  CHECK(heap.objects() == keep.size());
}

TEST_CASE("sizes that overflow are bad_alloc", "[gc][oom]") {
  ExactHeap heap;
  CHECK_THROWS_AS(make_array<long>(~std::size_t{0} / 4), std::bad_alloc);
  CHECK_THROWS_AS(make_array<char>(~std::size_t{0}), std::bad_alloc);
  CHECK_THROWS_AS(gc::allocate(std::size_t{1} << 60, gc::kNoReferences), std::bad_alloc);
  CHECK(make_array<long>(0) != nullptr);
}

TEST_CASE("a runtime can be shut down and started again", "[gc][collector]") {
  for (int round = 0; round < 3; ++round) {
    ExactHeap heap;
    Root<Node> root(make<Node>());
    for (int i = 0; i < 100'000; ++i) make<Node>();
    heap.collect();
    CHECK(heap.objects() == 1);
    root = nullptr;
  }
  CHECK(alloc::heap.span_bytes() == 0);
}

TEST_CASE("the cycle record tells what the cycle did", "[gc][collector]") {
  ExactHeap heap;
  Root<Node> root(make<Node>());
  for (int i = 0; i < 10'000; ++i) make<Node>();
  const std::uint64_t number = gc::collector.last_cycle().number;
  heap.collect();
  const gc::CycleRecord record = gc::collector.last_cycle();
  CHECK(record.number == number + 1);
  CHECK(record.reason == gc::CycleReason::forced);
  CHECK(record.marked == 24);
  CHECK(record.heap_start >= 240'000);
  CHECK(record.stops >= 2);
  CHECK(record.stops_ns >= record.first_stop_ns + record.last_stop_ns);
  CHECK(record.longest_stop_ns >= record.first_stop_ns);
  CHECK(record.assisted <= record.scanned);
  CHECK(record.next_goal == gc::kMinimumHeap);
}

TEST_CASE("a reference to a freed object is named at the sweep", "[gc][collector]") {
  const auto result = gort_test::in_child([] {
    ExactHeap heap;
    Root<Node> root(make<Node>());
    Node* const freed = make<Node>();
    heap.collect();
    root->left = freed;  // which nothing has kept alive
    heap.collect();
  });
  CHECK(result.signal == SIGABRT);
  CHECK_THAT(result.errors,
             Catch::Contains("has 1 objects of 24 bytes, and 2 are marked: an object "
                             "holds a reference to one that has been freed"));
}

TEST_CASE("a reference one past the end of an array is named at the sweep", "[gc][collector]") {
  const auto result = gort_test::in_child([] {
    struct Slice {
      Ref<long> begin, end;
      GORT_FIELDS(Slice, begin, end);
    };
    ExactHeap heap;
    Root<Slice> slice(make<Slice>());
    slice->begin = make_array<long>(8);
    slice->end = slice->begin.get() + 8;
    heap.collect();  // what comes next was in this thread's run, and is given back
    heap.collect();
  });
  CHECK(result.signal == SIGABRT);
  CHECK_THAT(result.errors, Catch::Contains("1 objects of 64 bytes, and 2 are marked") &&
                                Catch::Contains("or one past the end of another"));
}
