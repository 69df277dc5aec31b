#include <gort/gc/cycle.h>

#include <algorithm>

#include <gort/alloc/heap.h>
#include <gort/base/clock.h>
#include <gort/base/counters.h>
#include <gort/base/fatal.h>
#include <gort/base/os.h>
#include <gort/base/spin.h>
#include <gort/gc/cleanups.h>
#include <gort/gc/collector.h>
#include <gort/gc/long_calls.h>
#include <gort/gc/mark_workers.h>
#include <gort/gc/ranges.h>
#include <gort/gc/roots.h>
#include <gort/gc/verifier.h>

namespace gort::gc {
namespace {

// Between two looks at whether the world is to stop, at most this much is scanned.
constexpr std::size_t kDrainBytes = std::size_t{32} << 10;
// The last stop itself marks no more than this, if it need not.
constexpr std::size_t kLastStopBytes = std::size_t{32} << 10;
constexpr int kTries = 4;
// Whenever this thread has marked so much, about a millisecond, the CPU limiter looks at the clocks
// and the workers at the processors.
constexpr std::size_t kWatchBytes = std::size_t{2} << 20;

}  // namespace

Cycle::Cycle(Collector& owner, Thread& self, CycleReason reason)
    : collector_(owner), self_(self), marker_(mark_pool) {
  record_.reason = reason;
  record_.start_ns = now_ns();
  record_.goal = owner.goal();
  record_.number = owner.last_cycle().number + 1;
  event(CycleEvent::cycle_begun, record_.start_ns);
}

void Cycle::phase(Phase reached) {
  if (collector_.options_.on_phase != nullptr) collector_.options_.on_phase(reached);
}

void Cycle::poll() {
  if (!world_stopped_) world.poll(self_);
}

void Cycle::event(CycleEvent::Kind kind, std::int64_t at_ns) {
  const CollectorOptions& options = collector_.options_;
  if (options.on_event == nullptr) return;
  options.on_event({kind, at_ns, record_}, options.on_event_context);
}

void Cycle::stop() {
  event(CycleEvent::stop_begun, now_ns());
  stop_start_ns_ = now_ns();
  world.stop();
  world_stopped_ = true;
}

void Cycle::resume() {
  world_stopped_ = false;
  // Taken first: the threads that are woken up may well take this thread's processor.
  const std::int64_t length = now_ns() - stop_start_ns_;
  world.resume();
  long_calls.release();
  ++record_.stops;
  record_.stops_ns += length;
  record_.longest_stop_ns = std::max(record_.longest_stop_ns, length);
  (record_.stops == 1 ? record_.first_stop_ns : record_.last_stop_ns) = length;
  event(CycleEvent::stop_ended, stop_start_ns_ + length);
}

void Cycle::finish_sweep() {
  while (alloc::heap.sweep_one() > 0) poll();
  record_.sweep_ns = now_ns() - record_.start_ns;
  phase(Phase::sweep_finished);
}

void Cycle::mark() {
  begin_marking();
  phase(Phase::marking_started);
  mark_roots();
  for (int tries = 1;; ++tries) {
    drain();
    phase(Phase::drained);
    look_for_dead();
    if (try_to_finish(tries >= kTries) && !begin_dying()) break;
    resume();
    mark_dying();
  }
  end_marking();
  resume();
  record_.end_wall_ns = wall_ns();
  event(CycleEvent::marking_ended, now_ns());
  phase(Phase::marking_finished);
}

namespace {

const char* low_end_of_own_stack(const Thread& thread) {
  return thread.stack.grows ? os::mapped_down_from(thread.stack.low) : thread.stack.low;
}

}  // namespace

std::size_t Cycle::scan_stack(const Thread& thread, Marker& marker) {
  const auto* registers = reinterpret_cast<const char*>(thread.registers);
  marker.mark_range(registers, registers + sizeof thread.registers);
  const auto* kept = reinterpret_cast<const char*>(thread.kept);
  marker.mark_range(kept, kept + thread.kept_words * kWordSize);
  const char* const low = thread.stack_pointer;
  if (low == nullptr) return 0;  // a thread that is being detached
  const char* high = on_own_stack(thread) ? thread.stack.high : ranges.high_end_of(low);
  std::size_t left = 0;
  if (high == nullptr && thread.alternate_high != nullptr) {
    high = thread.alternate_high;
    left = scan_left_stack(thread, marker);
  }
  GORT_CHECK(high != nullptr,
             "a thread uses the heap on a stack that gort does not know: its stack pointer is {}, "
             "its own stack is {} to {}. Stacks of fibers are made known by gort::register_stack()",
             static_cast<const void*>(low), static_cast<const void*>(thread.stack.low),
             static_cast<const void*>(thread.stack.high));
  marker.mark_range(low, high);
  return static_cast<std::size_t>(high - low) + left;
}

// An alternate signal stack may lie in it.
bool Cycle::on_own_stack(const Thread& thread) {
  if (thread.alternate_high != nullptr || thread.stack_pointer >= thread.stack.high) return false;
  if (thread.stack_pointer >= thread.stack.low) return true;
  return ranges.high_end_of(thread.stack_pointer) == nullptr &&
         thread.stack_pointer >= low_end_of_own_stack(thread);
}

// Of a thread on an alternate signal stack. Where it left the other one is in the signal's frame:
// so of all words on this stack, the one that leads furthest down into the other leads there, or
// further, which does no harm.
GORT_NO_SANITIZE std::size_t Cycle::scan_left_stack(const Thread& thread, Marker& marker) {
#if defined(__x86_64__)
  constexpr std::uintptr_t kRedZone = 128;  // below it, of leaf functions
#else
  constexpr std::uintptr_t kRedZone = 0;
#endif
  const FiberStack* const fiber = thread.fiber;
  const auto low = reinterpret_cast<std::uintptr_t>(
      fiber != nullptr ? fiber->low : low_end_of_own_stack(thread));
  const auto high =
      reinterpret_cast<std::uintptr_t>(fiber != nullptr ? fiber->high : thread.stack.high);
  std::uintptr_t lowest = high;
  const auto* word = reinterpret_cast<const std::uintptr_t*>(thread.stack_pointer);
  const auto* const end = reinterpret_cast<const std::uintptr_t*>(thread.alternate_high);
  for (; word < end; ++word) {
    if (*word >= low && *word < lowest) lowest = *word;
  }
  lowest = lowest - low < kRedZone ? low : lowest - kRedZone;
  marker.mark_range(reinterpret_cast<const char*>(lowest), reinterpret_cast<const char*>(high));
  return high - lowest;
}

void Cycle::reset_numbers() {
  mark_pool.objects_marked.store_relaxed(0);
  mark_pool.bytes_marked.store_relaxed(0);
  mark_pool.bytes_scanned.store_relaxed(0);
  collector_.assisted_bytes_.store_relaxed(0);
  collector_.assist_ns_.store_relaxed(0);
  collector_.background_credit_.store_relaxed(0);
  mark_workers.reset_numbers();
}

void Cycle::stop_when_convenient() {
  parked([] { long_calls.hold(); });
  stop();
}

void Cycle::begin_marking() {
  reset_numbers();
  stop_when_convenient();
  record_.heap_start = alloc::heap.heap_live.load_relaxed();
  alloc::heap.allocate_black.store_relaxed(true);
  detail::marking.store_relaxed(true);
  // All runs first: what a stack points at in them is marked already then, and never scanned.
  world.for_each_thread([this](Thread& thread) {
    // What the cache has not handed out comes back at the flush, too.
    black_bytes_ += thread.cache.mark_runs() + thread.cache.allowance();
    thread.assist_debt = 0;
  });
  mark_tiny_blocks();
  if (collector_.options_.conservative_stacks) {
    world.for_each_thread([this](const Thread& thread) {
      if (!thread.of_runtime) record_.stack_bytes += scan_stack(thread, marker_);
    });
  }
  scan_ranges(collector_.options_.conservative_stacks);
  update_assist_ratio();
  resume();
  mark_start_ns_ = now_ns();
  mark_start_cpu_ns_ = thread_cpu_ns();
  event(CycleEvent::marking_started, mark_start_ns_);
}

void Cycle::mark_tiny_blocks() {
  world.for_each_thread([this](Thread& thread) {
    if (thread.interrupted) {
      marker_.mark_address(reinterpret_cast<std::uintptr_t>(thread.cache.tiny_block()));
    } else {
      thread.cache.drop_tiny_block();
    }
  });
}

void Cycle::mark_roots() {
  std::size_t count = 0;
  const auto mark = [this, &count](void* target) {
    marker_.mark_address(reinterpret_cast<std::uintptr_t>(target));
    ++count;
  };
  const auto between = [this] { poll(); };
  roots.for_each(mark, between);
  cleanups.for_each_kept(mark, between);
  record_.root_bytes += count * kWordSize;
}

void Cycle::update_assist_ratio() {
  const std::size_t expected = collector_.last_marked_.load_relaxed();
  const std::size_t done = mark_pool.bytes_marked.load_relaxed();
  const std::size_t live = alloc::heap.heap_live.load_relaxed();
  const std::size_t goal = record_.goal;
  collector_.assist_ratio_.store_relaxed(
      goal == kNoLimit ? 0
                       : assist_ratio(left_to_mark(expected, done), goal > live ? goal - live : 0));
}

void Cycle::drain() {
  std::size_t unwatched = 0;
  for (;;) {
    while (marker_.drain(kDrainBytes)) {
      const std::size_t marked = marker_.publish_numbers().marked;
      marker_.share();
      collector_.wake_helper();
      mark_workers.wake_one();
      collector_.background_credit_.fetch_add_relaxed(static_cast<std::int64_t>(marked));
      unwatched += marked;
      // Who has stopped the world can make no threads: it would wait for the end of its own stop.
      if (unwatched >= kWatchBytes && !world_stopped_) {
        collector_.limiter_watches_cycle();
        mark_workers.adapt();
        unwatched = 0;
      }
      update_assist_ratio();
      poll();
    }
    poll();
    // Another marker may be about to publish more.
    if (mark_pool.busy.load_acquire() == 0 && !mark_pool.has_full()) return;
    cpu_relax();
  }
}

bool Cycle::try_to_finish(bool insist) {
  stop_when_convenient();
  const bool signals = collector_.options_.stop_signal != 0;
  world.for_each_thread([&](Thread& thread) {
    flush_overwritten(thread.overwritten);
    if (signals && thread.interrupted && !thread.of_runtime) {
      record_.stack_bytes += scan_stack(thread, marker_);
    }
  });
  if (insist) {
    while (marker_.drain(kLastStopBytes)) {
    }
    return true;
  }
  return !marker_.drain(kLastStopBytes);
}

void Cycle::flush_caches() {
  world.for_each_thread([this](Thread& thread) {
    if (thread.cache.in_use()) ++allocating_threads_;
    if (thread.interrupted) {
      thread.cache.flush_interrupted();
    } else {
      thread.cache.flush();
    }
  });
}

// World stopped, nothing grey.
void Cycle::end_marking() {
  marker_.publish();
  mark_workers.dismiss();
  if (collector_.options_.verify) verify_marks();

  record_.mark_ns = stop_start_ns_ - mark_start_ns_;
  record_.mark_cpu_ns = thread_cpu_ns() - mark_start_cpu_ns_ + mark_workers.dedicated_ns();
  record_.idle_ns = mark_workers.idle_ns();
  collector_.charge_workers();
  record_.heap_end = alloc::heap.heap_live.load_relaxed();
  flush_caches();
  alloc::heap.allocate_black.store_relaxed(false);
  detail::marking.store_relaxed(false);
  alloc::heap.flip_sweepgen();
  alloc::heap.emptied.store_relaxed(emptied_);

  // Marked by markers, and born marked: in runs that were there at the start, and in what was
  // handed out since, less what the flush took back of both.
  const std::size_t live = alloc::heap.heap_live.load_relaxed();
  record_.marked = mark_pool.bytes_marked.load_relaxed() + black_bytes_ + live;
  record_.marked -= std::min(record_.marked, record_.heap_start);
  record_.scanned = mark_pool.bytes_scanned.load_relaxed();
  record_.assisted = collector_.assisted_bytes_.load_relaxed();
  record_.assist_ns = collector_.assist_ns_.load_relaxed();
  const std::size_t allocated =
      record_.heap_end > record_.heap_start ? record_.heap_end - record_.heap_start : 0;
  const std::size_t traced = mark_pool.bytes_marked.load_relaxed();
  alloc::heap.heap_live.store_relaxed(record_.marked);
  collector_.last_marked_.store_relaxed(record_.marked);
  collector_.note_allocating_threads(allocating_threads_);
  collector_.last_objects_.store_relaxed(mark_pool.objects_marked.load_relaxed());
  collector_.last_ends_.store_relaxed(watched_white_);
  collector_.last_roots_.store_relaxed(record_.stack_bytes + record_.root_bytes);
  collector_.runway_.store_relaxed(
      mark_runway(allocated, traced, record_.assisted, record_.marked));
  collector_.update_goal();
  const std::size_t trigger = collector_.trigger();
  alloc::heap.pace_sweep(trigger - std::min(trigger, record_.marked));
  record_.next_goal = collector_.goal();
  counters.objects_marked.fetch_add_relaxed(mark_pool.objects_marked.load_relaxed());
  counters.bytes_marked.fetch_add_relaxed(traced);
  counters.bytes_scanned.fetch_add_relaxed(record_.scanned);
}

void Cycle::sweep() {
  const std::int64_t start = now_ns();
  while (alloc::heap.sweep_one() > 0) poll();
  counters.sweep_ns.fetch_add_relaxed(
      static_cast<std::uint64_t>(now_ns() - start + record_.sweep_ns));
  parked([] { mark_pool.trim(); });
  event(CycleEvent::swept, now_ns());
  phase(Phase::swept);
}

void Cycle::sweep_large() {
  while (alloc::heap.sweep_one_large()) poll();
}

}  // namespace gort::gc
