#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <gort/alloc/scavenger.h>
#include <gort/base/clock.h>
#include <gort/base/metadata.h>
#include <gort/tests/alloc/page_fixture.h>
#include <gort/tests/support/asleep.h>
#include <gort/tests/support/child.h>
#include <gort/tests/support/eventually.h>
#include <gort/tests/support/scale.h>
#include <gort/tests/support/smaps.h>

// The thread itself. The tests play the collector: they say that a cycle has ended. What they wait
// for happens within a second or two; they give up after much longer only because the machine may
// be busy.

using namespace gort;
using namespace gort::alloc;
using gort_test::EmptyHeap;

namespace {

using namespace std::chrono_literals;

// The heap with a scavenger, and objects that are touched, so that they are resident.
struct Scavenged {
  EmptyHeap empty;
  std::vector<PageRun> runs;

  Scavenged() { scavenger.start(); }
  ~Scavenged() { scavenger.stop(); }

  void fill(std::size_t bytes) {
    for (std::size_t done = 0; done < bytes; done += 1_MiB) {
      runs.push_back(empty.allocate(Pages::holding(1_MiB).count()));
      std::memset(reinterpret_cast<void*>(runs.back().start), 1, 1_MiB);
    }
  }
  // What free_span does.
  void free_all_but(std::size_t keep) {
    for (std::size_t i = keep; i < runs.size(); ++i) {
      empty.free(runs[i]);
      scavenger.note_free();
    }
    runs.resize(keep);
  }
  // Two cycles, the last of which says that the next one needs `goal` bytes in all.
  static void cycles(std::size_t goal) {
    heap.flip_sweepgen();
    scavenger.cycle_ended(4_MiB, 4_MiB);
    heap.flip_sweepgen();
    // in_use_at_flip is 0 here, as these runs are no spans; say the goal by way of the limit.
    static std::size_t limit;
    limit = static_cast<std::size_t>(static_cast<double>(goal + metadata_bytes()) / kLimitShare);
    scavenger.settings_changed([] { return 4_MiB; }, [] { return limit; });
  }
  static std::size_t metadata_bytes() { return metadata::bytes(); }
};

template <class F>
bool eventually(F&& f) {
  return gort_test::eventually(30s, f);
}

bool resting() { return scavenger.figures().resting; }

// The ids of this process's threads of that name.
std::vector<std::string> threads_named(const std::string& name) {
  std::vector<std::string> found;
  DIR* dir = ::opendir("/proc/self/task");
  if (dir == nullptr) return found;
  while (const dirent* entry = ::readdir(dir)) {
    std::ifstream comm(std::string("/proc/self/task/") + entry->d_name + "/comm");
    std::string text;
    if (std::getline(comm, text) && text == name) found.emplace_back(entry->d_name);
  }
  ::closedir(dir);
  return found;
}

std::string status_line(const std::string& thread, const std::string& key) {
  std::ifstream status("/proc/self/task/" + thread + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(key, 0) == 0) return line.substr(key.size());
  }
  return {};
}

}  // namespace

TEST_CASE("memory falls to the goal without any activity, and no further", "[alloc][scavenger]") {
  Scavenged h;
  h.fill(100_MiB);
  h.free_all_but(20);
  const std::size_t goal = 40_MiB;
  Scavenged::cycles(goal);
  // Nothing allocates, frees or collects from here on.
  REQUIRE(eventually([&] { return heap.pages.resident() <= goal + 64_KiB; }));
  REQUIRE(eventually(resting));
  h.empty.check();
  const std::size_t resident = heap.pages.resident();
  CHECK(resident > goal - 2_MiB - 64_KiB);  // at most a huge page too much
  // The kernel says the same as the books, within 4 %.
  const std::uintptr_t end = place_address(window.arena_limit.load_relaxed());
  const auto in_smaps = static_cast<double>(gort_test::resident_in_smaps(window.base, end));
  CHECK(in_smaps == Approx(static_cast<double>(resident)).epsilon(0.04));
  std::this_thread::sleep_for(50ms);
  CHECK(heap.pages.resident() == resident);
  CHECK(scavenger.excess() == 0);
}

TEST_CASE("the scavenger gives back the highest addresses first", "[alloc][scavenger]") {
  Scavenged h;
  h.fill(64_MiB);
  h.free_all_but(0);
  Scavenged::cycles(30_MiB);
  REQUIRE(eventually([] { return heap.pages.resident() <= 30_MiB + 64_KiB; }));
  REQUIRE(eventually(resting));
  const auto* low = reinterpret_cast<const void*>(window.base);
  CHECK(os::resident_bytes_of(low, 26_MiB) == 26_MiB);
  CHECK(os::resident_bytes_of(reinterpret_cast<const void*>(window.base + 32_MiB), 32_MiB) == 0);
}

