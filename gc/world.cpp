#include <gort/gc/world.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <new>
#include <system_error>

#include <gort/alloc/heap.h>
#include <gort/base/counters.h>
#include <gort/base/fatal.h>
#include <gort/base/metadata.h>
#include <gort/base/spin.h>
#include <gort/gc/mark_pool.h>
#include <gort/gc/stop_signal.h>

namespace gort::gc {

constinit World world;

namespace {

constinit GORT_TLS Thread* current_thread = nullptr;

// Waiting awake. For threads to reach a poll: what a signal would cost the two of them. For a
// thread to stop: what it takes to fall asleep and be woken up. For the world to go on: longer than
// a small cycle.
constexpr std::int64_t kPollNs = 10'000;
constexpr std::int64_t kParkNs = 50'000;
constexpr std::int64_t kStopNs = 250'000;

// A thread that ends without detaching is detached by the destructor of this key.
pthread_key_t exit_key() {
  static const pthread_key_t key = [] {
    pthread_key_t k{};
    const int result = ::pthread_key_create(&k, [](void*) { world.detach(); });
    GORT_CHECK(result == 0, "pthread_key_create: error {}", result);
    return k;
  }();
  return key;
}

bool is_blocked(int signal) {
  sigset_t now;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &now);
  return ::sigismember(&now, signal) == 1;
}

// Blocks or unblocks a signal in the calling thread. True if it was blocked.
bool block_signal(int how, int signal) {
  sigset_t set;
  sigset_t before;
  ::sigemptyset(&set);
  ::sigaddset(&set, signal);
  ::pthread_sigmask(how, &set, &before);
  return ::sigismember(&before, signal) == 1;
}

}  // namespace

void with_stack_recorded(Thread& thread, void (*f)(void*), void* context) {
  // What the caller keeps in a register is still there, or this function's first instructions have
  // pushed it: the scan begins at the stack pointer, below all that was pushed.
  std::uintptr_t* const to = thread.registers;
  const char* stack_pointer = nullptr;
#if defined(__x86_64__)
  asm volatile(
      "movq %%rbx, 0(%1)\n\tmovq %%rbp, 8(%1)\n\tmovq %%r12, 16(%1)\n\t"
      "movq %%r13, 24(%1)\n\tmovq %%r14, 32(%1)\n\tmovq %%r15, 40(%1)\n\tmovq %%rsp, %0"
      : "=&r"(stack_pointer)
      : "r"(to)
      : "memory");
#elif defined(__aarch64__)
  asm volatile(
      "stp x19, x20, [%1, #0]\n\tstp x21, x22, [%1, #16]\n\tstp x23, x24, [%1, #32]\n\t"
      "stp x25, x26, [%1, #48]\n\tstp x27, x28, [%1, #64]\n\tstr x29, [%1, #80]\n\t"
      "mov %0, sp"
      : "=&r"(stack_pointer)
      : "r"(to)
      : "memory");
#else
#error "tell with_stack_recorded which registers survive a call here"
#endif
  thread.stack_pointer = stack_pointer;
  thread.kept_words = 0;
  f(context);
}

namespace {

// For a thread that goes on after its stack has been recorded, in enter_blocking() or stop(): what
// callers keep in registers may have been pushed in frames that are gone by the time of the scan,
// so those frames, up to `end`, are copied.
GORT_NO_SANITIZE void keep_frames(Thread& thread, const char* end) {
  const auto* from = reinterpret_cast<const std::uintptr_t*>(thread.stack_pointer);
  const auto words = static_cast<std::size_t>(end - thread.stack_pointer) / kWordSize;
  GORT_CHECK(words <= Thread::kMostKeptWords, "a frame of {} words", words);
  for (std::size_t i = 0; i < words; ++i) thread.kept[i] = from[i];
  thread.kept_words = words;
}

}  // namespace

void Thread::note_alternate_stack() {
  stack_t alternate{};
  const bool on_it =
      ::sigaltstack(nullptr, &alternate) == 0 && (alternate.ss_flags & SS_ONSTACK) != 0;
  alternate_high = on_it ? static_cast<const char*>(alternate.ss_sp) + alternate.ss_size : nullptr;
}

