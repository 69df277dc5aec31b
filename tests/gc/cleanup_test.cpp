#include <catch2/catch.hpp>

#include <atomic>
#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include <gort/base/metadata.h>
#include <gort/gc/cleanup.h>
#include <gort/gc/cleanups.h>
#include <gort/gc/weak.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/support/child.h>

using namespace gort;
using gort_test::ExactHeap;
using gort_test::Node;

namespace {

gc::CollectorOptions by_hand() {
  gc::CollectorOptions options;
  options.cleanup_thread = false;
  return options;
}

// Writes its name down when it dies, and what it sees of its neighbour.
std::vector<std::string> deaths;
struct Mortal {
  Ref<Mortal> next;
  Ref<Node> plain;
  int name = 0;
  int alive = 1;
  explicit Mortal(int n) : name(n) {}
  ~Mortal() {
    deaths.push_back(fmt::format("{}{}{}", name,
                                 !next              ? ""
                                 : next->alive == 1 ? "+"
                                                    : "-",
                                 plain ? fmt::format("={}", plain->value) : ""));
    alive = 0;
  }
  GORT_FIELDS(Mortal, next, plain);
};

struct Counted {
  static inline std::atomic<long> born{0};
  static inline std::atomic<long> dead{0};
  Ref<Counted> other;
  long check = 4711;
  Counted() { ++born; }
  ~Counted() {
    ++dead;
    if (check != 4711) std::abort();
    check = 0;
  }
  GORT_FIELDS(Counted, other);
};

struct Handle {
  std::unique_ptr<int> owned = std::make_unique<int>(3);
  ~Handle() { deaths.emplace_back("handle"); }
  GORT_POINTER_FREE();
};

struct Busy {
  Ref<Node> keeps;
  static inline std::atomic<long> wrong{0};
  static inline std::atomic<long> dead{0};
  Busy() = default;
  ~Busy() {
    // In an exact heap only roots count, and what the dying object reaches.
    Root<Node> head;
    for (long i = 0; i < 20; ++i) {
      Root<Node> node(make<Node>());
      node->left = head.get();
      node->value = i;
      head = node;
    }
    long expected = 19;
    for (const Node* n = head; n != nullptr; n = n->left) wrong += n->value != expected--;
    wrong += keeps->value != 12345;
    ++dead;
  }
  GORT_FIELDS(Busy, keeps);
};

struct Again {
  Ref<Node> node;
  int left;
  explicit Again(int n) : left(n) {}
  ~Again() {
    deaths.emplace_back("again");
    if (left > 0) make<Again>(left - 1);
  }
  GORT_FIELDS(Again, node);
};

struct Throws {
  Ref<Node> node;
  explicit Throws(bool now) {
    if (now) throw std::runtime_error("no");
  }
  ~Throws() { deaths.emplace_back("throws"); }
  GORT_FIELDS(Throws, node);
};

}  // namespace

TEST_CASE("a destructor runs once, after its object is dead", "[gc][cleanup]") {
  deaths.clear();
  ExactHeap heap(by_hand());
  Root<Mortal> root(make<Mortal>(1));
  heap.collect();
  CHECK(run_cleanups() == 0);
  root = nullptr;
  heap.collect();
  CHECK(deaths.empty());  // due, but nobody has run it
  CHECK(heap.objects() == 1);
  CHECK(run_cleanups() == 1);
  CHECK(deaths == std::vector<std::string>{"1"});
  heap.collect();
  CHECK(heap.objects() == 0);
  CHECK(run_cleanups() == 0);
  CHECK(gc::cleanups.watched() == 0);
}

TEST_CASE("a destructor finds what its object reaches, over any number of cycles",
          "[gc][cleanup]") {
  deaths.clear();
  ExactHeap heap(by_hand());
  {
    Root<Mortal> root(make<Mortal>(1));
    root->plain = make<Node>();
    root->plain->value = 5;
  }
  for (int i = 0; i < 4; ++i) heap.collect();
  CHECK(heap.objects() == 2);
  run_cleanups();
  CHECK(deaths == std::vector<std::string>{"1=5"});
  heap.collect();
  CHECK(heap.objects() == 0);
}

