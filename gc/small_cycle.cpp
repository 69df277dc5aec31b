// Cycles of heaps with few objects.
//
// A cycle on the collector's thread costs two stops, each of which has to reach every thread, and
// half a dozen switches between threads: some hundred microseconds, in which a program that
// allocates fast fills the minimum heap again. Marking a few thousand objects takes a fraction of
// that. So if the last cycle marked few objects, the thread that reaches the trigger stops the
// world, marks, and lets it go on, once:
//
//     stop; caches flushed; stacks, ranges, roots marked; drained; sweepgen += 2; resume
//
// Threads that are awake in the stop mark what their own stacks lead to: that is mostly what they
// have made themselves, and lies in the cache of their processor. Nothing is handed from one to the
// other: markers keep the blocks that they fill. (Through the pool each looked at half of what the
// other had made, and when that memory was zeroed for new objects, every line of it had to be taken
// from the other processor first: 610 instead of 340 cycles a span.) A stack is scanned by whoever
// claims it first, its thread or the one that runs the cycle, so nobody waits for a thread that
// sleeps; ranges and roots come last, when little is left white.
//
// No barrier, nothing is born black, as nobody runs. Dead large objects are swept at once, all else
// by those who allocate. Spans that the sweep finds empty stay with their thread for one cycle
// more.
//
// The number of objects is a guess. If there turn out to be more than kMostObjects, or more than
// kMostBytes to look at, all marks are taken back, the world goes on, and the collector's thread is
// asked for a cycle as usual, which also corrects the guess. The same goes for destructors and
// cleanups: to find an order for what dies and to mark it takes a third of a microsecond each, so
// if more than kMostEnds are due, the collector's thread does it, with the world running; and as
// the stop looks at every weak slot and every watched object, a heap with many of them is not tried
// at all. So no stop gets longer than marking that much takes (a quarter of a millisecond), and
// taking back the marks of a heap that was small at the last cycle. Not counted are the roots, and
// what is reached by dead objects with destructors alone: no more than was allocated since the last
// cycle.
//
// One thread at a time tries that, from before it raises `wanted` until it has let go of the
// collection lock (`small_cycle_`). The processor may be taken from it on the way, for
// milliseconds, in which another fills the heap: that one neither tries nor asks the collector's
// thread, whose cycle would send all empty spans back to the page heap and take a processor from
// them both. It goes on, up to the hard limit, and sleeps there.
//
// Numbers (collector.h): `wanted` rises before the cycle, as when the collector's thread is asked,
// but nobody is woken. `begun` rises within the stop: whoever asks for a cycle afterwards gets the
// next one. If the cycle is given up, or another holds the collection lock, `wanted` stays, and the
// thread is woken for it.

#include <gort/alloc/heap.h>
#include <gort/base/clock.h>
#include <gort/base/counters.h>
#include <gort/gc/cleanups.h>
#include <gort/gc/collector.h>
#include <gort/gc/cycle.h>
#include <gort/gc/roots.h>
#include <gort/gc/weak.h>

