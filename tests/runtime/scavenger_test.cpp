#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <regex>
#include <system_error>
#include <thread>
#include <vector>

#include <gort/alloc/heap.h>
#include <gort/alloc/scavenger.h>
#include <gort/base/counters.h>
#include <gort/base/os.h>
#include <gort/gc/collector.h>
#include <gort/runtime/scavtrace.h>
#include <gort/tests/runtime/fixture.h>
#include <gort/tests/support/asleep.h>
#include <gort/tests/support/child.h>
#include <gort/tests/support/eventually.h>
#include <gort/tests/support/scale.h>
#include <gort/tests/support/smaps.h>

// The scavenger behind the front door: what a program sees of it.

using namespace gort;
using namespace std::chrono_literals;

namespace {

struct Runtime : gort_test::Runtime {
  explicit Runtime(Options options = {}) : gort_test::Runtime(gort_test::exact(options)) {}
};

struct Node {
  Ref<Node> next;
  char payload[1000];
  GORT_FIELDS(Node, next);
};

// A list of about `bytes`, all of it written to.
void build(Root<Node>& list, std::size_t bytes) {
  for (std::size_t done = 0; done < bytes; done += sizeof(Node)) {
    Node* node = make<Node>();
    std::memset(node->payload, 1, sizeof node->payload);
    node->next = list.get();
    list = node;
  }
}

template <class F>
bool eventually(F&& f) {
  return gort_test::eventually(60s, f);
}

long long resident_arenas() {
  const std::size_t limit = alloc::window.arena_limit.load_relaxed();
  return gort_test::resident_in_smaps(alloc::window.base, alloc::place_address(limit));
}

// What the ledger says is resident of the arenas.
std::size_t resident_places(const Ledger& l) {
  return l[Place::live] + l[Place::map_live] + l[Place::map_dead] + l[Place::awaiting_sweep] +
         l[Place::span_free] + l[Place::span_waste] + l[Place::page_free];
}

}  // namespace

TEST_CASE("a dropped heap falls in the background, without allocation", "[runtime][scavenger]") {
  Runtime runtime;
  Root<Node> keep;
  build(keep, 10_MiB);
  {
    Root<Node> dropped;
    build(dropped, 150_MiB);
    collect();
    collect();  // the scavenger has no goal before the second cycle
  }
  collect();
  // From here on nobody allocates. (It may not have woken up for the last goal yet.)
  REQUIRE(eventually(
      [] { return alloc::scavenger.figures().resting && alloc::scavenger.excess() < 100_KiB; }));
  const Ledger after = ledger();
  CHECK(after[Reason::scavenger_pace] < 100_KiB);
  CHECK(after[Place::page_free] < 30_MiB);
  CHECK(after[Place::returned] > 120_MiB);
  CHECK(static_cast<double>(resident_arenas()) ==
        Approx(static_cast<double>(resident_places(after))).epsilon(0.04));
}

TEST_CASE("the ledger says why idle pages are still there", "[runtime][scavenger][ledger]") {
  Options options;
  options.gc_percent = -1;
  Runtime runtime(options);
  {
    Root<Node> dropped;
    build(dropped, 40_MiB);
  }
  collect();
  // One cycle, no goal yet: all of it is retained.
  const Ledger retained = ledger();
  CHECK(retained[Place::page_free] > 30_MiB);
  CHECK(retained[Reason::scavenger_pace] == 0);
  CHECK(retained[Reason::scavenger_goal] == retained[Place::page_free]);
  // A limit that nothing can meet: all of it is on its way, or gone.
  set_memory_limit(0);
  const Ledger on_its_way = ledger();
  CHECK(on_its_way[Reason::scavenger_goal] == 0);
  CHECK(on_its_way[Reason::scavenger_pace] == on_its_way[Place::page_free]);
  REQUIRE(eventually([] { return alloc::scavenger.figures().resting; }));
  CHECK(ledger()[Place::page_free] == 0);
}

TEST_CASE("the kernel's figure and the ledger agree at every stage of a heap",
          "[runtime][scavenger][ledger]") {
  Options options;
  options.gc_percent = -1;
  options.background_scavenger = false;
  Runtime runtime(options);
  Root<Node> keep;
  const auto agree = [] {
    const Ledger l = ledger();
    const auto booked = static_cast<double>(resident_places(l));
    const auto resident = static_cast<double>(resident_arenas());
    CHECK(resident == Approx(booked).epsilon(0.04));
    return booked;
  };
  build(keep, 120_MiB);
  CHECK(agree() >= 120e6);
  for (Node* n = keep.get(); n != nullptr; n = n->next) {  // every second one dies
    if (n->next != nullptr) n->next = n->next->next.get();
  }
  collect();
  CHECK(agree() >= 120e6);  // pinned by their neighbours
  release_os_memory();
  CHECK(agree() >= 120e6);
  Root<Node> more;
  build(more, 60_MiB);  // into the holes
  agree();
  keep = nullptr;
  collect();
  agree();
  release_os_memory();
  agree();
  build(keep, 100_MiB);  // over what was given back
  CHECK(agree() >= 160e6);
}

