#include <gort/gc/collector.h>

#include <algorithm>
#include <climits>
#include <stdexcept>

#include <fmt/format.h>

#include <gort/alloc/collector_hooks.h>
#include <gort/alloc/heap.h>
#include <gort/base/clock.h>
#include <gort/base/counters.h>
#include <gort/base/metadata.h>
#include <gort/base/os.h>
#include <gort/gc/cleanups.h>
#include <gort/gc/fork.h>
#include <gort/gc/long_calls.h>
#include <gort/gc/mark_workers.h>
#include <gort/gc/weak.h>

namespace gort::gc {

constinit Collector collector;

namespace {

// Of a thread that helps marking a stop comes no later than this much work.
constexpr std::size_t kMostHelp = std::size_t{64} << 10;
// Threads that wait for room look this often whether the CPU limiter has set them free.
constexpr std::int64_t kLimiterWaitNs = 10'000'000;

}  // namespace

void require_started(const char* function) {
  if (collector.started()) return;
  throw std::logic_error(fmt::format("gort::{}: call gort::start() first", function));
}

void Collector::start(const CollectorOptions& options) {
  options_ = options;
  // A thread stopped anywhere may hold a reference in a register alone, which only a scan of
  // registers finds; and the thread sanitizer's runtime is not made to be stopped anywhere.
  if (!options.conservative_stacks || GORT_TSAN) options_.stop_signal = 0;
  world.configure({options_.stop_signal, options_.conservative_stacks});
  cleanups.configure(options_.cleanup_thread, options_.stop_signal);
  mark_workers.configure(options_.markers);
  gc_percent_.store_relaxed(options.gc_percent);
  memory_limit_.store_relaxed(options.memory_limit);
  runway_.store_relaxed(0);
  start_limiter();
  update_goal();
  alloc::heap.run_limit.store_relaxed(options.collect_every > 0 ? 1 : alloc::kMaxRunBytes);
  alloc::heap.poison.store_relaxed(options.poison);
  install_fork_handlers();
  world.attach();  // the last thing that may be refused: then nothing has started
  alloc::collector_hooks = {enter_slow_path, leave_slow_path, out_of_memory, while_parked,
                            start_thread};
  started_.store_release(true);
}

void Collector::shutdown() {
  Thread& self = world.attach();
  cleanups.run_all();
  end_thread();
  cleanups.end_thread();
  {
    const RuntimeScope runtime(self);
    world.stop();
    alloc::heap.for_each_cache([](alloc::ThreadCache& cache) { cache.flush(); });
    alloc::heap.free_everything();
    weak_slots.clear_all();
    world.resume();
  }
  world.detach();
  started_.store_release(false);
  last_marked_.store_relaxed(0);
  last_roots_.store_relaxed(0);
  last_objects_.store_relaxed(0);
  last_ends_.store_relaxed(0);
  allocating_threads_.store_relaxed(1);
  alloc::heap.heap_live.store_relaxed(0);
}

// --- asking and waiting --------------------------------------------------------------------------

std::uint32_t Collector::request(CycleReason reason, bool sweep_all) {
  std::uint32_t number = begun_.load_acquire() + 1;
  // Said before that cycle begins, so that it sees it; if it has begun meanwhile, the next one.
  while (sweep_all) {
    std::uint32_t swept = sweep_wanted_.load_seq_cst();
    while (!reached(swept, number) && !sweep_wanted_.cas_seq_cst(swept, number)) {
    }
    const std::uint32_t begun = begun_.load_seq_cst();
    if (!reached(begun, number)) break;
    number = begun + 1;
  }
  std::uint32_t wanted = wanted_.load_relaxed();
  while (!reached(wanted, number)) {
    wanted_reason_.store_relaxed(static_cast<std::uint32_t>(reason));
    if (wanted_.cas_acq_rel(wanted, number)) break;
  }
  futex_wake(wanted_, INT_MAX);
  return number;
}

void Collector::wait(Thread& self, Number& number, std::uint32_t value) {
  const RuntimeScope runtime(self);
  if (!ensure_thread(self)) {
    while (!reached(swept_.load_acquire(), value)) run_cycle_inline(self);
    return;
  }
  world.enter_blocking(self);
  for (;;) {
    const std::uint32_t now = number.load_acquire();
    if (reached(now, value)) break;
    futex_wait(number, now);
  }
  world.leave_blocking(self);
}

void Collector::collect(CycleReason reason, bool sweep_all) {
  const OutOfBlocking out;
  Thread& self = world.attach();
  const std::uint32_t number = request(reason, sweep_all);
  wait(self, sweep_all ? swept_ : marked_, number);
}

void Collector::with_world_stopped(void (*f)(void*), void* context) {
  const OutOfBlocking out;
  world.stop();
  alloc::heap.flush_page_caches();
  try {
    f(context);
  } catch (...) {  // a walk may find no memory for its notes
    world.resume();
    throw;
  }
  world.resume();
}

// --- the allocator's hooks -----------------------------------------------------------------------

alloc::ThreadCache& Collector::enter_slow_path(std::size_t bytes) {
  Thread* self = World::current();
  if (GORT_UNLIKELY(self == nullptr)) {
    if (!collector.started()) throw std::logic_error("gort: call gort::start() before allocating");
    self = &world.attach();
  }
  World::enter_runtime(*self);
  world.poll(*self);
  const std::uint64_t every = collector.options_.collect_every;
  if (GORT_UNLIKELY(every > 0) && collector.slow_paths_.fetch_add_relaxed(1) % every == every - 1) {
    collector.wait(*self, collector.marked_, collector.request(CycleReason::every_nth));
  } else if (detail::marking.load_relaxed()) {
    collector.assist(*self, bytes);
  } else if (alloc::heap.heap_live.load_relaxed() + bytes >= collector.trigger()) {
    collector.begin_if_idle(*self, bytes);
  }
  return self->cache;
}

void Collector::begin_if_idle(Thread& self, std::size_t bytes) {
  // A cycle that has been asked for, or has begun, and has not ended yet, will do. The limiter is
  // asked afterwards: when a cycle is known to have ended, what it cost is known to the limiter.
  const std::uint32_t marked = marked_.load_acquire();
  std::uint32_t wanted = wanted_.load_acquire();
  if (put_off(bytes)) return;
  if (wanted == marked) {
    if (try_small_cycle(self, bytes)) return;
    wanted = request(CycleReason::heap_goal);
    if (!ensure_thread(self)) {
      wait(self, marked_, wanted);
      return;
    }
  }
  if (alloc::heap.heap_live.load_relaxed() + bytes > hard_limit(goal())) {
    wait_for_room(self, wanted);
  }
}

void Collector::while_parked(void (*f)(void*), void* context) {
  Thread& self = *World::current();
  world.enter_blocking(self);
  long_calls.begin();
  f(context);
  long_calls.end();
  world.leave_blocking(self);
}

bool Collector::start_thread(pthread_t& thread, const char* name, void* (*f)(void*),
                             void* context) {
  return world.start_thread(thread, name, f, context);
}

void Collector::leave_slow_path() noexcept { world.leave_slow_path(*World::current()); }

// --- assists -------------------------------------------------------------------------------------

void Collector::assist(Thread& self, std::size_t bytes) {
  // Less is not worth the way to the pool.
  constexpr std::int64_t kLeast = std::int64_t{16} << 10;
  if (limiting_.load_relaxed()) return;
  if (alloc::heap.heap_live.load_relaxed() + bytes > hard_limit(goal())) {
    wait_for_room(self, begun_.load_acquire());
    return;
  }
  self.assist_debt += static_cast<std::int64_t>(bytes * assist_ratio_.load_relaxed() / kAssistUnit);
  if (self.assist_debt < kLeast) return;
  // What the collector's thread has marked pays first.
  const std::int64_t credit = background_credit_.load_relaxed();
  if (credit > 0) {
    const std::int64_t used = credit < self.assist_debt ? credit : self.assist_debt;
    background_credit_.fetch_sub_relaxed(used);
    self.assist_debt -= used;
  }
  if (self.assist_debt < kLeast) return;
  const auto debt = static_cast<std::size_t>(self.assist_debt);
  help_mark(debt < kMostHelp ? debt : kMostHelp);
  // What could not be paid, because there was nothing to do or too much, is forgiven.
  self.assist_debt = 0;
}

// The heap may not grow before the cycle has marked: the thread helps, and sleeps when there is
// nothing to help with, until the cycle's thread has something again (wake_helper), or the CPU
// limiter frees it.
void Collector::wait_for_room(Thread& self, std::uint32_t number) {
  if (!ensure_thread(self)) {
    wait(self, marked_, number);
    return;
  }
  for (;;) {
    const std::uint32_t now = marked_.load_acquire();
    if (reached(now, number) || limiting_.load_relaxed()) return;
    if (detail::marking.load_relaxed() && help_mark(kMostHelp) > 0) {
      world.poll(self);
      continue;
    }
    helpers_waiting_.fetch_add_relaxed(1);
    world.enter_blocking(self);
    futex_wait_for(marked_, now, kLimiterWaitNs);
    world.leave_blocking(self);
    helpers_waiting_.fetch_sub_relaxed(1);
  }
}

void Collector::wake_helper() {
  if (helpers_waiting_.load_relaxed() > 0 && mark_pool.has_full()) futex_wake(marked_, 1);
}

// The thread is in the runtime throughout, so the last stop, which decides that nothing is grey,
// comes either before or after all of this.
std::size_t Collector::help_mark(std::size_t budget) {
  if (!mark_pool.has_full()) return 0;
  mark_pool.busy.fetch_add_acq_rel(1);
  const std::int64_t start = thread_cpu_ns();
  std::size_t done = 0;
  {
    Marker marker(mark_pool);
    marker.drain(budget);
    done = marker.bytes_scanned();
  }
  mark_pool.busy.fetch_sub_acq_rel(1);
  assisted_bytes_.fetch_add_relaxed(done);
  const std::int64_t spent = thread_cpu_ns() - start;
  assist_ns_.fetch_add_relaxed(spent);
  collecting_ns_.fetch_add_relaxed(spent);
  counters.assist_bytes.fetch_add_relaxed(done);
  return done;
}

// --- settings ------------------------------------------------------------------------------------

// Whoever changes what the goal depends on calls this afterwards, and the last to do so sees all
// that has changed. Also with the world stopped: nobody is stopped while holding the lock.
void Collector::update_goal() {
  LockGuard guard(goal_lock_);
  PacerInput in;
  in.marked = last_marked_.load_relaxed();
  in.roots = last_roots_.load_relaxed();
  in.gc_percent = gc_percent();
  in.threads = std::min(allocating_threads_.load_relaxed(), os::processors());
  in.memory_limit = memory_limit();
  in.metadata = metadata::bytes();
  const std::size_t goal = heap_goal(in);
  goal_.store_relaxed(goal);
  trigger_.store_relaxed(heap_trigger(in.marked, goal, runway_.load_relaxed()));
  in.memory_limit = kNoLimit;
  percent_trigger_.store_relaxed(heap_trigger(in.marked, heap_goal(in), runway_.load_relaxed()));
}

// A thread that waits for a processor may miss a short cycle or two.
void Collector::note_allocating_threads(std::size_t count) {
  constexpr unsigned kMemory = 16;
  if (count < allocating_threads_.load_relaxed() && ++fewer_threads_ < kMemory) return;
  allocating_threads_.store_relaxed(count);
  fewer_threads_ = 0;
}

std::int64_t Collector::set_gc_percent(std::int64_t percent) {
  const MaybeRuntimeScope runtime;
  const std::int64_t before = gc_percent_.exchange_acq_rel(percent);
  update_goal();
  return before;
}

std::size_t Collector::set_memory_limit(std::size_t bytes) {
  const MaybeRuntimeScope runtime;
  const std::size_t before = memory_limit_.exchange_acq_rel(bytes);
  update_goal();
  return before;
}

// --- records -------------------------------------------------------------------------------------

void Collector::finish_cycle(const CycleRecord& record) {
  {
    LockGuard guard(record_lock_);
    history_.last = record;
    const std::size_t at = (record.number + CycleHistory::kPauses - 1) % CycleHistory::kPauses;
    history_.pause_ns[at] = static_cast<std::uint64_t>(record.stops_ns);
    history_.pause_end[at] = static_cast<std::uint64_t>(record.end_wall_ns);
    counters.cycles.fetch_add_relaxed(1);
    if (record.reason == CycleReason::forced) counters.forced_cycles.fetch_add_relaxed(1);
    counters.stop_ns.fetch_add_relaxed(static_cast<std::uint64_t>(record.stops_ns));
  }
  if (record.reason == CycleReason::emergency) counters.emergency_cycles.fetch_add_relaxed(1);
  counters.mark_ns.fetch_add_relaxed(static_cast<std::uint64_t>(record.mark_ns));
  if (options_.on_cycle != nullptr) options_.on_cycle(record);
}

CycleRecord Collector::last_cycle() {
  const MaybeRuntimeScope runtime;
  LockGuard guard(record_lock_);
  return history_.last;
}

CycleHistory Collector::history() {
  const MaybeRuntimeScope runtime;
  LockGuard guard(record_lock_);
  CycleHistory out = history_;
  out.cycles = counters.cycles.load_relaxed();
  out.forced_cycles = counters.forced_cycles.load_relaxed();
  out.stop_ns = counters.stop_ns.load_relaxed();
  return out;
}

}  // namespace gort::gc
