#include <gort/runtime/runtime.h>

#include <new>
#include <stdexcept>

#include <gort/alloc/heap.h>
#include <gort/alloc/scavenger.h>
#include <gort/base/clock.h>
#include <gort/base/fatal.h>
#include <gort/base/metadata.h>
#include <gort/gc/collector.h>
#include <gort/hashmap/evacuator.h>
#include <gort/runtime/gctrace.h>
#include <gort/runtime/scavtrace.h>

namespace gort {
namespace {

std::int64_t started_at_ns = 0;  // constant while started

bool trace_cycles = false;     // constant while started
bool trace_scavenger = false;  // likewise

void trace(const gc::CycleRecord& cycle) {
  const Blocking blocking;  // whoever reads that may take their time
  try {
    if (trace_cycles) {
      const int percent = static_cast<int>(gc::collector.cpu_share() * 100);
      write_line(gctrace_line(cycle, started_at_ns, percent));
    }
    if (trace_scavenger) write_line(scavtrace_line(take_background_work(), false));
  } catch (const std::bad_alloc&) {
    write_line("gort: no memory for the trace of a cycle");
  }
}

// When a cycle has marked, world running. An exception would leave the cycle half done.
void cycle_ended(const gc::CycleRecord& cycle) noexcept {
  if (trace_cycles || trace_scavenger) trace(cycle);
  alloc::scavenger.cycle_ended(cycle.goal, cycle.next_goal);
}

// The scavenger takes locks that a stopper needs.
void tell_scavenger() {
  const gc::MaybeRuntimeScope runtime;
  alloc::scavenger.settings_changed([] { return gc::collector.goal(); },
                                    [] { return gc::collector.memory_limit(); });
}

}  // namespace

void start() { start(Options::from_environment()); }

void start(const Options& options) {
  if (gc::collector.started()) throw std::logic_error("gort::start: already started");
  started_at_ns = now_ns();
  gc::CollectorOptions collector_options;
  collector_options.gc_percent = options.gc_percent;
  collector_options.memory_limit = options.memory_limit;
  collector_options.conservative_stacks = options.conservative_stacks;
  collector_options.background_sweep = options.background_sweep;
  collector_options.stop_signal = options.stop_signal;
  collector_options.collect_every = options.collect_every;
  collector_options.markers = options.markers;
  collector_options.verify = options.verify;
  collector_options.poison = options.poison;
  collector_options.cleanup_thread = options.cleanup_thread;
  collector_options.on_cycle = cycle_ended;
  collector_options.out_of_memory = options.out_of_memory;
  collector_options.out_of_memory_context = options.out_of_memory_context;
  collector_options.on_event = options.on_gc_event;
  collector_options.on_event_context = options.on_gc_event_context;
  trace_cycles = options.gctrace;
  trace_scavenger = options.scavtrace;
  gc::collector.start(collector_options);  // throws if it is refused: then nothing has started
  if (options.background_scavenger) {
    const gc::MaybeRuntimeScope runtime;
    alloc::scavenger.start();
  }
  tell_scavenger();
}

void shutdown() {
  gc::require_started("shutdown");
  const bool attached = gc::World::current() != nullptr;
  if (gc::world.thread_count() > (attached ? 1U : 0U)) {
    throw std::logic_error("gort::shutdown: other threads are still attached");
  }
  hashmap::evacuator.stop();
  gc::collector.shutdown();
  alloc::scavenger.stop();
  alloc::heap.release_idle();
}

void collect() {
  gc::require_started("collect");
  gc::collector.collect(gc::CycleReason::forced, true);
}

std::size_t release_os_memory() {
  gc::require_started("release_os_memory");
  const gc::OutOfBlocking out;
  gc::collector.collect(gc::CycleReason::forced, true);
  const Blocking blocking;  // nobody has to wait until the system has unmapped it all
  const std::size_t bytes = alloc::heap.release_idle();
  metadata::give_back_unused();
  if (trace_scavenger) write_line(scavtrace_line(bytes, true));
  return bytes;
}

std::int64_t set_gc_percent(std::int64_t percent) {
  const std::int64_t before = gc::collector.set_gc_percent(percent);
  tell_scavenger();
  return before;
}

std::size_t set_memory_limit(std::size_t bytes) {
  const std::size_t before = gc::collector.set_memory_limit(bytes);
  tell_scavenger();
  return before;
}

AttachThread::AttachThread() : attached_here_(gc::World::current() == nullptr) {
  gc::require_started("AttachThread");
  gc::world.attach();
}

AttachThread::~AttachThread() {
  if (attached_here_) gc::world.detach();
}

Blocking::Blocking() {
  if (gc::Thread* self = gc::World::current()) gc::world.enter_blocking(*self);
}

Blocking::~Blocking() {
  if (gc::Thread* self = gc::World::current()) gc::world.leave_blocking(*self);
}

void safepoint() {
  if (gc::Thread* self = gc::World::current()) gc::world.poll(*self);
}

}  // namespace gort
