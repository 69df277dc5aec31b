// The thread that destructors and cleanups run on. To the world it is a thread of the program: its
// stack is scanned, and it is stopped by signal, since the code that it runs is the program's. All
// other signals but those of a fault it blocks: an embedder's handlers run on the embedder's
// threads.

#include <climits>
#include <exception>

#include <gort/base/os.h>
#include <gort/gc/cleanups.h>
#include <gort/gc/world.h>

namespace gort::gc {

void Cleanups::configure(bool own_thread, int signal) {
  own_thread_ = own_thread;
  signal_ = signal;
}

void Cleanups::wake() {
  if (!own_thread_ || due_.load_relaxed() == 0) return;
  work_.fetch_add_acq_rel(1);
  futex_wake(work_, INT_MAX);
  std::uint32_t expected = none;
  if (!thread_state_.cas_acq_rel(expected, starting)) return;
  // Without a thread what is due waits for run_cleanups() or the end; the next cycle tries again.
  const bool created = world.start_thread(thread_, "gort-cleanup", thread_main, this);
  thread_state_.store_release(created ? serving : none);
  futex_wake(thread_state_, INT_MAX);
}

void* Cleanups::thread_main(void* context) {
  auto& owner = *static_cast<Cleanups*>(context);
  os::unblock_faults(owner.signal_);
  Thread* self = nullptr;
  while (self == nullptr) {
    try {
      self = &world.attach(false, false);
    } catch (const std::exception&) {
      if (owner.ending_.load_acquire()) return nullptr;
      futex_wait_for(owner.work_, owner.work_.load_acquire(), 10'000'000);
    }
  }
  owner.thread_of_runtime_.store_release(self);
  owner.serve(*self);
  owner.thread_of_runtime_.store_release(nullptr);
  world.detach();
  return nullptr;
}

void Cleanups::serve(Thread& self) {
  while (!ending_.load_acquire()) {
    const std::uint32_t seen = work_.load_acquire();
    if (due_.load_acquire() > 0) {
      run();
      continue;
    }
    world.enter_blocking(self);
    if (!ending_.load_acquire()) futex_wait(work_, seen);
    world.leave_blocking(self);
  }
}

void Cleanups::end_thread() {
  Thread* const self = World::current();
  while (thread_state_.load_acquire() == starting) {
    if (self != nullptr) world.enter_blocking(*self);
    futex_wait(thread_state_, starting);
    if (self != nullptr) world.leave_blocking(*self);
  }
  if (thread_state_.load_acquire() != serving) return;
  ending_.store_seq_cst(true);
  work_.fetch_add_acq_rel(1);
  futex_wake(work_, INT_MAX);
  if (self != nullptr) world.enter_blocking(*self);
  ::pthread_join(thread_, nullptr);
  if (self != nullptr) world.leave_blocking(*self);
  ending_.store_seq_cst(false);
  thread_state_.store_release(none);
}

void Cleanups::after_fork_in_child(Thread* self) {
  if (runner_ != nullptr && runner_ != self) {
    runner_ = nullptr;
    for (Block* block = blocks_; block != nullptr; block = block->next) {
      for (CleanupRecord& record : block->records) {
        if (record.state.load_relaxed() != CleanupRecord::running) continue;
        AtomicRef<void*>(record.target).store_relaxed(nullptr);
        free_record(record);
      }
    }
  }
  if (self == nullptr || thread_of_runtime_.load_relaxed() != self) {
    thread_of_runtime_.store_relaxed(nullptr);
    thread_state_.store_relaxed(none);
    ending_.store_relaxed(false);
  }
}

}  // namespace gort::gc
