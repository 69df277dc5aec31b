#include <gort/alloc/scavenger.h>

#include <algorithm>
#include <climits>
#include <csignal>

#include <gort/alloc/collector_hooks.h>
#include <gort/alloc/heap.h>
#include <gort/base/clock.h>
#include <gort/base/counters.h>
#include <gort/base/metadata.h>
#include <gort/base/os.h>

namespace gort::alloc {

constinit Scavenger scavenger;

// --- the thread ----------------------------------------------------------------------------------

void* Scavenger::thread_main(void* self) {
  static_cast<Scavenger*>(self)->run();
  return nullptr;
}

void Scavenger::run() {
  ScavengePolicy policy(kScavengeShare * static_cast<double>(os::processors()));
  std::uint64_t frees_seen = 0;  // before the last release
  while (!stopping_.load_acquire()) {
    const std::uint32_t seen = word_.load_acquire();
    const ScavengeInput now = input();
    const std::size_t most = enabled_.load_relaxed() ? retained_goal(now) : kNoGoal;
    const ScavengePolicy::Step step = policy.next(now_ns(), heap.pages.resident(), most);
    switch (step.action) {
      case ScavengePolicy::Action::release: {
        frees_seen = heap.pages.frees();
        const std::int64_t start = thread_cpu_ns();
        std::size_t bytes = 0;
        {
          LockGuard guard(lock_);
          bytes = heap.pages.scavenge(step.bytes, release_reason(now));
        }
        const std::int64_t worked = thread_cpu_ns() - start;
        policy.released(bytes, worked, heap.pages.scavenged_to_the_end());
        released_bytes_.owner_add_relaxed(bytes);
        worked_ns_.owner_add_relaxed(static_cast<std::uint64_t>(worked));
        pieces_.owner_add_relaxed(1);
        break;
      }
      case ScavengePolicy::Action::pause:
        // Whatever happens meanwhile can wait; only stop() cuts a pause short.
        futex_wait_for(word_, seen, step.ns);
        break;
      case ScavengePolicy::Action::rest_at_goal:
        rest(seen, true, frees_seen);
        break;
      case ScavengePolicy::Action::rest_until_idle:
        rest(seen, false, frees_seen);
        policy.pages_became_idle();
        break;
    }
  }
}

void Scavenger::rest(std::uint32_t seen, bool at_goal, std::uint64_t frees_seen) {
  const std::size_t most = goal();
  if (at_goal) {
    wake_above_.store_relaxed(most);
  } else {
    wake_on_free_.store_relaxed(true);
  }
  bool nothing_new = false;  // see "Lost wake-ups" above
  {
    LockGuard guard(heap.pages.lock);
    nothing_new = at_goal ? heap.pages.resident() <= most : heap.pages.frees() == frees_seen;
  }
  if (nothing_new && !stopping_.load_acquire()) {
    resting_.store_release(true);
    futex_wait(word_, seen);
    resting_.store_release(false);
    wakes_.owner_add_relaxed(1);
  }
  wake_above_.store_relaxed(kNoGoal);
  wake_on_free_.store_relaxed(false);
}

void Scavenger::wake() {
  word_.fetch_add_acq_rel(1);
  futex_wake(word_, INT_MAX);
}

// --- start and stop ------------------------------------------------------------------------------

void Scavenger::start() {
  install_fork_handlers();
  LockGuard guard(lock_);
  enabled_.store_relaxed(true);
}

void Scavenger::stop() {
  {
    LockGuard guard(lock_);
    enabled_.store_relaxed(false);  // so no other is made
  }
  while (thread_state_.load_acquire() == starting) futex_wait(thread_state_, starting);
  bool join = false;
  pthread_t thread{};
  {
    LockGuard guard(lock_);
    join = thread_state_.load_relaxed() == serving;
    thread = thread_;
    stopping_.store_release(true);
  }
  wake();
  if (join) ::pthread_join(thread, nullptr);
  stopping_.store_release(false);
  {
    LockGuard guard(lock_);
    thread_state_.store_relaxed(none);
  }
  cycles_.store_relaxed(0);
  heap_goal_.store_relaxed(kNoGoal);
  memory_limit_.store_relaxed(kNoGoal);
}

void Scavenger::make_thread() {
  auto* const start = collector_hooks.start_thread;
  pthread_t thread{};
  const bool made =
      (start != nullptr ? start : os::start_thread)(thread, "gort-scavenger", thread_main, this);
  if (made) {
    threads_.fetch_add_relaxed(1);
  } else {
    counters.os_refusals.fetch_add_relaxed(1);  // the next cycle tries again
  }
  LockGuard guard(lock_);
  thread_ = thread;
  thread_state_.store_release(made ? serving : none);
  futex_wake(thread_state_, INT_MAX);
}

// --- goals ---------------------------------------------------------------------------------------

void Scavenger::cycle_ended(std::size_t last_heap_goal, std::size_t heap_goal) {
  in_use_.store_relaxed(heap.in_use_at_flip());
  last_heap_goal_.store_relaxed(last_heap_goal);
  heap_goal_.store_relaxed(heap_goal);
  cycles_.fetch_add_acq_rel(1);
  goals_changed();
}

void Scavenger::settings_changed(std::size_t (*heap_goal)(), std::size_t (*memory_limit)()) {
  {
    LockGuard guard(lock_);
    heap_goal_.store_relaxed(heap_goal());
    memory_limit_.store_relaxed(memory_limit());
  }
  goals_changed();
}

void Scavenger::goals_changed() {
  bool make = false;
  {
    LockGuard guard(lock_);
    if (!enabled_.load_relaxed()) return;
    if (thread_state_.load_relaxed() == none) {
      // With a limit, growth alone can make work, and only a thread that rests can be woken.
      if (heap.pages.resident() <= goal() && memory_limit_.load_relaxed() == kNoGoal) return;
      thread_state_.store_relaxed(starting);
      make = true;
    }
  }
  if (make) {
    make_thread();
  } else if (!may_rest_on()) {
    wake();  // one that is being made may have read the old goal
  }
}

// Cycles may follow each other every quarter of a millisecond, and waking the thread takes the
// program's processor from it. If it rests at the goal and that is where the heap still is, it is
// enough to tell it the new goal, and to look at the heap after that, as the thread does.
bool Scavenger::may_rest_on() {
  if (wake_on_free_.load_relaxed()) return true;  // more than the goal, but nothing that is idle
  if (wake_above_.load_relaxed() == kNoGoal) return false;
  const std::size_t most = goal();
  wake_above_.store_relaxed(most);
  LockGuard guard(heap.pages.lock);
  return heap.pages.resident() <= most;
}

ScavengeInput Scavenger::input() const {
  ScavengeInput in;
  in.cycles = cycles_.load_acquire();
  in.in_use = in_use_.load_relaxed();
  in.last_heap_goal = last_heap_goal_.load_relaxed();
  in.heap_goal = heap_goal_.load_relaxed();
  in.memory_limit = memory_limit_.load_relaxed();
  in.not_heap = metadata::bytes();
  return in;
}

std::size_t Scavenger::goal() const {
  return enabled_.load_relaxed() ? retained_goal(input()) : kNoGoal;
}

std::size_t Scavenger::excess() const {
  const std::size_t retained = heap.pages.resident();
  const std::size_t most = retained_goal(input());
  return retained <= most ? 0 : std::min(heap.pages.idle(), retained - most);
}

std::size_t Scavenger::release_all() {
  std::size_t total = 0;
  for (;;) {
    // In turns with the thread, and so that a fork need not wait for all of it.
    LockGuard guard(lock_);
    const std::size_t bytes = heap.pages.scavenge(kReleasePiece);
    total += bytes;
    if (bytes < kReleasePiece) break;
  }
  heap.pages.drop_behind_returned();
  return total;
}

Scavenger::Figures Scavenger::figures() const {
  Figures out;
  out.released_bytes = released_bytes_.load_relaxed();
  out.worked_ns = worked_ns_.load_relaxed();
  out.pieces = pieces_.load_relaxed();
  out.wakes = wakes_.load_relaxed();
  out.threads = threads_.load_relaxed();
  out.running = thread_state_.load_relaxed() == serving;
  out.resting = resting_.load_acquire();
  return out;
}

// --- fork ----------------------------------------------------------------------------------------

// The forking thread holds both locks over the fork, so in the child they are its own to release,
// and nothing was under way under them. Its signals are blocked that long: the collector must not
// stop a thread that holds the page allocator's lock.
void Scavenger::before_fork() GORT_NO_THREAD_SAFETY_ANALYSIS {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  scavenger.lock_.acquire();
  scavenger.mask_before_fork_ = before;
  heap.pages.lock.acquire();
}

void Scavenger::after_fork_in_parent() GORT_NO_THREAD_SAFETY_ANALYSIS {
  heap.pages.lock.release();
  const sigset_t mask = scavenger.mask_before_fork_;
  scavenger.lock_.release();
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
}

void Scavenger::after_fork_in_child() GORT_NO_THREAD_SAFETY_ANALYSIS {
  scavenger.thread_state_.store_relaxed(none);
  scavenger.stopping_.store_relaxed(false);
  scavenger.resting_.store_relaxed(false);
  scavenger.wake_on_free_.store_relaxed(false);
  scavenger.wake_above_.store_relaxed(kNoGoal);
  heap.pages.lock.release();
  const sigset_t mask = scavenger.mask_before_fork_;
  scavenger.lock_.release();
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
}

void Scavenger::install_fork_handlers() {
  // Once a process, and for good: there is no way to take them off again.
  static const int installed =
      ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
  if (installed != 0) counters.os_refusals.fetch_add_relaxed(1);
}

}  // namespace gort::alloc
