#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <thread>

#include <gort/base/os.h>
#include <gort/gc/world.h>
#include <gort/gort.h>

using namespace gort;

namespace {

// None of these may leave the thread attached, either: then no start() would be possible.
void ask_too_early() {
  CHECK_THROWS_AS(mem_stats(), std::logic_error);
  CHECK_THROWS_AS(ledger(), std::logic_error);
  CHECK_THROWS_AS(where_is(nullptr), std::logic_error);
  CHECK_THROWS_AS(run_cleanups(), std::logic_error);
  CHECK_THROWS_AS(release_os_memory(), std::logic_error);
  safepoint();  // nobody stops the world
  const Blocking blocking;
}

}  // namespace

TEST_CASE("start, shutdown and their misuse", "[runtime]") {
  CHECK_THROWS_AS(collect(), std::logic_error);
  CHECK_THROWS_AS(shutdown(), std::logic_error);
  CHECK_THROWS_AS(AttachThread(), std::logic_error);
  ask_too_early();
  start();
  CHECK_THROWS_AS(start(), std::logic_error);
  shutdown();
  ask_too_early();
  start(Options{.gc_percent = 50});
  CHECK(set_gc_percent(200) == 50);
  CHECK(set_gc_percent(-1) == 200);
  CHECK(set_memory_limit(1 << 30) == kNoMemoryLimit);
  CHECK(set_memory_limit(kNoMemoryLimit) == 1 << 30);
  shutdown();
}

TEST_CASE("shutdown with another thread attached is refused", "[runtime]") {
  start();
  std::atomic<int> stage{0};
  std::thread other([&] {
    const AttachThread attach;
    const Blocking blocking;
    stage = 1;
    while (stage != 2) std::this_thread::yield();
  });
  while (stage != 1) std::this_thread::yield();
  CHECK_THROWS_AS(shutdown(), std::logic_error);
  stage = 2;
  other.join();
  shutdown();
}

TEST_CASE("settings that come before the start have no effect", "[runtime]") {
  set_gc_percent(30);
  set_memory_limit(1 << 30);
  start(Options{.gc_percent = 50});
  CHECK(set_gc_percent(100) == 50);
  CHECK(set_memory_limit(kNoMemoryLimit) == kNoMemoryLimit);
  shutdown();
}

TEST_CASE("a thread that is not attached may come to a safepoint, and block", "[runtime]") {
  start();
  std::thread([] {
    safepoint();
    const Blocking blocking;
    safepoint();
  }).join();
  collect();
  CHECK(gc::world.thread_count() == 1);
  shutdown();
}

TEST_CASE("an AttachThread within another one changes nothing", "[runtime]") {
  start();
  std::size_t within = 0, behind = 0;
  std::thread([&] {
    const AttachThread outer;
    {
      const AttachThread inner;
      within = gc::world.thread_count();
    }
    behind = gc::world.thread_count();
  }).join();
  CHECK(within == 2);
  CHECK(behind == 2);
  CHECK(gc::world.thread_count() == 1);
  { const AttachThread of_first_thread; }
  CHECK(gc::world.thread_count() == 1);
  shutdown();
}

TEST_CASE("settings apply at once", "[runtime]") {
  start();
  make_array<char>(10 << 20);
  collect();
  set_gc_percent(1000);
  CHECK(mem_stats().NextGC >= 40U << 20);
  set_gc_percent(100);
  CHECK(mem_stats().NextGC <= 40U << 20);
  shutdown();
}

TEST_CASE("MemStats counts as Go does", "[runtime][mem_stats]") {
  start(Options{.gc_percent = -1, .conservative_stacks = false});
  const MemStats before = mem_stats();
  Root<Ref<long>> keep(make_array<Ref<long>>(100));
  for (std::size_t i = 0; i < 100; ++i) {
    keep.get()[i] = make_array<long>(4);  // 32 bytes
    make_array<long>(4);                  // garbage
  }
  const MemStats full = mem_stats();
  CHECK(full.Mallocs - before.Mallocs == 201);
  CHECK(full.Frees == before.Frees);
  CHECK(full.HeapAlloc - before.HeapAlloc == 896 + 200 * 32);
  CHECK(full.BySize[4].Size == 32);
  CHECK(full.BySize[4].Mallocs - before.BySize[4].Mallocs == 200);
  collect();
  const MemStats after = mem_stats();
  CHECK(after.Frees - before.Frees == 100);
  CHECK(after.HeapAlloc - before.HeapAlloc == 896 + 100 * 32);
  CHECK(after.TotalAlloc == full.TotalAlloc);
  CHECK(after.NumGC == full.NumGC + 1);
  CHECK(after.NumForcedGC == full.NumForcedGC + 1);
  CHECK(after.PauseNs[(after.NumGC + 255) % 256] > 0);
  CHECK(after.LastGC > 1'700'000'000'000'000'000U);
  CHECK(after.Alloc == after.HeapAlloc);
  CHECK(after.HeapObjects == after.Mallocs - after.Frees);
  CHECK(after.HeapSys == after.HeapInuse + after.HeapIdle);
  CHECK(after.HeapIdle >= after.HeapReleased);
  CHECK(after.Sys == after.HeapSys + after.OtherSys);
  for (const std::uint64_t nothing :
       {after.Lookups, after.StackInuse, after.StackSys, after.MSpanInuse, after.MSpanSys,
        after.MCacheInuse, after.MCacheSys, after.BuckHashSys, after.GCSys}) {
    CHECK(nothing == 0);
  }
  CHECK(after.EnableGC);
  CHECK_FALSE(after.DebugGC);
  shutdown();
}

TEST_CASE("the listener of the options hears of stops as long as MemStats has them", "[runtime]") {
  struct Heard {
    int cycles = 0;
    std::int64_t stopped_ns = 0;
  } heard;
  Options options;
  options.on_gc_event_context = &heard;
  options.on_gc_event = [](const GcEvent& event, void* context) {
    auto& h = *static_cast<Heard*>(context);
    if (event.kind != GcEvent::marking_ended) return;
    ++h.cycles;
    h.stopped_ns += event.cycle.stops_ns;
  };
  start(options);
  const MemStats before = mem_stats();
  for (int i = 0; i < 3; ++i) collect();
  const MemStats after = mem_stats();
  shutdown();
  CHECK(heard.cycles == 3);
  CHECK(static_cast<std::uint64_t>(heard.stopped_ns) == after.PauseTotalNs - before.PauseTotalNs);
}

TEST_CASE("the options' hook is called when memory is out", "[runtime][oom]") {
  std::size_t asked_for = 0;
  Options options;
  options.gc_percent = -1;
  options.out_of_memory_context = &asked_for;
  options.out_of_memory = [](std::size_t bytes, void* context) {
    *static_cast<std::size_t*>(context) = bytes;
    return false;
  };
  start(options);
  os::fail_call_for_test(1, true);
  CHECK_THROWS_AS(make_array<char>(std::size_t{1} << 30), std::bad_alloc);
  os::fail_call_for_test(0);
  CHECK(asked_for == std::size_t{1} << 30);
  shutdown();
}

TEST_CASE("without a thread for them cleanups run when they are asked for", "[runtime]") {
  start(Options{.conservative_stacks = false, .cleanup_thread = false});
  std::thread::id where;
  add_cleanup(make_array<long>(4), [&where] { where = std::this_thread::get_id(); });
  collect();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // as long as a thread would need
  CHECK(where == std::thread::id());
  CHECK(run_cleanups() == 1);
  CHECK(where == std::this_thread::get_id());
  shutdown();
}
