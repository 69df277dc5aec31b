#include <catch2/catch.hpp>

#include <cstring>
#include <new>
#include <vector>

#include <sys/syscall.h>
#include <unistd.h>

#include <gort/base/counters.h>
#include <gort/base/metadata.h>
#include <gort/tests/alloc/page_fixture.h>

// The operating system refuses: every single call of a run in turn, then every call from one on.
// Whatever is refused, the books must still be exact, what is allocated keeps its contents, and
// when the system is willing again everything works.

using namespace gort;
using namespace gort::alloc;
using gort_test::EmptyHeap;

namespace {

// Touches everything that talks to the system: growth inside an arena and across several, a run
// with alignment, a page cache, scavenging in pieces and of everything, reuse, growth again.
// Returns the number of refusals it saw.
int exercise(EmptyHeap& empty) {
  int refused = 0;
  std::vector<PageRun> live;
  auto take = [&](std::size_t n, std::size_t alignment = 1) {
    const std::size_t before = empty.pages.used();
    const PageRun run = empty.allocate(n, alignment);
    if (!run) {
      ++refused;
      REQUIRE(empty.pages.used() == before);
      return;
    }
    REQUIRE(empty.pages.used() == before + n * kPageSize);
    *reinterpret_cast<std::uint64_t*>(run.start) = run.start;
    *reinterpret_cast<std::uint64_t*>(run.start + run.pages.bytes() - 8) = run.start;
    live.push_back(run);
  };
  auto drop = [&](std::size_t i) {
    if (i >= live.size()) return;
    REQUIRE(*reinterpret_cast<std::uint64_t*>(live[i].start) == live[i].start);
    REQUIRE(*reinterpret_cast<std::uint64_t*>(live[i].start + live[i].pages.bytes() - 8) ==
            live[i].start);
    empty.free(live[i]);
    live.erase(live.begin() + static_cast<long>(i));
  };
  take(1);
  take(kChunkPages);
  take(100, 64);
  take(3 * kArenaPages);
  PageCache cache;
  if (!empty.fill(cache)) {
    ++refused;
    REQUIRE(cache.empty());
  }
  if (const PageRun run = cache.allocate(Pages(3))) {
    empty.check(cache.returned_bytes());
    empty.free(run);
  }
  empty.flush(cache);
  empty.check();
  drop(1);
  const std::uint64_t refusals = counters.os_refusals.load_relaxed();
  if (empty.pages.idle() >= 64_KiB) {
    const std::size_t done = empty.pages.scavenge(64_KiB);
    refused += done < 64_KiB || counters.os_refusals.load_relaxed() != refusals;
  }
  empty.check();
  drop(1);
  take(7);
  take(kChunkPages, kChunkPages);
  drop(0);
  const std::size_t idle = empty.pages.idle();
  if (empty.pages.scavenge_all() < idle) ++refused;
  empty.check();
  take(4 * kArenaPages);
  take(2 * kArenaPages, kArenaPages);
  while (!live.empty()) drop(live.size() - 1);
  empty.check();
  const std::size_t rest = empty.pages.idle();
  if (empty.pages.scavenge_all() < rest) ++refused;
  empty.check();
  return refused;
}

// The number of calls that a run makes when nothing is refused.
std::uint64_t calls_of_a_run() {
  EmptyHeap empty;
  const std::uint64_t before = os::calls_for_test();
  REQUIRE(exercise(empty) == 0);
  return os::calls_for_test() - before;
}

bool place_skipped() {
  for (std::size_t i = 0; i < window.arena_limit.load_relaxed(); ++i) {
    if (arenas[i].load_relaxed() == nullptr) return true;
  }
  return false;
}

// Calls that look for the window's base, before an arena is reserved and a chunk prepared. Under
// AddressSanitizer many hints are taken.
std::uint64_t probes_of_a_run() {
  EmptyHeap empty;
  const std::uint64_t before = os::calls_for_test();
  REQUIRE(empty.allocate(1));
  return os::calls_for_test() - before - 2;
}

// True if what was refused was a hint.
bool run_with_refusal(std::uint64_t k, std::uint64_t probes, bool and_all_later) {
  CAPTURE(k, and_all_later);
  EmptyHeap empty;
  const std::uint64_t hints = os::refused_hints_for_test();
  os::fail_call_for_test(k, and_all_later);
  const int refused = exercise(empty);
  os::fail_call_for_test(0);
  const bool hint = os::refused_hints_for_test() > hints;
  // Nobody is told of a hint that was refused, and nothing is worse than before. A single refusal
  // of address space can look like somebody else's mapping: then the next hint, or the next place,
  // was taken.
  if (!and_all_later) {
    CHECK((hint ? refused == 0 : refused > 0 || k <= probes || place_skipped()));
  }
  if (and_all_later) CHECK((refused > 0 || hint));
  CHECK(empty.pages.used() == 0);
  CHECK(exercise(empty) == 0);  // the system is willing again
  return hint;
}

}  // namespace