TEST_CASE("a memory limit brings resident memory below it, in the background",
          "[runtime][scavenger]") {
  Options options;
  options.gc_percent = -1;
  Runtime runtime(options);
  Root<Node> keep;
  build(keep, 20_MiB);
  {
    Root<Node> dropped;
    build(dropped, 100_MiB);
  }
  collect();  // with the collector off and one cycle there is no other goal
  CHECK(alloc::scavenger.goal() == alloc::kNoGoal);
  CHECK(ledger()[Place::page_free] > 80_MiB);
  set_memory_limit(64_MiB);
  REQUIRE(eventually([] {
    const Ledger l = ledger();
    return resident_places(l) + l[Place::metadata] <= 64_MiB * 95 / 100 + 64_KiB;
  }));
  CHECK(ledger()[Place::page_free] > 20_MiB);  // and not much further
}

TEST_CASE("what goes back is counted by its reason", "[runtime][scavenger]") {
  struct GivenBack {
    std::uint64_t goal = counters.scavenged_goal_bytes.load_relaxed();
    std::uint64_t limit = counters.scavenged_limit_bytes.load_relaxed();
    std::uint64_t request = counters.scavenged_request_bytes.load_relaxed();
    std::uint64_t total = counters.scavenged_bytes.load_relaxed();
  };
  const auto drop = [](std::size_t bytes) {
    Root<Node> dropped;
    build(dropped, bytes);
  };
  const auto all_gone = [] { return ledger()[Place::page_free] == 0; };
  Options options;
  options.gc_percent = -1;
  const GivenBack start;
  {
    Options alone = options;
    alone.background_scavenger = false;
    Runtime runtime(alone);
    drop(60_MiB);
    release_os_memory();
  }
  const GivenBack asked;
  CHECK(asked.request - start.request > 50_MiB);
  CHECK(asked.total - start.total == asked.request - start.request);
  Runtime runtime(options);
  Root<Node> keep;
  build(keep, 1_MiB);  // so that the next cycle needs something, and the limit is the lower goal
  drop(60_MiB);
  set_memory_limit(0);
  collect();
  REQUIRE(eventually(all_gone));
  const GivenBack limited;
  CHECK(limited.limit - asked.limit > 50_MiB);
  CHECK(limited.request == asked.request);
  set_memory_limit(kNoMemoryLimit);
  set_gc_percent(100);
  drop(60_MiB);
  collect();
  collect();  // hardly anything lives, so hardly anything is kept
  REQUIRE(eventually(
      [&limited] { return counters.scavenged_goal_bytes.load_relaxed() - limited.goal > 10_MiB; }));
  CHECK(counters.scavenged_request_bytes.load_relaxed() == asked.request);
  REQUIRE(eventually([] { return alloc::scavenger.figures().resting; }));
  const GivenBack end;
  CHECK(end.total - start.total ==
        (end.goal - start.goal) + (end.limit - start.limit) + (end.request - start.request));
}

TEST_CASE("with larger pages of the system, what is left of one stays and is named",
          "[runtime][scavenger][ledger]") {
  struct LargePages {
    LargePages() { os::set_page_size_for_test(64_KiB); }
    ~LargePages() { os::set_page_size_for_test(0); }
  } const large_pages;
  Options options;
  options.gc_percent = -1;
  Runtime runtime(options);
  Root<Node> keep;
  std::uintptr_t address = 0;
  {
    // Eight nodes a page, eight pages one of the system's: one node in each of those stays.
    Root<Node> dropped;
    for (int i = 0; i < 16'384; ++i) {
      Root<Node>& list = i % 64 == 0 ? keep : dropped;
      build(list, 1);
      if (i == 8192 + 32) address = reinterpret_cast<std::uintptr_t>(list.get());
    }
  }
  collect();
  const Ledger before = ledger();
  CHECK(before[Reason::page_too_small] > 12_MiB);
  CHECK(before[Reason::page_too_small] + before[Reason::scavenger_goal] ==
        before[Place::page_free]);
  const Location at = where_is(reinterpret_cast<const void*>(address));
  CHECK(at.place == Place::page_free);
  REQUIRE(at.reason);
  CHECK(*at.reason == Reason::page_too_small);
  CHECK_THAT(at.text(), Catch::Contains("the death of the neighbouring spans"));
  // The thread gives back what it can, and rests on the rest.
  set_memory_limit(0);
  REQUIRE(eventually([] { return alloc::scavenger.figures().resting; }));
  const Ledger pinned = ledger();
  CHECK(pinned[Reason::page_too_small] > 12_MiB);
  CHECK(pinned[Reason::page_too_small] == pinned[Place::page_free]);
  const auto agree = [](const Ledger& l) {
    CHECK(static_cast<double>(resident_arenas()) ==
          Approx(static_cast<double>(resident_places(l))).epsilon(0.04).margin(256_KiB));
  };
  agree(pinned);
  keep = nullptr;
  collect();
  REQUIRE(eventually([] { return ledger()[Place::page_free] < 128_KiB; }));
  const Ledger after = ledger();
  CHECK(after[Place::returned] >= before[Place::returned] + before[Place::page_free]);
  agree(after);
}