TEST_CASE("objects that die together die in the order of their references", "[gc][cleanup]") {
  deaths.clear();
  ExactHeap heap(by_hand());
  const bool front_first = GENERATE(true, false);
  {
    // 1 -> 2 -> 3, made in two orders.
    std::vector<Root<Mortal>> made(4);
    if (front_first) {
      for (int i : {1, 2, 3}) made[static_cast<std::size_t>(i)] = make<Mortal>(i);
    } else {
      for (int i : {3, 1, 2}) made[static_cast<std::size_t>(i)] = make<Mortal>(i);
    }
    made[1]->next = made[2].get();
    made[2]->next = made[3].get();
  }
  heap.collect();
  CHECK(run_cleanups() == 3);
  CHECK(deaths == std::vector<std::string>{"1+", "2+", "3"});
}

TEST_CASE("a long chain dies in one cycle, front to back", "[gc][cleanup]") {
  deaths.clear();
  ExactHeap heap(by_hand());
  constexpr int kLength = 100'000;
  {
    Root<Mortal> head(make<Mortal>(0));
    Root<Mortal> tail(head);
    for (int i = 1; i < kLength; ++i) {
      tail->next = make<Mortal>(i);
      tail = tail->next.get();
    }
  }
  heap.collect();
  CHECK(run_cleanups() == kLength);
  REQUIRE(deaths.size() == kLength);
  long wrong = 0;
  for (int i = 0; i < kLength - 1; ++i) {
    wrong += deaths[static_cast<std::size_t>(i)] != fmt::format("{}+", i);
  }
  CHECK(wrong == 0);
}

TEST_CASE("a ring of objects with destructors dies, once each", "[gc][cleanup]") {
  deaths.clear();
  ExactHeap heap(by_hand());
  {
    Root<Mortal> a(make<Mortal>(1));
    Root<Mortal> b(make<Mortal>(2));
    a->next = b.get();
    b->next = a.get();
    Root<Mortal> self(make<Mortal>(3));
    self->next = self.get();
  }
  heap.collect();
  CHECK(run_cleanups() == 3);
  CHECK(deaths.size() == 3);
  heap.collect();
  CHECK(heap.objects() == 0);
}

TEST_CASE("without memory for an order destructors run in some order", "[gc][cleanup]") {
  deaths.clear();
  ExactHeap heap(by_hand());
  // Its head comes first in memory: so the search for an order begins there, goes down to the end,
  // and wants a block for every 255 objects on its way.
  constexpr int kLength = 2000;
  const auto drop_a_list = [] {
    const Root<Mortal> head(make<Mortal>(0));
    Root<Mortal> last(head.get());
    for (int i = 0; i < kLength; ++i) {
      last->plain = make<Node>();
      last->plain->value = i;
      if (i + 1 == kLength) break;
      last->next = make<Mortal>(i + 1);
      last = last->next.get();
    }
  };
  const std::size_t k = static_cast<std::size_t>(GENERATE(1, 2, 3, 5, 8));
  drop_a_list();
  heap.collect();  // nothing is rooted: this one makes the order
  run_cleanups();
  CHECK(deaths.size() == kLength);
  deaths.clear();
  drop_a_list();
  metadata::fail_allocation_for_test(k);
  heap.collect();
  CHECK_FALSE(metadata::refusal_pending_for_test());
  metadata::fail_allocation_for_test(0);
  CHECK(run_cleanups() == kLength);
  for (const std::string& d : deaths) CHECK(d.find('=') != std::string::npos);
}

