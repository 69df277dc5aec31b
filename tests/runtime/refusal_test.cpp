#include <catch2/catch.hpp>

#include <atomic>
#include <new>
#include <thread>
#include <vector>

#include <gort/alloc/heap.h>
#include <gort/base/metadata.h>
#include <gort/base/os.h>
#include <gort/gc/collector.h>
#include <gort/tests/runtime/fixture.h>

// A whole life of the runtime, in which the k-th call to the operating system is refused, or the
// k-th block of the runtime's own memory, for every k. What is refused is std::bad_alloc to whoever
// asked; what was allocated before keeps its contents, no byte is lost, and afterwards everything
// works. (The page allocator alone, call by call: tests/alloc/os_failure_test.cpp.)

using namespace gort;
using gort_test::make_list;
using gort_test::wrong_in;
using Node = gort_test::ListNode;

namespace {

struct Mortal {
  Ref<Node> node;
  static std::atomic<long> born, dead;
  Mortal() { ++born; }
  ~Mortal() { ++dead; }
  GORT_FIELDS(Mortal, node);
};
std::atomic<long> Mortal::born{0};
std::atomic<long> Mortal::dead{0};

class Life {
 public:
  /// From start() to shutdown(). Returns how often something was refused.
  int live() {
    while (!attempt([] { start(options()); })) REQUIRE_FALSE(gc::collector.started());
    build();
    check();
    beside_another_thread();
    attempt([] { collect(); });
    attempt([] { release_os_memory(); });
    check();
    build();
    check();
    lists_.clear();
    blocks_.clear();
    map_ = nullptr;
    if (refuse_all) os::fail_call_for_test(0);
    while (!attempt([] { shutdown(); })) {
    }
    REQUIRE(Mortal::born == Mortal::dead);
    REQUIRE(alloc::heap.span_count() == 0);
    LockGuard guard(alloc::heap.pages.lock);
    alloc::heap.pages.check();
    REQUIRE(alloc::heap.pages.used() == 0);
    return refused_;
  }

  bool refuse_all = false;

 private:
  static Options options() {
    Options options = gort_test::exact();
    options.background_scavenger = false;
    options.verify = true;
    options.poison = true;
    return options;
  }

  template <class F>
  bool attempt(F&& f) {
    try {
      f();
      return true;
    } catch (const std::bad_alloc&) {
      ++refused_;
      return false;
    }
  }

  void build() {
    for (int i = 0; i < 3; ++i) {
      attempt([this] { lists_.push_back(make_list(400)); });
      attempt([this] { add_block(8); });
      attempt([this] { add_block(5000); });
      attempt([this] { add_block(200'000); });
      attempt([] { make<Mortal>(); });
    }
    attempt([this] { add_block(6'000'000); });
    attempt([this] {
      if (*map_ == nullptr) map_ = make_map<long, long>();
    });
    for (long i = 0; i < 500; ++i) {
      attempt([this, i] {
        if (*map_ != nullptr) (*map_)[i] = 3 * i;
      });
    }
    attempt([this] {
      if (lists_.empty()) return;
      const Weak<Node> weak(lists_.back().get());
      REQUIRE(weak.get() == lists_.back().get());
    });
    attempt([] { add_cleanup(make<Node>(), [] {}); });
    attempt([] { add_cleanup(make<Node>(), [] {}).stop(); });
  }

  void beside_another_thread() {
    std::atomic<bool> failed{false};
    std::atomic<long> wrong{0};
    std::thread other([&] {
      try {
        const AttachThread attach;
        wrong = wrong_in(make_list(500), 500);
      } catch (const std::bad_alloc&) {
        failed = true;
      }
    });
    {
      const Blocking blocking;
      other.join();
    }
    refused_ += failed;
    REQUIRE(wrong == 0);
  }

  struct Block {
    Root<char> memory;
    std::size_t bytes;
  };
  void add_block(std::size_t bytes) {
    Root<char> block(make_array<char>(bytes));
    REQUIRE((block.get()[0] == 0 && block.get()[bytes - 1] == 0));
    block.get()[0] = block.get()[bytes - 1] = 'x';
    blocks_.push_back({block, bytes});
  }

  // What was allocated is as it was, and every byte is in its place: ledger() aborts if the places
  // do not sum to what is mapped.
  void check() {
    for (const Root<Node>& list : lists_) REQUIRE(wrong_in(list, 400) == 0);
    for (const auto& [block, bytes] : blocks_) {
      REQUIRE((block.get()[0] == 'x' && block.get()[bytes - 1] == 'x'));
    }
    attempt([this] {
      for (const auto& [key, value] : *map_) REQUIRE(value == 3 * key);
    });
    attempt([] {
      const Ledger l = ledger();
      REQUIRE(l.sum() == l.mapped);
    });
    attempt([] { mem_stats(); });
    attempt([this] {
      if (blocks_.empty()) return;
      const Location at = where_is(blocks_[0].memory.get());
      REQUIRE(at.place == Place::live);
    });
  }

  std::vector<Root<Node>> lists_;
  std::vector<Block> blocks_;
  Root<Map<long, long>> map_;
  int refused_ = 0;
};

}  // namespace

TEST_CASE("each call to the system of a whole life may be refused", "[runtime][oom]") {
  const bool all_later = GENERATE(false, true);
  std::uint64_t k = 0;
  for (bool reached = true; reached;) {
    ++k;
    CAPTURE(k, all_later);
    Life life;
    life.refuse_all = all_later;
    const std::uint64_t before = os::calls_for_test();
    os::fail_call_for_test(k, all_later);
    const int refused = life.live();
    os::fail_call_for_test(0);
    reached = os::calls_for_test() - before >= k;
    if (!reached) CHECK(refused == 0);
    // The system is willing again.
    CHECK(Life().live() == 0);
    CHECK(alloc::heap.pages.idle() == 0);
  }
  CHECK(k > 5);
}

TEST_CASE("each block of the runtime's own memory of a whole life may be refused",
          "[runtime][oom]") {
  // Tables that outlive a shutdown have their size then.
  for (int i = 0; i < 3; ++i) REQUIRE(Life().live() == 0);
  const std::size_t metadata_before = metadata::bytes();
  std::size_t k = 0;
  for (bool reached = true; reached;) {
    ++k;
    CAPTURE(k);
    metadata::fail_allocation_for_test(k);
    const int refused = Life().live();
    reached = !metadata::refusal_pending_for_test();
    metadata::fail_allocation_for_test(0);
    if (!reached) CHECK(refused == 0);
    CHECK(alloc::heap.pages.idle() == 0);
  }
  CHECK(k > 30);
  CHECK(Life().live() == 0);
  // Such a table may be a block of 4 KiB longer, if cleanups or roots met otherwise in time.
  CHECK(metadata::bytes() < metadata_before + 32_KiB);
}
