#include <gort/gc/collector.h>

#include <cstring>
#include <stdexcept>

#include <gort/alloc/collector_hooks.h>
#include <gort/alloc/heap.h>
#include <gort/base/clock.h>
#include <gort/base/counters.h>
#include <gort/base/metadata.h>
#include <gort/gc/marker.h>
#include <gort/gc/roots.h>
#include <gort/gc/verifier.h>

namespace gort::gc {

constinit Collector collector;

void Collector::start(const CollectorOptions& options) {
  options_ = options;
  gc_percent_.store_relaxed(options.gc_percent);
  memory_limit_.store_relaxed(options.memory_limit);
  update_goal();
  alloc::heap.run_limit.store_relaxed(options.collect_every > 0 ? 1 : alloc::kMaxRunBytes);
  alloc::heap.poison.store_relaxed(options.poison);
  alloc::collector_hooks = {before_slow_path, out_of_memory};
  started_.store_release(true);
  world.attach();
}

void Collector::shutdown() {
  world.attach();
  with_world_stopped(
      [](void*) {
        alloc::heap.for_each_cache([](alloc::ThreadCache& cache) { cache.flush(); });
        alloc::heap.free_everything();
      },
      nullptr);
  world.detach();
  started_.store_release(false);
  last_marked_.store_relaxed(0);
  last_roots_.store_relaxed(0);
  alloc::heap.heap_live.store_relaxed(0);
}

// Waits for the collection lock as a parked thread, so that the cycle that holds it can stop us.
void Collector::acquire_parked() {
  if (lock_.try_acquire()) return;
  Thread& self = *World::current();
  world.enter_blocking(self);
  lock_.acquire();
  world.leave_blocking(self);
}

void Collector::collect(CycleReason reason, bool sweep_all) {
  world.attach();
  acquire_parked();
  CycleRecord record;
  record.reason = reason;
  record.start_ns = now_ns();
  record.heap_before = alloc::heap.heap_live.load_relaxed();
  record.goal = goal();
  while (alloc::heap.sweep_one()) {
  }
  record.sweep_ns = now_ns() - record.start_ns;

  const std::int64_t stop_start = now_ns();
  world.stop();
  // Threads went on allocating until the stop, and may have swept, but nothing became unswept.
  alloc::heap.for_each_cache([](alloc::ThreadCache& cache) { cache.flush(); });
  record.stop_ns = now_ns() - stop_start;
  mark_world(record);
  alloc::heap.flip_sweepgen();
  alloc::heap.heap_live.store_relaxed(record.marked);
  last_marked_.store_relaxed(record.marked);
  last_roots_.store_relaxed(record.stack_bytes + record.root_bytes);
  update_goal();
  record.next_goal = goal();
  world.resume();
  record.pause_ns = now_ns() - stop_start;
  record.end_wall_ns = wall_ns();

  record.number = last_.number + 1;
  last_ = record;
  pause_ns_[(record.number + kPauseRing - 1) % kPauseRing] =
      static_cast<std::uint64_t>(record.pause_ns);
  pause_end_[(record.number + kPauseRing - 1) % kPauseRing] =
      static_cast<std::uint64_t>(record.end_wall_ns);
  counters.cycles.fetch_add_relaxed(1);
  if (reason == CycleReason::forced) counters.forced_cycles.fetch_add_relaxed(1);
  if (reason == CycleReason::emergency) counters.emergency_cycles.fetch_add_relaxed(1);
  counters.stop_ns.fetch_add_relaxed(static_cast<std::uint64_t>(record.pause_ns));
  counters.mark_ns.fetch_add_relaxed(static_cast<std::uint64_t>(record.mark_ns));
  if (options_.on_cycle != nullptr) options_.on_cycle(record);
  if (sweep_all) {
    const std::int64_t sweep_start = now_ns();
    while (alloc::heap.sweep_one()) {
    }
    counters.sweep_ns.fetch_add_relaxed(static_cast<std::uint64_t>(now_ns() - sweep_start));
  }
  counters.sweep_ns.fetch_add_relaxed(static_cast<std::uint64_t>(record.sweep_ns));
  lock_.release();
}

void Collector::mark_world(CycleRecord& record) {
  struct Context {
    Collector* collector;
    CycleRecord* record;
  } context{this, &record};
  // The caller's own registers and stack are recorded here, at the last moment.
  with_stack_recorded(
      *World::current(),
      [](void* p) {
        auto& [self, cycle] = *static_cast<Context*>(p);
        const std::int64_t start = now_ns();
        Marker marker;
        roots.for_each([&marker, cycle = cycle](void* target) {
          marker.mark_address(reinterpret_cast<std::uintptr_t>(target));
          cycle->root_bytes += kWordSize;
        });
        if (self->options_.conservative_stacks) {
          world.for_each_thread([&marker, cycle = cycle](Thread& thread) {
            const auto* registers = reinterpret_cast<const char*>(&thread.registers);
            marker.mark_range(registers, registers + sizeof thread.registers);
            if (thread.stack_pointer == nullptr) return;  // attaching: has no references yet
            marker.mark_range(thread.stack_pointer, thread.stack.high);
            cycle->stack_bytes +=
                static_cast<std::size_t>(thread.stack.high - thread.stack_pointer);
          });
        }
        marker.drain();
        if (self->options_.verify) verify_marks();
        cycle->marked = marker.bytes_marked();
        cycle->mark_ns = now_ns() - start;
        counters.objects_marked.fetch_add_relaxed(marker.objects_marked());
        counters.bytes_marked.fetch_add_relaxed(marker.bytes_marked());
        counters.bytes_scanned.fetch_add_relaxed(marker.bytes_scanned());
      },
      &context);
}

void Collector::update_goal() {
  PacerInput in;
  in.marked = last_marked_.load_relaxed();
  in.roots = last_roots_.load_relaxed();
  in.gc_percent = gc_percent();
  in.memory_limit = memory_limit();
  in.metadata = metadata::bytes();
  goal_.store_relaxed(heap_goal(in));
}

alloc::ThreadCache& Collector::before_slow_path(std::size_t bytes) {
  if (GORT_UNLIKELY(World::current() == nullptr)) {
    if (!collector.started()) throw std::logic_error("gort: call gort::start() before allocating");
    world.attach();
  }
  world.poll();
  const std::uint64_t every = collector.options_.collect_every;
  if (GORT_UNLIKELY(every > 0) && collector.slow_paths_.fetch_add_relaxed(1) % every == every - 1) {
    collector.collect(CycleReason::every_nth, false);
  } else if (alloc::heap.heap_live.load_relaxed() + bytes > collector.goal()) {
    collector.collect(CycleReason::heap_goal, false);
  }
  return World::current()->cache;
}

bool Collector::out_of_memory(std::size_t /*bytes*/) {
  counters.os_refusals.fetch_add_relaxed(1);
  collector.collect(CycleReason::emergency, true);
  return true;
}

std::int64_t Collector::set_gc_percent(std::int64_t percent) {
  const std::int64_t before = gc_percent();
  gc_percent_.store_relaxed(percent);
  update_goal();
  return before;
}

std::size_t Collector::set_memory_limit(std::size_t bytes) {
  const std::size_t before = memory_limit();
  memory_limit_.store_relaxed(bytes);
  update_goal();
  return before;
}

CycleRecord Collector::last_cycle() {
  LockGuard guard(lock_);
  return last_;
}

void Collector::copy_pauses(std::uint64_t (&pause_ns)[kPauseRing],
                            std::uint64_t (&pause_end)[kPauseRing]) {
  LockGuard guard(lock_);
  std::memcpy(pause_ns, pause_ns_, sizeof pause_ns);
  std::memcpy(pause_end, pause_end_, sizeof pause_end);
}

void Collector::with_world_stopped(void (*f)(void*), void* context) {
  acquire_parked();
  world.stop();
  f(context);
  world.resume();
  lock_.release();
}

}  // namespace gort::gc