TEST_CASE("a weak reference is null before the destructor runs", "[gc][cleanup][weak]") {
  deaths.clear();
  ExactHeap heap(by_hand());
  Root<Mortal> root(make<Mortal>(1));
  root->plain = make<Node>();
  Weak<Mortal> weak(root.get());
  Weak<Node> inner(root->plain.get());
  root = nullptr;
  heap.collect();
  CHECK(weak.expired());
  CHECK(inner.expired());
  CHECK(deaths.empty());
  run_cleanups();
  CHECK(deaths.size() == 1);
}

TEST_CASE("if the constructor throws, no destructor runs", "[gc][cleanup]") {
  deaths.clear();
  ExactHeap heap(by_hand());
  CHECK_THROWS_WITH(make<Throws>(true), "no");
  heap.collect();
  CHECK(run_cleanups() == 0);
  CHECK(heap.objects() == 0);
  CHECK(deaths.empty());
}

TEST_CASE("if there is no memory to watch a new object, it is destroyed at once", "[gc][cleanup]") {
  deaths.clear();
  ExactHeap heap(by_hand());
  make<Mortal>(-1);  // the type is known now
  // The k-th object needs a new block of records, or there would be none to need.
  bool thrown = false;
  for (int i = 0; i < 300'000 && !thrown; ++i) {
    metadata::fail_allocation_for_test(1);
    try {
      make<Mortal>(i);
    } catch (const std::bad_alloc&) {
      thrown = true;
      REQUIRE(deaths.size() == 1);
      CHECK(deaths[0] == std::to_string(i));
    }
    metadata::fail_allocation_for_test(0);
  }
  CHECK(thrown);
}

TEST_CASE("small objects without references have destructors of their own", "[gc][cleanup]") {
  deaths.clear();
  ExactHeap heap(by_hand());
  Root<Handle> kept(make<Handle>());
  make<Handle>();
  heap.collect();
  CHECK(run_cleanups() == 1);
  CHECK(*kept->owned == 3);
}

TEST_CASE("a cleanup runs once, after the object is gone", "[gc][cleanup]") {
  ExactHeap heap(by_hand());
  int ran = 0;
  Root<Node> node(make<Node>());
  add_cleanup(node.get(), [&ran] { ++ran; });
  add_cleanup(&node->value, [&ran] { ran += 10; });
  heap.collect();
  CHECK(run_cleanups() == 0);
  node = nullptr;
  heap.collect();
  CHECK(heap.objects() == 0);  // it holds nothing
  CHECK(run_cleanups() == 2);
  CHECK(ran == 11);
  heap.collect();
  CHECK(run_cleanups() == 0);
}

TEST_CASE("stop() takes a cleanup back", "[gc][cleanup]") {
  ExactHeap heap(by_hand());
  int ran = 0;
  auto token = std::make_shared<int>(0);
  Root<Node> node(make<Node>());
  Cleanup early = add_cleanup(node.get(), [&ran, token] { ++ran; });
  Cleanup late = add_cleanup(node.get(), [&ran, token] { ++ran; });
  Cleanup never = add_cleanup(node.get(), [&ran, token] { ++ran; });
  Cleanup copy = early;
  CHECK(token.use_count() == 4);
  CHECK(early.stop());
  CHECK(token.use_count() == 3);
  CHECK_FALSE(early.stop());
  CHECK_FALSE(copy.stop());
  // The record is used again: the old handle is not confused.
  Cleanup again = add_cleanup(node.get(), [&ran, token] { ran += 100; });
  CHECK_FALSE(early.stop());
  node = nullptr;
  heap.collect();
  CHECK(late.stop());  // due, not begun
  run_cleanups();
  CHECK(ran == 101);
  CHECK(token.use_count() == 1);
  CHECK_FALSE(never.stop());
  CHECK_FALSE(again.stop());
  CHECK_FALSE(Cleanup().stop());
}