TEST_CASE("without a goal there is no scavenger's thread", "[alloc][scavenger]") {
  Scavenged h;
  h.fill(10_MiB);
  h.free_all_but(0);
  CHECK(threads_named("gort-scavenger").empty());
  heap.flip_sweepgen();
  scavenger.cycle_ended(4_MiB, 4_MiB);  // the first cycle sets no goal
  CHECK_FALSE(scavenger.figures().running);
  CHECK(threads_named("gort-scavenger").empty());
  CHECK(heap.pages.idle() == 10_MiB);
  heap.flip_sweepgen();
  scavenger.cycle_ended(4_MiB, 4_MiB);
  CHECK(scavenger.figures().running);
  CHECK(eventually([] { return heap.pages.idle() == 0; }));
  CHECK(threads_named("gort-scavenger").size() == 1);
  scavenger.stop();
  CHECK(eventually([] { return threads_named("gort-scavenger").empty(); }));
  CHECK_FALSE(scavenger.figures().running);
}

TEST_CASE("with nothing to do the scavenger sleeps and uses no processor", "[alloc][scavenger]") {
  Scavenged h;
  h.fill(10_MiB);
  Scavenged::cycles(20_MiB);
  REQUIRE(eventually(resting));
  const std::vector<std::string> threads = threads_named("gort-scavenger");
  REQUIRE(threads.size() == 1);
  REQUIRE(eventually([&] { return gort_test::asleep(std::stoi(threads[0])); }));
  const std::string before = status_line(threads[0], "voluntary_ctxt_switches:");
  const auto figures = scavenger.figures();
  std::this_thread::sleep_for(100ms);
  CHECK(status_line(threads[0], "voluntary_ctxt_switches:") == before);
  CHECK(scavenger.figures().pieces == figures.pieces);
  // Frees below the goal do not wake it either.
  h.free_all_but(5);
  std::this_thread::sleep_for(20ms);
  CHECK(scavenger.figures().wakes == figures.wakes);
  CHECK(status_line(threads[0], "SigBlk:").find_first_not_of("\t f7ebc") == std::string::npos);
}

TEST_CASE("the scavenger wakes when pages become idle", "[alloc][scavenger]") {
  Scavenged h;
  h.fill(30_MiB);
  Scavenged::cycles(0);  // everything is too much, but nothing is idle
  REQUIRE(eventually(resting));
  CHECK(heap.pages.used() == 30_MiB);
  for (const std::size_t keep : {20U, 10U, 0U}) {
    CAPTURE(keep);
    h.free_all_but(keep);
    REQUIRE(eventually([] { return heap.pages.idle() == 0; }));
    REQUIRE(eventually(resting));
  }
  CHECK(heap.pages.resident() == 0);
}

TEST_CASE("the scavenger wakes when a thread's cache gives pages back", "[alloc][scavenger]") {
  Scavenged h;
  h.fill(30_MiB);
  ThreadCache cache;
  h.empty.free(h.runs.back());
  h.runs.pop_back();
  REQUIRE(h.empty.fill(cache.pages));
  REQUIRE(cache.pages.idle_bytes() > 0);
  Scavenged::cycles(0);
  REQUIRE(eventually([] { return heap.pages.idle() == 0; }));
  REQUIRE(eventually(resting));
  cache.flush_pages();
  CHECK(eventually([] { return heap.pages.idle() == 0; }));
  REQUIRE(cache.pages.empty());
  h.free_all_but(0);
}

TEST_CASE("the scavenger wakes when the heap grows past the goal", "[alloc][scavenger]") {
  Scavenged h;
  h.fill(20_MiB);
  std::swap(h.runs[10], h.runs.back());  // the last stays: none of the idle pages are at the end
  h.free_all_but(11);
  Scavenged::cycles(25_MiB);
  REQUIRE(eventually(resting));
  CHECK(heap.pages.idle() == 9_MiB);
  // It fits into none of the idle pages, so the heap grows: 20 + 30 > 25.
  heap.allocate_large(30_MiB, true, 0);
  CHECK(eventually([] { return heap.pages.idle() == 0; }));
  heap.free_everything();
}