Thread* World::current() { return current_thread; }

void World::configure(const WorldOptions& options) {
  GORT_CHECK(thread_count() == 0, "the world is configured while threads are attached");
  if (options.stop_signal != 0) StopSignal::install(options.stop_signal);
  options_ = options;
}

Thread& World::attach(bool of_runtime, bool counted) {
  if (current_thread != nullptr) return *current_thread;
  os::StackBounds stack;
  const int error = os::current_stack(stack);
  if (error != 0 && options_.scan_stacks && !of_runtime) {
    if (error == ENOMEM) throw std::bad_alloc();
    throw std::system_error(error, std::generic_category(), "gort: limits of the thread's stack");
  }
  if (!of_runtime && ::pthread_setspecific(exit_key(), this) != 0) throw std::bad_alloc();
  auto* self = metadata::create<Thread>();
  self->stack = stack;
  self->handle = ::pthread_self();
  self->of_runtime = of_runtime;
  self->counted = counted && !of_runtime;
  self->runtime_depth.store_relaxed(1);
  if (self->counted && options_.stop_signal != 0) {
    self->was_blocked = block_signal(SIG_UNBLOCK, options_.stop_signal);
  }
  // The runtime's own threads that are not stopped anywhere block all signals for good. A signal to
  // one would stay in the system's queue, and real-time signals add up there until it is full.
  self->signalled =
      options_.stop_signal != 0 && (self->counted || !is_blocked(options_.stop_signal));
  // From here on the handler knows us; until the depth is 0 again it leaves us alone.
  current_thread = self;
  alloc::thread_cache = &self->cache;
  {
    LockGuard guard(lock_);
    // Under the lock, for who has stopped the world walks over the caches.
    alloc::heap.add_cache(self->cache);
    thread_shard = self->cache.shard;
    self->next = threads_;
    if (threads_ != nullptr) threads_->previous = self;
    threads_ = self;
    if (self->counted) thread_count_.fetch_add_relaxed(1);
  }
  leave_runtime(*self);
  return *self;
}

void World::unlink(Thread& self) {
  if (self.previous != nullptr) {
    self.previous->next = self.next;
  } else {
    threads_ = self.next;
  }
  if (self.next != nullptr) self.next->previous = self.previous;
  if (self.counted) thread_count_.fetch_sub_relaxed(1);
}

void World::detach() {
  Thread* self = current_thread;
  if (self == nullptr) return;
  enter_runtime(*self);  // and never left
  flush_overwritten(self->overwritten);
  // Parked while waiting for the lock, since a stopper may hold it and wait for us. Once we hold it
  // nobody stops the world, and nobody else looks at our cache.
  static_cast<StackRecord&>(*self) = {};  // nothing to scan, whatever the last park has left in it
  self->interrupted = false;
  self->state.store_seq_cst(Thread::parked);
  futex_wake(self->state, INT_MAX);
  {
    LockGuard guard(lock_);
    alloc::heap.remove_cache(self->cache);
    unlink(*self);
  }
  alloc::thread_cache = &alloc::unattached_cache;
  if (!self->of_runtime) ::pthread_setspecific(exit_key(), nullptr);
  current_thread = nullptr;
  if (self->was_blocked) block_signal(SIG_BLOCK, options_.stop_signal);
  metadata::destroy(self);
}