TEST_CASE("a cleanup comes after the destructor", "[gc][cleanup]") {
  deaths.clear();
  ExactHeap heap(by_hand());
  add_cleanup(make<Mortal>(1), [] { deaths.emplace_back("gone"); });
  heap.collect();
  run_cleanups();
  CHECK(deaths == std::vector<std::string>{"1"});
  heap.collect();
  run_cleanups();
  CHECK(deaths == std::vector<std::string>{"1", "gone"});
}

TEST_CASE("only addresses of collected objects have cleanups", "[gc][cleanup]") {
  ExactHeap heap;
  int local = 0;
  CHECK_THROWS_AS(add_cleanup(&local, [] {}), std::invalid_argument);
  CHECK_THROWS_AS(add_cleanup(static_cast<Node*>(nullptr), [] {}), std::invalid_argument);
}

#if !GORT_TSAN  // it is a data race, whose outcome does not count

TEST_CASE("a sweep under way does not make an object look free", "[gc][cleanup]") {
  ExactHeap heap;
  Root<Node> node(make<Node>());
  heap.collect();  // flushes the cache, so that the bit stands for the object
  const alloc::Span* const span = alloc::span_of(node.get());
  const std::uint32_t slot = span->slot_of(reinterpret_cast<std::uintptr_t>(node.get()));
  // As between the two halves of Heap::sweep, for a thread with the bitmaps of before.
  span->alloc_bits[slot / 64] ^= std::uint64_t{1} << slot % 64;
  std::atomic<bool> accepted{false};
  std::atomic<bool> refused{false};
  std::thread other([&] {
    try {
      add_cleanup(node.get(), [] {});
      accepted = true;
    } catch (const std::invalid_argument&) {
      refused = true;
    }
    gc::world.detach();
  });
  // It has found the bit clear, and now waits for this thread to stop, which happens at polls only.
  while (!gc::world.stop_requested()) std::this_thread::yield();
  span->alloc_bits[slot / 64] ^= std::uint64_t{1} << slot % 64;
  gort_test::join(other);
  CHECK(accepted);
  CHECK_FALSE(refused);
}

#endif