TEST_CASE("the scavenger wakes when a span is freed", "[alloc][scavenger]") {
  Scavenged h;
  h.fill(1_MiB);
  Scavenged::cycles(0);
  REQUIRE(eventually(resting));
  heap.allocate_large(10_MiB, true, 0);
  heap.free_everything();
  CHECK(eventually([] { return heap.pages.idle() == 0; }));
}

TEST_CASE("the scavenger wakes when a span wants more pages than are left in a cache",
          "[alloc][scavenger]") {
  Scavenged h;
  const PageRun low = h.empty.allocate(PageCache::kBlockPages);
  const PageRun high = h.empty.allocate(PageCache::kBlockPages);
  h.empty.free(high);
  PageCache cache;
  REQUIRE(h.empty.fill(cache));
  while (cache.idle_bytes() > kPageSize) cache.allocate(Pages(1));  // one idle page is left
  h.empty.free(low);                                                // the cache's next block
  Scavenged::cycles(0);
  REQUIRE(eventually([] { return heap.pages.idle() == 0; }));
  REQUIRE(eventually(resting));
  Span* const span =
      heap.allocate_small_span(base_span_class(size_class_of(kMaxSmallSize), true), &cache);
  REQUIRE(span != nullptr);
  CHECK(span->start == low.start);
  CHECK(eventually([] { return heap.pages.idle() == 0; }));
  heap.free_span(span);
  h.empty.flush(cache);
}

TEST_CASE("the scavenger wakes when the goal falls", "[alloc][scavenger]") {
  Scavenged h;
  h.fill(20_MiB);
  h.free_all_but(5);
  Scavenged::cycles(25_MiB);
  for (const std::size_t goal : {22_MiB, 15_MiB, 8_MiB}) {
    REQUIRE(eventually(resting));
    Scavenged::cycles(goal);
    CHECK(eventually([&] { return heap.pages.resident() <= goal + 64_KiB; }));
  }
}

TEST_CASE("no wake-up of the scavenger is lost", "[alloc][scavenger][threads]") {
  // Frees race with the thread's way into its rest; each must be seen without a second one.
  Scavenged h;
  Scavenged::cycles(0);
  for (int i = 0; i < gort_test::scaled(1000); ++i) {
    const PageRun first = h.empty.allocate(1);
    const PageRun second = h.empty.allocate(1 + static_cast<std::size_t>(i % 7));
    scavenger.note_growth(heap.pages.resident());
    h.empty.free(first);
    scavenger.note_free();
    while (heap.pages.idle() != 0) std::this_thread::yield();
    for (int spin = 0; spin < i * 150; ++spin) asm volatile("" ::: "memory");
    h.empty.free(second);
    scavenger.note_free();
    REQUIRE(eventually([] { return heap.pages.idle() == 0; }));
  }
}

TEST_CASE("the scavenger keeps to one percent of the processors", "[alloc][scavenger]") {
  Scavenged h;
  const auto before = scavenger.figures();
  const std::int64_t start = now_ns();
  std::atomic<bool> stop{false};
  Scavenged::cycles(0);
  // More work than it may do, all the time: single pages, every other one.
  std::thread mutator([&] {
    while (!stop) {
      std::vector<PageRun> pages;
      for (int i = 0; i < 512; ++i) {
        pages.push_back(h.empty.allocate(1));
        *reinterpret_cast<char*>(pages.back().start) = 1;
      }
      scavenger.note_growth(heap.pages.resident());
      for (const std::size_t odd : {0U, 1U}) {
        for (std::size_t i = odd; i < pages.size(); i += 2) {
          h.empty.free(pages[i]);
          scavenger.note_free();
        }
      }
    }
  });
  std::this_thread::sleep_for(1500ms);
  stop = true;
  mutator.join();
  const auto after = scavenger.figures();
  const auto time = static_cast<double>(now_ns() - start + ScavengePacer::kBurst);
  const double share = kScavengeShare * static_cast<double>(os::processors());
  const auto worked = static_cast<double>(after.worked_ns - before.worked_ns);
  CHECK(after.released_bytes > before.released_bytes);
  // Nearly all of the time if nothing held it back. The exact law is scavenge_policy_test's: here a
  // busy machine may make one release, the last, take much longer than a quantum.
  INFO("worked " << worked << " ns, its share is " << share * time << " ns");
  CHECK(worked < 2 * share * time);
}