void World::stop() {
  Thread& self = *current_thread;
  check_not_stopper(self);
  // In the runtime until resume(): a late signal of an earlier stop must not park the stopper.
  enter_runtime(self);
  // Somebody else may be stopping the world and waiting for us.
  park_and_go_on(self, static_cast<const char*>(__builtin_frame_address(0)) + 2 * kWordSize);
  lock_.acquire();
  self.state.store_seq_cst(Thread::running);  // no stop can be in progress: we hold the lock
  std::size_t running = 0;                    // this one among them
  for_each_thread([&running](const Thread& t) {
    if (t.state.load_relaxed() == Thread::running) ++running;
  });
  spin_.store_relaxed(running <= os::processors());
  stopper_.store_relaxed(&self);
  stopping_.store_seq_cst(kStopped);
  if (options_.stop_signal != 0) {
    // A thread that allocates will look here soon, which costs less than a signal.
    const Thread* awaited = threads_;
    spin_for(kPollNs, [&awaited, &self] {
      while (awaited != nullptr &&
             (awaited == &self || awaited->state.load_seq_cst() == Thread::parked)) {
        awaited = awaited->next;
      }
      return awaited == nullptr;
    });
    for (Thread* t = threads_; t != nullptr; t = t->next) {
      if (t != &self && t->signalled && t->state.load_seq_cst() == Thread::running) {
        StopSignal::send(t->handle, options_.stop_signal);
      }
    }
  }
  for (Thread* t = threads_; t != nullptr; t = t->next) {
    if (t != &self) wait_until_parked(*t);
  }
  outsiders_.acquire();
}

void World::wait_until_parked(Thread& thread) {
  const auto is_parked = [&thread] { return thread.state.load_seq_cst() == Thread::parked; };
  if (spin_for(kParkNs, is_parked)) return;
  // From here on the stopper may sleep, and be woken up on the processor of one that waits awake;
  // and the thread that it waits for may be queued behind that one.
  spin_.store_relaxed(false);
  constexpr std::int64_t kRepeatNs = 1'000'000;
  while (!is_parked()) {
    if (!thread.signalled) {
      futex_wait(thread.state, Thread::running);
      continue;
    }
    futex_wait_for(thread.state, Thread::running, kRepeatNs);
    if (is_parked()) return;
    counters.stop_signals_repeated.fetch_add_relaxed(1);
    StopSignal::send(thread.handle, options_.stop_signal);
  }
}

void World::resume() {
  stopper_.store_relaxed(nullptr);
  stopping_.store_seq_cst(0);
  // A sleeper counts itself before it looks at stopping_ for the last time, in the system call.
  if (sleepers_.load_seq_cst() != 0) futex_wake(stopping_, INT_MAX);
  outsiders_.release();
  lock_.release();
  leave_runtime(*current_thread);
}

void World::spin_while_stopping(Thread& self) {
  bool helped = false;
  spin_for(kStopNs, [this, &self, &helped] {
    if (!must_wait(self, stopping_.load_seq_cst()) || !spin_.load_relaxed()) return true;
    if (!helped && !self.interrupted && help_wanted_.load_relaxed()) {
      helped = true;
      help(self);
    }
    return false;
  });
}

void World::help(Thread& self) {
  helping_.fetch_add_seq_cst(1);
  if (help_wanted_.load_seq_cst()) help_(self);
  helping_.fetch_sub_acq_rel(1);
}

void World::call_help(void (*f)(Thread&)) {
  help_ = f;
  help_wanted_.store_seq_cst(true);
}

void World::dismiss_help() {
  help_wanted_.store_seq_cst(false);
  while (helping_.load_seq_cst() != 0) cpu_relax();
}

// Nobody else would ever end the stop. Over a fork the program's own code runs on that thread.
void World::check_not_stopper(const Thread& self) const {
  if (GORT_LIKELY(stopper_.load_relaxed() != &self)) return;
  fatal(
      "the heap is used by the thread that has stopped the world: a fork handler that uses it must "
      "be registered (pthread_atfork) after gort::start()");
}

void World::wait_while_stopping(Thread& self) {
  check_not_stopper(self);
  for (;;) {
    std::uint32_t stopping = 0;
    if (spin_.load_relaxed()) spin_while_stopping(self);
    while (must_wait(self, stopping = stopping_.load_seq_cst())) {
      sleepers_.fetch_add_seq_cst(1);
      futex_wait(stopping_, stopping);
      sleepers_.fetch_sub_relaxed(1);
    }
    self.state.store_seq_cst(Thread::running);
    if (!must_wait(self, stopping_.load_seq_cst())) return;
    self.state.store_seq_cst(Thread::parked);
    futex_wake(self.state, INT_MAX);
  }
}

