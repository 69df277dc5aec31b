#include <gort/gc/world.h>

#include <climits>

#include <pthread.h>

#include <gort/alloc/heap.h>
#include <gort/base/fatal.h>
#include <gort/base/metadata.h>

namespace gort::gc {

constinit World world;

namespace {

constinit GORT_TLS Thread* current_thread = nullptr;

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

}  // namespace

void with_stack_recorded(Thread& thread, void (*f)(void*), void* context) {
  // setjmp stores the callee-saved registers. glibc mangles rbp among them, which in a caller that
  // keeps no frame pointer may hold a reference; but this function keeps one, so it has pushed the
  // caller's rbp, and its frame address is where.
  setjmp(thread.registers);  // NOLINT: never jumped to
  thread.stack_pointer = static_cast<const char*>(__builtin_frame_address(0));
  f(context);
}

Thread* World::current() { return current_thread; }

Thread& World::attach() {
  if (current_thread != nullptr) return *current_thread;
  auto* self = metadata::create<Thread>();
  self->stack = os::current_stack();
  ::pthread_setspecific(exit_key(), self);
  alloc::heap.add_cache(self->cache);
  {
    LockGuard guard(lock_);
    self->next = threads_;
    if (threads_ != nullptr) threads_->previous = self;
    threads_ = self;
    thread_count_.fetch_add_relaxed(1);
  }
  current_thread = self;
  alloc::thread_cache = &self->cache;
  return *self;
}

void World::unlink(Thread& self) {
  if (self.previous != nullptr) {
    self.previous->next = self.next;
  } else {
    threads_ = self.next;
  }
  if (self.next != nullptr) self.next->previous = self.previous;
  thread_count_.fetch_sub_relaxed(1);
}

void World::detach() {
  Thread* self = current_thread;
  if (self == nullptr) return;
  // Parked while waiting for the lock, since a stopper may hold it and wait for us. Once we hold it
  // nobody stops the world, and nobody else looks at our cache.
  self->stack_pointer = self->stack.high;
  self->state.store_seq_cst(Thread::parked);
  futex_wake(self->state, INT_MAX);
  {
    LockGuard guard(lock_);
    alloc::heap.remove_cache(self->cache);
    unlink(*self);
  }
  current_thread = nullptr;
  alloc::thread_cache = &alloc::unattached_cache;
  ::pthread_setspecific(exit_key(), nullptr);
  metadata::destroy(self);
}

void World::stop() {
  Thread& self = *current_thread;
  // Somebody else may be stopping the world and waiting for us.
  enter_blocking(self);
  lock_.acquire();
  self.state.store_seq_cst(Thread::running);  // no stop can be in progress: we hold the lock
  stopping_.store_seq_cst(1);
  for (Thread* t = threads_; t != nullptr; t = t->next) {
    if (t == &self) continue;
    for (int spin = 0; spin < 1000 && t->state.load_seq_cst() != Thread::parked; ++spin) {
      __builtin_ia32_pause();
    }
    while (t->state.load_seq_cst() != Thread::parked) futex_wait(t->state, Thread::running);
  }
}

void World::resume() {
  stopping_.store_seq_cst(0);
  futex_wake(stopping_, INT_MAX);
  lock_.release();
}

void World::wait_while_stopping(Thread& self) {
  for (;;) {
    while (stopping_.load_seq_cst() != 0) futex_wait(stopping_, 1);
    self.state.store_seq_cst(Thread::running);
    if (stopping_.load_seq_cst() == 0) return;
    self.state.store_seq_cst(Thread::parked);
    futex_wake(self.state, INT_MAX);
  }
}

void World::park_at_poll() {
  Thread* self = current_thread;
  if (self == nullptr) return;
  with_stack_recorded(
      *self,
      [](void* context) {
        auto& thread = *static_cast<Thread*>(context);
        thread.state.store_seq_cst(Thread::parked);
        futex_wake(thread.state, INT_MAX);
        world.wait_while_stopping(thread);
      },
      self);
}

void World::enter_blocking(Thread& self) {
  with_stack_recorded(
      self,
      [](void* context) {
        auto& thread = *static_cast<Thread*>(context);
        thread.state.store_seq_cst(Thread::parked);
        if (world.stopping_.load_seq_cst() != 0) futex_wake(thread.state, INT_MAX);
      },
      &self);
}

void World::leave_blocking(Thread& self) { wait_while_stopping(self); }

void World::keep_only_current_after_fork() {
  Thread* self = current_thread;
  lock_.reset_in_child();
  stopping_.store_seq_cst(0);
  LockGuard guard(lock_);
  for (Thread* t = threads_; t != nullptr;) {
    Thread* next = t->next;
    if (t != self) {
      alloc::heap.remove_cache(t->cache);
      unlink(*t);
      metadata::destroy(t);
    }
    t = next;
  }
}

}  // namespace gort::gc