TEST_CASE("each call to the system may be refused", "[alloc][page][oom]") {
  const std::uint64_t calls = calls_of_a_run();
  CHECK(calls > 15);
  CHECK(calls < 2000);  // else this test takes for ever
  const std::uint64_t probes = probes_of_a_run();
  int hints = 0;
  for (std::uint64_t k = 1; k <= calls; ++k) hints += run_with_refusal(k, probes, false);
  // Huge pages asked for and no longer asked for, and what they had brought in dropped.
  CHECK(hints >= 3);
}

TEST_CASE("every call to the system from one on may be refused", "[alloc][page][oom]") {
  const std::uint64_t calls = calls_of_a_run();
  for (std::uint64_t k = 1; k <= calls; ++k) run_with_refusal(k, 0, true);
}

TEST_CASE("each call may be refused with 64 KiB pages of the system", "[alloc][page][oom]") {
  const std::uint64_t calls = calls_of_a_run();
  for (std::uint64_t k = 1; k <= calls; ++k) {
    CAPTURE(k);
    EmptyHeap empty;
    os::set_page_size_for_test(64_KiB);
    os::fail_call_for_test(k, k % 2 == 0);
    exercise(empty);
    os::fail_call_for_test(0);
    empty.pages.scavenge_all();
    CHECK(empty.pages.idle() == 0);
    empty.check();
  }
}

TEST_CASE("arena records and page tables may be refused", "[alloc][arena][oom]") {
  // Four records and, as the run ends inside the fourth arena, one page table.
  for (std::size_t k = 1; k <= 6; ++k) {
    CAPTURE(k);
    EmptyHeap empty;
    const os::Counts before = os::counts();
    const std::size_t metadata_before = metadata::bytes();
    metadata::fail_allocation_for_test(k);
    const PageRun run = empty.allocate(3 * kArenaPages + 1);
    metadata::fail_allocation_for_test(0);
    CHECK(static_cast<bool>(run) == (k == 6));
    if (k <= 4) {
      CHECK(os::counts().mapped() == before.mapped());  // the address space went back
      CHECK(metadata::bytes() == metadata_before);
    }
    empty.check();
    CHECK(empty.allocate(4 * kArenaPages));
    empty.check();
  }
}