// Whoever holds the lock may be stopping the world and wait for this very thread to park: so it is
// not waited for, and who cannot count takes it that no processor is idle.
std::size_t World::running_threads() {
  if (!lock_.try_acquire()) return os::processors();
  std::size_t running = 0;
  for_each_thread([&running](const Thread& t) {
    if (!t.of_runtime && !t.blocking.load_relaxed()) ++running;
  });
  lock_.release();
  return running;
}

void World::stop_for_fork() {
  stop();
  // Who goes on sees this, as it has waited for it: so it cannot pass a poll.
  stopping_.store_seq_cst(kForking);
  futex_wake(stopping_, INT_MAX);
}

// With the stack recorded, and the depth above 0.
void World::park(Thread& self) {
  self.state.store_seq_cst(Thread::parked);
  futex_wake(self.state, INT_MAX);
  wait_while_stopping(self);
}

void World::park_while_stopping(Thread& self, bool interrupted) {
  do {
    enter_runtime(self);
    self.interrupted = interrupted;
    self.note_alternate_stack();
    with_stack_recorded(
        self, [](void* thread) { world.park(*static_cast<Thread*>(thread)); }, &self);
    self.runtime_depth.store_relaxed(self.runtime_depth.load_relaxed() - 1);
    compiler_barrier();
  } while (must_wait(self, stopping_.load_relaxed()));
}

void World::park_at_poll(Thread& self) {
  if (GORT_LIKELY(!self.blocking.load_relaxed())) {
    park_while_stopping(self, false);
    return;
  }
  // Parked already; what the region has recorded stands.
  wait_while_stopping(self);
  go_on_parked(self);
}

// The handler may have been here in vain. Without a signal nobody has, and the next poll will do.
void World::park_after_runtime(Thread& self, bool interrupted) {
  if (options_.stop_signal != 0) park_while_stopping(self, interrupted);
}

// Records the stack, with the frames up to `end`, which the caller will leave, and parks. In the
// runtime: the handler would overwrite what is being recorded.
void World::park_and_go_on(Thread& self, const char* end) {
  struct Leaving {
    Thread* thread;
    const char* end;
  } leaving{&self, end};
  self.note_alternate_stack();
  with_stack_recorded(
      self,
      [](void* context) {
        const auto& [thread, frames_end] = *static_cast<Leaving*>(context);
        keep_frames(*thread, frames_end);
        world.go_on_parked(*thread);
      },
      &leaving);
}

void World::go_on_parked(Thread& self) {
  self.interrupted = false;
  self.state.store_seq_cst(Thread::parked);
  if (stopping_.load_seq_cst() != 0) futex_wake(self.state, INT_MAX);
}

void World::enter_blocking(Thread& self) {
  check_not_stopper(self);
  enter_runtime(self);
  self.blocking.store_relaxed(true);
  park_and_go_on(self, static_cast<const char*>(__builtin_frame_address(0)) + 2 * kWordSize);
  // Still in the runtime: parked, the thread need not be signalled, and is not.
}

void World::leave_blocking(Thread& self) {
  wait_while_stopping(self);
  self.blocking.store_relaxed(false);
  leave_runtime(self);
}

bool World::start_thread(pthread_t& thread, const char* name, void* (*f)(void*), void* context) {
  Thread* const self = current_thread;
  const bool parks = self != nullptr && !self->blocking.load_relaxed();
  if (parks) enter_blocking(*self);
  const bool made = os::start_thread(thread, name, f, context);
  if (parks) leave_blocking(*self);
  return made;
}

void World::return_to_blocking(Thread& self, const StackRecord& record) {
  enter_runtime(self);
  self.blocking.store_relaxed(true);
  static_cast<StackRecord&>(self) = record;
  go_on_parked(self);
}

void World::keep_only_current_after_fork() {
  for (Thread* t = threads_; t != nullptr;) {
    Thread* next = t->next;
    if (t != current_thread) {
      // It may have been anywhere in a fast path.
      alloc::heap.drop_unpublished(t->cache);
      t->cache.flush_interrupted();
      alloc::heap.remove_cache(t->cache);
      unlink(*t);
      metadata::destroy(t);
    }
    t = next;
  }
}

}  // namespace gort::gc
