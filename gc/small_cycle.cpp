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
// No barrier, nothing is born black, as nobody runs. Dead large objects are swept at once, all else
// when allocation needs it or when the next cycle begins.
//
// The number of objects is a guess. If there turn out to be more than kMostObjects, or more than
// kMostBytes to look at, all marks are taken back, the world goes on, and the collector's thread is
// asked for a cycle as usual, which also corrects the guess. So no stop gets longer than marking
// that much takes (a quarter of a millisecond), and taking back the marks of a heap that was small
// at the last cycle.
//
// Other threads wait rather than help: with two processors, objects and mark bits that both of them
// have touched cost more than half of the marking saves (docs/decisions.md).
//
// Numbers (collector.h): `wanted` rises before the cycle, as when the collector's thread is asked,
// but nobody is woken. `begun` rises within the stop: whoever asks for a cycle afterwards gets the
// next one. If the cycle is given up, `wanted` stays, and the thread is woken for it.

#include <gort/alloc/heap.h>
#include <gort/base/clock.h>
#include <gort/base/counters.h>
#include <gort/gc/collector.h>
#include <gort/gc/cycle.h>
#include <gort/gc/roots.h>

namespace gort::gc {
namespace {

constexpr std::size_t kFewObjects = 12288;
constexpr std::size_t kMostObjects = 16384;
constexpr std::size_t kMostBytes = std::size_t{3} << 20;
// Scanned between two looks at how much it has become.
constexpr std::size_t kPieceBytes = std::size_t{16} << 10;

}  // namespace

bool Cycle::mark_in_one_stop() {
  reset_numbers();
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
  mark_stacks();
  mark_roots();
  for (bool more = true; more;) {
    while (marker_.drain(kPieceBytes)) {
      if (marker_.objects_marked() < kMostObjects && marker_.bytes_scanned() < kMostBytes) continue;
      unmark();
      resume();
      counters.given_up_cycles.fetch_add_relaxed(1);
      counters.stop_ns.fetch_add_relaxed(static_cast<std::uint64_t>(record_.stops_ns));
      return false;
    }
    look_for_dead();
    more = begin_dying();
    mark_dying();
  }
  mark_start_ns_ = stop_start_ns_;
  end_marking();
  collector_.begun_.store_seq_cst(collector_.begun_.load_relaxed() + 1);
  resume();
  record_.end_wall_ns = wall_ns();
  event(CycleEvent::marking_ended, now_ns());
  counters.one_stop_cycles.fetch_add_relaxed(1);
  return true;
}

void Cycle::unmark() {
  marker_.discard();
  alloc::heap.for_each_span([](const alloc::Span& span) { span.unmark_all(); });
}

bool Collector::try_small_cycle(Thread& self) {
  if (!options_.small_cycles || options_.on_phase != nullptr) return false;
  if (last_objects_.load_relaxed() > kFewObjects) return false;
  // Whoever holds it runs a cycle or forks, or waits to do so.
  if (holds_wanted_.load_relaxed() != 0 || !lock_.try_acquire()) return false;
  std::uint32_t wanted = begun_.load_relaxed();
  if (!wanted_.cas_acq_rel(wanted, wanted + 1)) {  // somebody has asked the collector's thread
    lock_.release();
    return false;
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
        if (owner->sweep_wanted_.load_acquire() == owner->begun_.load_relaxed()) {
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