TEST_CASE("after release_os_memory the process is as small as at its start",
          "[runtime][scavenger]") {
#if GORT_ASAN || GORT_TSAN
  WARN("not tested: the C library's malloc, which sanitizers watch, keeps what the records took");
  return;
#endif
  Options options;
  options.background_scavenger = false;
  Runtime runtime(options);
  collect();  // the collector's thread is there
  const std::size_t before = os::resident_bytes();
  {
    Root<Node> dropped;
    build(dropped, 256_MiB);
    CHECK(os::resident_bytes() > before + 256_MiB);
  }
  release_os_memory();
  // Objects, span records and all; what is left is page tables, 64 KiB for each 64 MiB.
  CHECK(os::resident_bytes() < before + 4_MiB);
}

TEST_CASE("release_os_memory gives everything back while others allocate",
          "[runtime][scavenger][threads]") {
  Runtime runtime;
  {
    Root<Node> dropped;
    build(dropped, 100_MiB);
  }
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> lists{0};
  std::thread other([&] {
    AttachThread attach;
    while (!stop) {
      Root<Node> list;
      build(list, 100'000);
      ++lists;
    }
  });
  const std::uint64_t before = counters.scavenged_bytes.load_relaxed();
  release_os_memory();
  CHECK(counters.scavenged_bytes.load_relaxed() - before > 20_MiB);  // some of it has gone already
  for (int i = 0; i < 20 || lists == 0; ++i) release_os_memory();
  stop = true;
  {
    const Blocking blocking;
    other.join();
  }
  release_os_memory();
  const Ledger l = ledger();
  CHECK(l[Place::page_free] == 0);
  CHECK(static_cast<double>(resident_arenas()) <= static_cast<double>(resident_places(l)) * 1.04);
  CHECK(lists > 0);
}

TEST_CASE("the ledger closes while the scavenger is at work", "[runtime][scavenger][ledger]") {
  Runtime runtime;
  {
    Root<Node> dropped;
    build(dropped, 64_MiB);
  }
  collect();
  set_memory_limit(0);
  // ledger() aborts if the places do not sum to what is mapped.
  for (int i = 0; i < 200; ++i) {
    const Ledger l = ledger();
    const MemStats s = mem_stats();
    REQUIRE(l.sum() == l.mapped);
    REQUIRE(s.HeapSys == s.HeapInuse + s.HeapIdle);
    REQUIRE(s.HeapIdle >= s.HeapReleased);
  }
}

TEST_CASE("the background scavenger can be left out", "[runtime][scavenger]") {
  Options options;
  options.background_scavenger = false;
  Runtime runtime(options);
  {
    Root<Node> dropped;
    build(dropped, 20_MiB);
  }
  for (int i = 0; i < 3; ++i) collect();
  set_memory_limit(0);
  CHECK_FALSE(alloc::scavenger.figures().running);
  const Ledger l = ledger();
  CHECK(l[Place::page_free] > 10_MiB);
  CHECK(l[Reason::scavenger_pace] == 0);
  CHECK(l[Reason::scavenger_off] == l[Place::page_free]);
}

TEST_CASE("ledger and where_is agree about which idle pages are above the goal",
          "[runtime][scavenger][ledger][where_is]") {
  Options options;
  options.gc_percent = -1;
  options.background_scavenger = false;
  const Runtime runtime(options);
  {
    Root<Node> dropped;
    build(dropped, 20_MiB);
  }
  collect();
  set_memory_limit(10_MiB);
  const Ledger l = ledger();
  CHECK(l[Reason::scavenger_off] > 5_MiB);
  CHECK(l[Reason::scavenger_goal] > 5_MiB);
  std::size_t above = 0, within = 0;
  std::uintptr_t lowest_above = UINTPTR_MAX, highest_within = 0;
  const std::uintptr_t end = alloc::place_address(alloc::window.arena_limit.load_relaxed());
  for (std::uintptr_t page = alloc::window.base; page < end; page += kPageSize) {
    const Location at = where_is(reinterpret_cast<const void*>(page));
    if (at.place != Place::page_free) continue;
    if (at.reason == Reason::scavenger_off) {
      above += kPageSize;
      lowest_above = std::min(lowest_above, page);
    } else {
      CHECK(at.reason == Reason::scavenger_goal);
      within += kPageSize;
      highest_within = std::max(highest_within, page);
    }
  }
  CHECK(above + within == l[Place::page_free]);
  CHECK(above - l[Reason::scavenger_off] < kPageSize);  // whole pages
  CHECK(highest_within < lowest_above);
}

// Who has stopped the world needs these locks: it would wait for ever for a thread that a signal
// had stopped with one of them.
TEST_CASE("a thread that changes the settings takes locks in the runtime", "[runtime][scavenger]") {
  Options options;
  options.background_scavenger = false;
  const Runtime runtime(options);
  const bool limit = GENERATE(false, true);
  std::atomic<gc::Thread*> thread{nullptr};
  std::atomic<pid_t> changing{0};
  std::atomic<bool> go{false};
  std::thread changes([&] {
    const AttachThread attach;
    thread = gc::World::current();
    while (!go) std::this_thread::yield();
    changing = ::gettid();
    if (limit) {
      set_memory_limit(1_GiB);
    } else {
      set_gc_percent(200);
    }
  });
  while (thread == nullptr) std::this_thread::yield();
  std::atomic<pid_t> releasing{0};
  std::thread releases;
  {
    LockGuard guard(alloc::heap.pages.lock);
    releases = std::thread([&] {  // waits for that lock with the scavenger's
      releasing = ::gettid();
      alloc::scavenger.release_all();
    });
    while (releasing == 0 || !gort_test::asleep(releasing)) std::this_thread::yield();
    go = true;
    while (changing == 0 || !gort_test::asleep(changing)) std::this_thread::yield();
    CHECK(thread.load()->runtime_depth.load_relaxed() > 0);
  }
  const Blocking blocking;
  releases.join();
  changes.join();
}

// Each used to hand the scavenger what it had set itself, and the other's could arrive last.
TEST_CASE("of two limits that are set at the same time, collector and scavenger keep the same",
          "[runtime][scavenger]") {
  const Runtime runtime(Options{.gc_percent = -1});
  constexpr unsigned kRounds = gort_test::scaled(20'000U);
  std::atomic<unsigned> round{0};
  std::atomic<unsigned> done{0};
  std::thread other([&] {
    for (unsigned i = 1; i <= kRounds; ++i) {
      while (round < i) std::this_thread::yield();
      set_memory_limit(2_GiB);
      done = i;
    }
  });
  unsigned apart = 0;
  for (unsigned i = 1; i <= kRounds; ++i) {
    round = i;
    set_memory_limit(1_GiB);
    while (done < i) std::this_thread::yield();
    const bool first = alloc::scavenger.goal() < 1_GiB;
    if (first != (gc::collector.memory_limit() == 1_GiB)) ++apart;
  }
  other.join();
  CHECK(apart == 0);
}

#if !GORT_TSAN  // no signal is installed there that could be refused
TEST_CASE("a start that fails leaves no scavenger behind", "[runtime][scavenger]") {
  Options options;
  options.stop_signal = SIGKILL;
  CHECK_THROWS_AS(start(options), std::system_error);
  options = {};
  options.background_scavenger = false;
  options.memory_limit = 1_GiB;
  Runtime runtime(options);
  CHECK_FALSE(alloc::scavenger.figures().running);
}
#endif

TEST_CASE("a scavtrace line has Go's shape", "[runtime][scavenger]") {
  CHECK(scavtrace_line(3_MiB, 10_MiB, 5_MiB, 20_MiB, false) ==
        "scav 3072 KiB work, 10240 KiB total, 25% util");
  CHECK(scavtrace_line(1023, 1024, 0, 0, true) == "scav 0 KiB work, 1 KiB total, 0% util (forced)");
}

TEST_CASE("scavtrace=1 prints a line a cycle and one for each release", "[runtime][scavenger]") {
  const auto result = gort_test::in_child([] {
    ::setenv("GORT_DEBUG", "scavtrace=1", 1);
    start();
    {
      Root<Node> dropped;
      build(dropped, 3_MiB);
    }
    collect();
    release_os_memory();
    shutdown();
  });
  CHECK(result.exit_code == 0);
  const std::regex line("scav [0-9]+ KiB work, [0-9]+ KiB total, [0-9]+% util( \\(forced\\))?\n");
  std::size_t lines = 0;
  std::size_t forced = 0;
  std::size_t length = 0;
  for (std::sregex_iterator i(result.errors.begin(), result.errors.end(), line), end; i != end;
       ++i) {
    ++lines;
    forced += (*i)[1].matched;
    length += static_cast<std::size_t>(i->length());
  }
  CAPTURE(result.errors);
  CHECK(lines == 3);
  CHECK(forced == 1);
  CHECK(length == result.errors.size());  // nothing else is printed
}