namespace gort::gc {
namespace {

constexpr std::size_t kFewObjects = 12288;
constexpr std::size_t kMostObjects = 16384;
constexpr std::size_t kMostBytes = std::size_t{3} << 20;
constexpr std::size_t kMostEnds = 512;
// Scanned between two looks at how much it has become.
constexpr std::size_t kPieceBytes = std::size_t{16} << 10;

bool too_much(const Marker& marker) {
  return marker.objects_marked() >= kMostObjects || marker.bytes_scanned() >= kMostBytes;
}

}  // namespace

// False if somebody else has claimed it.
bool Cycle::mark_from_stack(Thread& thread, Marker& marker) {
  bool claimed = false;
  if (!thread.scan_claimed.cas_acq_rel(claimed, true)) return false;
  thread.stack_bytes = scan_stack(thread, marker);
  while (marker.drain(kPieceBytes) && !too_much(marker)) {
  }
  return true;
}

void Cycle::mark_from_stacks() {
  world.for_each_thread([](Thread& thread) {
    thread.stack_bytes = 0;
    thread.scan_claimed.store_relaxed(thread.of_runtime);  // those have no roots
  });
  world.call_help([](Thread& helper) {
    const std::int64_t start = thread_cpu_ns();
    Marker marker(mark_pool);  // publishes what it leaves when it goes
    marker.keep_full_blocks();
    if (mark_from_stack(helper, marker)) counters.helped_scans.fetch_add_relaxed(1);
    collector.collecting_ns_.fetch_add_relaxed(thread_cpu_ns() - start);
  });
  mark_from_stack(self_, marker_);
  world.for_each_thread([this](Thread& thread) { mark_from_stack(thread, marker_); });
  world.dismiss_help();
  world.for_each_thread(
      [this](const Thread& thread) { record_.stack_bytes += thread.stack_bytes; });
}

bool Cycle::mark_in_one_stop() {
  reset_numbers();
  marker_.keep_full_blocks();
  mark_start_cpu_ns_ = thread_cpu_ns();
  stop();
  record_.heap_start = alloc::heap.heap_live.load_relaxed();
  flush_caches();
  // An interrupted thread keeps the slot that it may be about to take.
  world.for_each_thread([this](Thread& thread) {
    black_bytes_ += thread.cache.mark_runs();
    thread.assist_debt = 0;
  });
  // end_marking() counts from heap_start.
  black_bytes_ += record_.heap_start - alloc::heap.heap_live.load_relaxed();
  mark_tiny_blocks();
  if (collector_.options_.conservative_stacks) mark_from_stacks();
  scan_ranges(collector_.options_.conservative_stacks);
  mark_roots();
  for (bool more = true; more;) {
    while (marker_.drain(kPieceBytes)) {
      if (!too_much(marker_)) continue;
      give_up();
      return false;
    }
    look_for_dead();
    if (watched_white_ > kMostEnds) {
      give_up();
      return false;
    }
    more = begin_dying();
    mark_dying();
  }
  mark_start_ns_ = stop_start_ns_;
  emptied_ = alloc::Emptied::kept;
  end_marking();
  collector_.begun_.store_seq_cst(collector_.begun_.load_relaxed() + 1);
  resume();
  record_.end_wall_ns = wall_ns();
  event(CycleEvent::marking_ended, now_ns());
  counters.one_stop_cycles.fetch_add_relaxed(1);
  return true;
}

void Cycle::give_up() {
  marker_.discard();
  alloc::heap.for_each_span([](const alloc::Span& span) { span.unmark_all(); });
  resume();
  counters.given_up_cycles.fetch_add_relaxed(1);
  counters.stop_ns.fetch_add_relaxed(static_cast<std::uint64_t>(record_.stops_ns));
}

bool Collector::try_small_cycle(Thread& self, std::size_t bytes) {
  if (!options_.small_cycles || options_.on_phase != nullptr) return false;
  if (last_objects_.load_relaxed() > kFewObjects) return false;
  if (last_ends_.load_relaxed() > kMostEnds) return false;
  if (weak_slots.count() + cleanups.watched() > kMostObjects) return false;
  std::uint32_t nobody = 0;
  if (!small_cycle_.cas_acq_rel(nobody, 1)) {
    if (alloc::heap.heap_live.load_relaxed() + bytes > hard_limit(goal()) &&
        !limiting_.load_relaxed()) {
      world.enter_blocking(self);
      futex_wait(small_cycle_, 1);
      world.leave_blocking(self);
    }
    return true;
  }
  const bool done = run_small_cycle(self);
  small_cycle_.store_release(0);
  futex_wake(small_cycle_, INT_MAX);
  return done;
}

bool Collector::run_small_cycle(Thread& self) {
  // Somebody may ask for a cycle at the same time: one of the two raises the number.
  std::uint32_t wanted = begun_.load_relaxed();
  if (!wanted_.cas_acq_rel(wanted, wanted + 1)) return true;
  wanted_reason_.store_relaxed(static_cast<std::uint32_t>(CycleReason::heap_goal));
  // Whoever holds it runs a cycle or forks, or waits to do so.
  if (holds_wanted_.load_relaxed() != 0 || !lock_.try_acquire()) return false;
  if (wanted_.load_relaxed() == begun_.load_relaxed()) {  // the collector's thread was quicker
    lock_.release();
    return true;
  }
  struct Context {
    Collector* owner;
    Thread* thread;
    bool done;
  } context{this, &self, false};
  with_stack_recorded(
      self,
      [](void* p) {
        auto& [owner, thread, done] = *static_cast<Context*>(p);
        owner->limiter_begins_cycle(CycleReason::heap_goal);
        Cycle cycle(*owner, *thread, CycleReason::heap_goal);
        cycle.finish_sweep();
        done = cycle.mark_in_one_stop();
        if (!done) {
          owner->limiter_ends_cycle();
          return;
        }
        owner->announce(cycle);
        if (owner->must_sweep()) {
          alloc::heap.emptied.store_relaxed(alloc::Emptied::freed);
          cycle.sweep();
        } else {
          cycle.sweep_large();
        }
        owner->limiter_ends_cycle();
        owner->swept_.store_seq_cst(owner->swept_.load_relaxed() + 1);
        futex_wake(owner->swept_, INT_MAX);
      },
      &context);
  lock_.release();
  return context.done;
}

}  // namespace gort::gc