TEST_CASE("memory that cannot be given back stays idle, and the scavenger gives up",
          "[alloc][page][oom]") {
  constexpr auto kUnasked = ReleaseReason::next_cycle;
  EmptyHeap empty;
  std::vector<PageRun> runs;
  for (int i = 0; i < 200; ++i) runs.push_back(empty.allocate(1));
  for (std::size_t i = 0; i < runs.size(); i += 2) empty.free(runs[i]);
  os::fail_call_for_test(1, true);
  const auto calls = [&empty](ReleaseReason reason) {
    const std::uint64_t before = os::calls_for_test();
    CHECK(empty.pages.scavenge(~std::size_t{0}, reason) == 0);
    return os::calls_for_test() - before;
  };
  CHECK(calls(ReleaseReason::request) == 100);  // who asks is told what all there is to tell
  std::uint64_t tried = 0;
  int times = 0;
  do {
    const std::uint64_t here = calls(kUnasked);
    CHECK(here <= 16);
    tried += here;
    ++times;
  } while (!empty.pages.scavenged_to_the_end());
  CHECK(tried == 100);  // each once
  CHECK(times == 7);
  CHECK(calls(kUnasked) == 16);
  os::fail_call_for_test(0);
  CHECK(empty.pages.idle() == 100 * kPageSize);
  empty.check();
  CHECK(empty.pages.scavenge_all() == 100 * kPageSize);
  empty.check();
  for (std::size_t i = 1; i < runs.size(); i += 2) empty.free(runs[i]);
}

TEST_CASE("idle memory that is locked does not keep what lies below it", "[alloc][page][oom]") {
  EmptyHeap empty;
  constexpr auto kUnasked = ReleaseReason::next_cycle;
  constexpr std::size_t kLocked =
      16;  // pages: as many as one scavenge tries, and any user may lock
  const PageRun low = empty.allocate(kChunkPages);
  std::vector<PageRun> high;
  for (std::size_t i = 0; i < 2 * kLocked; ++i) high.push_back(empty.allocate(1));
  std::memset(reinterpret_cast<void*>(low.start), 1, low.pages.bytes());
  for (std::size_t i = 0; i < high.size(); i += 2) {
    // Not ::mlock(), which does nothing under the sanitizers.
    REQUIRE(::syscall(SYS_mlock, high[i].start, os::page_size()) == 0);
    empty.free(high[i]);
  }
  empty.free(low);
  CHECK(empty.pages.scavenge(64_KiB, kUnasked) == 0);
  CHECK_FALSE(empty.pages.scavenged_to_the_end());
  CHECK(empty.pages.scavenge(64_KiB, kUnasked) >= 64_KiB);
  CHECK(empty.pages.scavenged_to_the_end());  // nothing was refused: from the top again
  CHECK(empty.pages.scavenge(64_KiB, kUnasked) == 0);
  CHECK(empty.pages.scavenge_all() > 0);
  CHECK(empty.pages.idle() == kLocked * kPageSize);
  empty.check();
  for (std::size_t i = 0; i < high.size(); i += 2) {
    REQUIRE(::syscall(SYS_munlock, high[i].start, os::page_size()) == 0);
  }
  CHECK(empty.pages.scavenge_all() == kLocked * kPageSize);
  for (std::size_t i = 1; i < high.size(); i += 2) empty.free(high[i]);
}

TEST_CASE("a large object is refused whole at each call and each record", "[alloc][large][oom]") {
  EmptyHeap empty;
  alloc::heap.allocate_large(1, true, 0);
  for (std::uint64_t k = 1; k <= 20; ++k) {
    CAPTURE(k);
    const std::size_t used = empty.pages.used();
    const std::size_t spans = alloc::heap.span_count();
    const bool fail_record = k > 10;
    if (fail_record) {
      metadata::fail_allocation_for_test(k - 10);
    } else {
      os::fail_call_for_test(k);
    }
    void* p = nullptr;
    try {
      p = alloc::heap.allocate_large(200_MiB, true, 0);
    } catch (const std::bad_alloc&) {
    }
    os::fail_call_for_test(0);
    metadata::fail_allocation_for_test(0);
    if (p == nullptr) {
      CHECK(empty.pages.used() == used);
      CHECK(alloc::heap.span_count() == spans);
    } else {
      CHECK(alloc::heap.span_count() == spans + 1);
      CHECK(span_of(p) != nullptr);
    }
    empty.check();
  }
  alloc::heap.free_everything();
}