TEST_CASE("a child of fork gets a scavenger of its own, on demand", "[alloc][scavenger][fork]") {
#if GORT_TSAN
  WARN("not tested: the thread sanitizer does not allow threads after a fork");
  return;
#endif
  Scavenged h;
  h.fill(60_MiB);
  h.free_all_but(0);
  const auto pieces = [] { return scavenger.figures().pieces; };
  std::uint64_t seen = pieces();
  Scavenged::cycles(0);
  REQUIRE(eventually([&] { return pieces() > seen; }));
  std::atomic<bool> stop{false};
  std::atomic<bool> begun{false};
  std::thread other([&] {
    while (!stop) {
      const PageRun run = h.empty.allocate(3);
      scavenger.note_growth(heap.pages.resident());
      h.empty.free(run);
      scavenger.note_free();
      begun = true;
    }
  });
  // Under the address sanitizer a thread that is starting at the fork leaves malloc locked in the
  // child, whose scavenger would wait for it: see tests/gc/fork_test.cpp.
  while (!begun) std::this_thread::yield();
  bool well = true;
  for (int i = 0; i < 20 && well; ++i) {
    // Where it has given back one piece the scavenger is about to give back the next.
    for (seen = pieces(); pieces() == seen && heap.pages.idle() > 1_MiB;) std::this_thread::yield();
    const auto result = gort_test::in_child([&h] {
      h.empty.check();  // whole: no piece is on its way in a thread that does not exist
      if (scavenger.figures().running) ::_exit(1);
      if (!threads_named("gort-scavenger").empty()) ::_exit(2);
      h.fill(10_MiB);
      h.free_all_but(0);
      const std::size_t idle = heap.pages.idle();
      Scavenged::cycles(0);
      // How long all of it takes is a matter of the pace: a hundred times what the first piece
      // took.
      if (!eventually([idle] { return heap.pages.idle() < idle; })) ::_exit(3);
      if (threads_named("gort-scavenger").size() != 1) ::_exit(4);
      scavenger.stop();
      if (!eventually([] { return threads_named("gort-scavenger").empty(); })) ::_exit(5);
      h.empty.check();
    });
    CHECK(result.errors.empty());
    CHECK(result.exit_code == 0);
    well = result.exit_code == 0;
  }
  stop = true;
  other.join();
  CHECK(eventually([] { return heap.pages.idle() == 0; }));
}

TEST_CASE("the scavenger stops and starts again, at any moment", "[alloc][scavenger]") {
  Scavenged h;
  for (int i = 0; i < 50; ++i) {
    h.fill(4_MiB);
    h.free_all_but(0);
    Scavenged::cycles(0);
    std::this_thread::sleep_for(std::chrono::microseconds(i * 40));
    scavenger.stop();
    CHECK_FALSE(scavenger.figures().running);
    CHECK(scavenger.goal() == kNoGoal);
    h.empty.check();
    scavenger.start();
  }
}

TEST_CASE("a scavenger's thread that the system refuses is made at the next cycle",
          "[alloc][scavenger][oom]") {
#if GORT_ASAN || GORT_TSAN
  WARN("not tested: sanitizers need address space for themselves");
  return;
#endif
  const auto result = gort_test::in_child([] {
    Scavenged h;
    h.fill(4_MiB);
    h.free_all_but(0);
    // Threads that have ended leave their stacks to the next ones: use those up first.
    std::vector<std::thread> others(16);
    for (std::thread& other : others) {
      other = std::thread([] { std::this_thread::sleep_for(1h); });
      other.detach();
    }
    rlimit before{};
    ::getrlimit(RLIMIT_AS, &before);
    rlimit none = before;
    none.rlim_cur = 1_MiB;
    ::setrlimit(RLIMIT_AS, &none);
    Scavenged::cycles(0);
    if (scavenger.figures().running) ::_exit(1);
    ::setrlimit(RLIMIT_AS, &before);
    Scavenged::cycles(0);
    if (!scavenger.figures().running) ::_exit(2);
    if (!eventually([] { return heap.pages.idle() == 0; })) ::_exit(3);
  });
  CHECK(result.errors.empty());
  CHECK(result.exit_code == 0);
}

TEST_CASE("memory that is locked in place does not keep the scavenger busy",
          "[alloc][scavenger][oom]") {
  Scavenged h;
  h.fill(8_MiB);
  const auto before = scavenger.figures();
  os::fail_call_for_test(1, true);
  h.free_all_but(0);
  Scavenged::cycles(0);
  REQUIRE(eventually(resting));
  CHECK(scavenger.figures().pieces - before.pieces < 5);
  CHECK(heap.pages.idle() == 8_MiB);
  os::fail_call_for_test(0);
  h.fill(1_MiB);  // the next free is a new chance
  h.free_all_but(0);
  CHECK(eventually([] { return heap.pages.idle() == 0; }));
}
