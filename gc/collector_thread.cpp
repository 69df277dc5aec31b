// The thread that cycles run on. It is attached, so that whoever stops the world stops it too, and
// always in the runtime, so that it is stopped at its polls alone.

#include <climits>
#include <new>

#include <gort/gc/cleanups.h>
#include <gort/gc/collector.h>
#include <gort/gc/long_calls.h>
#include <gort/gc/mark_workers.h>

namespace gort::gc {

bool Collector::ensure_thread(Thread& self) {
  for (;;) {
    std::uint32_t state = thread_state_.load_acquire();
    if (state == serving) return true;
    if (state == refused) return false;
    if (state == starting) {
      // Parked: the new thread may have to wait for a stop to pass, and the stopper for us.
      world.enter_blocking(self);
      futex_wait(thread_state_, starting);
      world.leave_blocking(self);
      continue;
    }
    if (!thread_state_.cas_acq_rel(state, starting)) continue;
    if (!world.start_thread(thread_, "gort-collector", thread_main, this)) {
      thread_state_.store_seq_cst(refused);
      futex_wake(thread_state_, INT_MAX);
    }
  }
}

void* Collector::thread_main(void* context) {
  auto& owner = *static_cast<Collector*>(context);
  Thread* self = nullptr;
  try {
    self = &world.attach(true);
  } catch (const std::bad_alloc&) {
    ::pthread_detach(::pthread_self());  // nobody will join it
    owner.thread_state_.store_seq_cst(refused);
    futex_wake(owner.thread_state_, INT_MAX);
    return nullptr;
  }
  World::enter_runtime(*self);
  owner.thread_state_.store_seq_cst(serving);
  futex_wake(owner.thread_state_, INT_MAX);
  owner.serve(*self);
  world.detach();
  return nullptr;
}

void Collector::serve(Thread& self) {
  for (;;) {
    world.enter_blocking(self);
    std::uint32_t wanted = wanted_.load_acquire();
    while (wanted == begun_.load_relaxed() && !ending_.load_acquire()) {
      futex_wait(wanted_, wanted);
      wanted = wanted_.load_acquire();
    }
    // Who waits to hold up cycles comes first: one that follows another would never let it in.
    while (const std::uint32_t waiting = holds_wanted_.load_acquire()) {
      futex_wait(holds_wanted_, waiting);
    }
    // Who holds it may be stopping the world (fork.cpp): parked until it is ours.
    lock_.acquire();
    world.leave_blocking(self);
    const bool ending = ending_.load_acquire();
    // Another thread may have run a small cycle in the meantime.
    if (!ending && wanted_.load_acquire() != begun_.load_relaxed()) run_cycle(self);
    lock_.release();
    if (ending) return;
  }
}

void Collector::hold_cycles(Thread& self) {
  holds_wanted_.fetch_add_acq_rel(1);
  world.enter_blocking(self);
  lock_.acquire();
  holds_wanted_.fetch_sub_acq_rel(1);
  futex_wake(holds_wanted_, INT_MAX);
  world.leave_blocking(self);
}

void Collector::after_fork_in_child() {
  thread_state_.store_relaxed(none);
  ending_.store_relaxed(false);
  mark_workers.after_fork_in_child();
  long_calls.reset_in_child();
  wanted_.store_relaxed(begun_.load_relaxed());
  holds_wanted_.store_relaxed(0);
  helpers_waiting_.store_relaxed(0);
  record_lock_.reset_in_child();
  limiter_lock_.reset_in_child();
  goal_lock_.reset_in_child();
  update_goal();    // a thread that was at it is gone
  start_limiter();  // the child's processor time begins at 0
}

// For a caller whose system gives it no thread.
void Collector::run_cycle_inline(Thread& self) {
  hold_cycles(self);
  if (wanted_.load_acquire() != begun_.load_relaxed()) {
    struct Context {
      Collector* owner;
      Thread* thread;
    } context{this, &self};
    // The caller's own stack is scanned like that of any thread.
    with_stack_recorded(
        self,
        [](void* p) {
          const auto& [owner, thread] = *static_cast<Context*>(p);
          owner->run_cycle(*thread);
        },
        &context);
  }
  lock_.release();
}

// With the collection lock held.
void Collector::run_cycle(Thread& self) {
  const auto reason = static_cast<CycleReason>(wanted_reason_.load_relaxed());
  begun_.store_seq_cst(begun_.load_relaxed() + 1);
  limiter_begins_cycle(reason);
  Cycle cycle(*this, self, reason);
  cycle.finish_sweep();
  cycle.mark();
  announce(cycle);
  if (options_.background_sweep || must_sweep()) cycle.sweep();
  limiter_ends_cycle();
  swept_.store_seq_cst(swept_.load_relaxed() + 1);
  futex_wake(swept_, INT_MAX);
}

void Collector::announce(const Cycle& cycle) {
  finish_cycle(cycle.record());
  charge_cycle();
  {
    LockGuard guard(limiter_lock_);
    update_limiter();
  }
  marked_.store_seq_cst(marked_.load_relaxed() + 1);
  futex_wake(marked_, INT_MAX);
  cleanups.wake();
}

void Collector::end_thread() {
  Thread& self = *World::current();
  if (thread_state_.load_acquire() == serving) {
    ending_.store_seq_cst(true);
    // The thread may be between its look at `ending` and its sleep: a new number wakes it for sure.
    request(CycleReason::forced);
    const RuntimeScope runtime(self);
    world.enter_blocking(self);
    ::pthread_join(thread_, nullptr);
    world.leave_blocking(self);
    ending_.store_seq_cst(false);
  }
  thread_state_.store_seq_cst(none);
  {
    const RuntimeScope runtime(self);
    mark_workers.end_threads(self);
  }
  // A cycle that was asked for will not happen: there will be nothing to collect.
  wanted_.store_seq_cst(0);
  begun_.store_seq_cst(0);
  marked_.store_seq_cst(0);
  swept_.store_seq_cst(0);
  sweep_wanted_.store_seq_cst(0);
}

}  // namespace gort::gc