TEST_CASE("who is refused a cleanup is told what is at the address", "[gc][cleanup]") {
  ExactHeap heap;
  auto message = [](const void* address) -> std::string {
    try {
      add_cleanup(static_cast<const char*>(address), [] {});
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  const int local = 0;
  CHECK(message(&local) == fmt::format("gort::add_cleanup: not the address of a collected object: "
                                       "{}: not in the heap",
                                       fmt::ptr(&local)));
  Root<char> object(make_array<char>(48));  // 170 slots of 48 bytes leave a tail of 32
  const alloc::Span* const span = alloc::span_of(object.get());
  const char* const start = object.get();
  CHECK_THAT(message(start + 170 * 48), Catch::Contains("span_waste"));
  heap.collect();  // flushes the cache: the slots behind the object are free
  CHECK_THAT(message(start + 49), Catch::Contains("offset 1 in slot 1 of 48 bytes, span_free"));
  CHECK(message(start + 47) == "accepted");
  const auto pages = reinterpret_cast<const char*>(span->start);
  object = nullptr;
  heap.collect();
  heap.collect();
  CHECK_THAT(message(pages), Catch::Contains("page_free"));
  alloc::heap.release_idle();
  CHECK_THAT(message(pages), Catch::Contains("returned"));
  CHECK_THAT(message(pages + alloc::kArenaSize / 2), Catch::Contains("reserved"));
}

TEST_CASE("the thread for cleanups runs them", "[gc][cleanup]") {
  ExactHeap heap;
  std::atomic<std::thread::id> where{};
  add_cleanup(make<Node>(), [&where] { where = std::this_thread::get_id(); });
  heap.collect();
  gort_test::while_blocking([&where] {
    while (where.load() == std::thread::id()) std::this_thread::yield();
  });
  CHECK(where.load() != std::this_thread::get_id());
  CHECK(gc::world.thread_count() == 1);  // it does not count
}

TEST_CASE("destructors that allocate, under collections at every turn", "[gc][cleanup]") {
  {
    gc::CollectorOptions options;
    options.collect_every = 7;
    ExactHeap heap(options);
    for (int i = 0; i < 300; ++i) {
      Root<Busy> busy(make<Busy>());
      busy->keeps = make<Node>();
      busy->keeps->value = 12345;
    }
  }
  CHECK(Busy::dead == 300);
  CHECK(Busy::wrong == 0);
}

TEST_CASE("destructors that make objects with destructors end", "[gc][cleanup]") {
  deaths.clear();
  {
    ExactHeap heap(by_hand());
    make<Again>(5);
  }
  CHECK(deaths.size() == 6);
}

TEST_CASE("shutdown destroys what is left, the newest first", "[gc][cleanup]") {
  deaths.clear();
  Root<Mortal> a;
  Root<Mortal> b;
  Weak<Mortal> weak;
  {
    ExactHeap heap;
    a = make<Mortal>(1);
    b = make<Mortal>(2);
    weak = a.get();
    add_cleanup(a.get(), [&weak] { deaths.emplace_back(weak.expired() ? "late" : "early"); });
  }
  CHECK(deaths == std::vector<std::string>{"2", "1", "late"});
  a = nullptr;
  b = nullptr;
  ExactHeap again;  // and a new heap begins with nothing to do
  CHECK(gc::cleanups.watched() == 0);
  again.collect();
  CHECK(run_cleanups() == 0);
}

TEST_CASE("an exception from a cleanup ends the process and names it", "[gc][cleanup]") {
  const auto result = gort_test::in_child([] {
    ExactHeap heap(by_hand());
    add_cleanup(make<Node>(), [] { throw std::runtime_error("disk full"); });
    heap.collect();
    run_cleanups();
  });
  CHECK(result.signal == SIGABRT);
  CHECK_THAT(result.errors, Catch::Contains("exception from the cleanup"));
  CHECK_THAT(result.errors, Catch::Contains("disk full"));
  const auto other = gort_test::in_child([] {
    struct Bad {
      Ref<Node> node;
      ~Bad() noexcept(false) { throw 3; }
      GORT_FIELDS(Bad, node);
    };
    ExactHeap heap(by_hand());
    make<Bad>();
    heap.collect();
    run_cleanups();
  });
  CHECK(other.signal == SIGABRT);
  CHECK_THAT(other.errors, Catch::Contains("destructor of"));
  CHECK_THAT(other.errors, Catch::Contains("Bad"));
}

TEST_CASE("run_cleanups inside a cleanup does nothing", "[gc][cleanup]") {
  ExactHeap heap(by_hand());
  std::size_t inner = 99;
  add_cleanup(make<Node>(), [&inner] { inner = run_cleanups(); });
  add_cleanup(make<Node>(), [] {});
  heap.collect();
  CHECK(run_cleanups() == 2);
  CHECK(inner == 0);
}

TEST_CASE("threads that die holding the last reference, stopped anywhere", "[gc][cleanup]") {
  Counted::born = Counted::dead = 0;
  gc::collector.start(gort_test::with_signals());
  auto work = [] {
    gc::world.attach();
    Counted* mine = nullptr;
    for (int i = 0; i < 2000; ++i) {
      Counted* c = make<Counted>();
      c->other = mine;
      mine = i % 50 == 0 ? nullptr : c;
      make<Node>();
    }
    keep_alive(mine);
  };
  for (int round = 0; round < 5; ++round) {
    std::thread a(work);
    std::thread b(work);
    for (int i = 0; i < 10; ++i) gc::collector.collect(gc::CycleReason::forced, true);
    a.join();
    b.join();
  }
  CHECK(Counted::born == 20'000);
  gc::collector.collect(gc::CycleReason::forced, true);
  run_cleanups();
  CHECK(Counted::dead > 19'000);  // a stale word on a stack may keep a few
  gc::collector.shutdown();
  CHECK(Counted::dead == Counted::born);
}
