#include <catch2/catch.hpp>

#include <atomic>
#include <thread>
#include <vector>

#include <gort/base/clock.h>
#include <gort/base/counters.h>
#include <gort/base/metadata.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/support/scale.h>

using namespace gort;
using gc::CycleEvent;
using gort_test::ExactHeap;
using gort_test::Node;

namespace {

struct Seen {
  CycleEvent::Kind kind;
  std::int64_t at_ns;
  gc::CycleRecord cycle;
};
using Log = std::vector<Seen>;  // written by the collector's thread, read when its cycle is over

gc::CollectorOptions listening(Log& log) {
  gc::CollectorOptions options;
  options.on_event_context = &log;
  options.on_event = [](const CycleEvent& event, void* context) {
    static_cast<Log*>(context)->push_back({event.kind, event.at_ns, event.cycle});
  };
  return options;
}

// Kinds in the order of the essay, and times and numbers that agree with the final record.
void check_cycle(const Log& log, const gc::CycleRecord& record) {
  REQUIRE(log.size() >= 8);
  CHECK(log.front().kind == CycleEvent::cycle_begun);
  CHECK(log.front().at_ns == record.start_ns);
  CHECK(log[1].kind == CycleEvent::stop_begun);
  CHECK(log[2].kind == CycleEvent::stop_ended);
  CHECK(log[3].kind == CycleEvent::marking_started);
  const std::size_t n = log.size();
  CHECK(log[n - 2].kind == CycleEvent::marking_ended);
  CHECK(log[n - 1].kind == CycleEvent::swept);
  std::uint32_t stops = 1;
  for (std::size_t i = 4; i + 2 < n; i += 2) {
    CHECK(log[i].kind == CycleEvent::stop_begun);
    CHECK(log[i + 1].kind == CycleEvent::stop_ended);
    CHECK(log[i + 1].cycle.stops == ++stops);
    CHECK(log[i + 1].cycle.last_stop_ns <= log[i + 1].at_ns - log[i].at_ns);
  }
  CHECK(record.stops == stops);
  CHECK(log[2].cycle.first_stop_ns == record.first_stop_ns);
  for (std::size_t i = 1; i < n; ++i) {
    CHECK(log[i].at_ns >= log[i - 1].at_ns);
    CHECK(log[i].cycle.number == record.number);
    CHECK(log[i].cycle.reason == record.reason);
  }
  CHECK(log[n - 2].cycle.marked == record.marked);
  CHECK(log[n - 2].cycle.next_goal == record.next_goal);
  CHECK(log[n - 2].cycle.end_wall_ns == record.end_wall_ns);
  CHECK(log[n - 1].at_ns <= now_ns());
}

}  // namespace

TEST_CASE("a listener sees a cycle's events in order, with gctrace's numbers", "[gc][event]") {
  Log log;
  ExactHeap heap(listening(log));
  Root<Node> root(make<Node>());
  for (int i = 0; i < 3; ++i) {
    CAPTURE(i);
    make<Node>();
    log.clear();
    heap.collect();
    check_cycle(log, gc::collector.last_cycle());
    CHECK(log.back().cycle.reason == gc::CycleReason::forced);
  }
}

TEST_CASE("a listener sees the events of a cycle that runs on the caller's thread", "[gc][event]") {
  Log log;
  ExactHeap heap(listening(log));
  metadata::fail_allocation_for_test(1);  // the record of the collector's thread
  heap.collect();
  metadata::fail_allocation_for_test(0);
  check_cycle(log, gc::collector.last_cycle());
}

TEST_CASE("without the background sweep nobody is told of a sweep's end", "[gc][event]") {
  Log log;
  gc::CollectorOptions options = listening(log);
  options.background_sweep = false;
  ExactHeap heap(options);
  gc::collector.collect(gc::CycleReason::heap_goal, false);
  gc::Thread& self = gc::world.attach();
  gc::collector.hold_cycles(self);  // the cycle is over, not only its marking
  gc::collector.release_cycles();
  REQUIRE_FALSE(log.empty());
  CHECK(log.back().kind == CycleEvent::marking_ended);
}

TEST_CASE("a small heap's cycle has one stop, and marking ends in it", "[gc][event]") {
  Log log;
  ExactHeap heap(listening(log));
  heap.collect();
  log.clear();
  const std::uint64_t before = counters.one_stop_cycles.load_relaxed();
  while (counters.one_stop_cycles.load_relaxed() == before) make<Node>();
  // Cycles of the collector's thread may have come first: as long as it is busy, it gets the next.
  REQUIRE(log.size() >= 4);
  log.erase(log.begin(), log.end() - 4);
  CHECK(log[0].kind == CycleEvent::cycle_begun);
  CHECK(log[1].kind == CycleEvent::stop_begun);
  CHECK(log[2].kind == CycleEvent::stop_ended);
  CHECK(log[3].kind == CycleEvent::marking_ended);
  CHECK(log[3].cycle.marked == gc::collector.last_cycle().marked);
  CHECK(log[3].cycle.reason == gc::CycleReason::heap_goal);
}

TEST_CASE("the finished cycles are told of at one moment", "[gc][cycle_event]") {
  const ExactHeap heap;
  heap.collect();
  std::atomic<bool> enough{false};
  std::uint64_t apart = 0;
  std::thread reader([&] {
    while (!enough) {
      const gc::CycleHistory h = gc::collector.history();
      if (h.pause_end[(h.cycles + 255) % 256] != static_cast<std::uint64_t>(h.last.end_wall_ns)) {
        ++apart;
      }
    }
  });
  for (int i = 0; i < gort_test::scaled(20'000); ++i) heap.collect();
  enough = true;
  reader.join();
  CHECK(apart == 0);
}
