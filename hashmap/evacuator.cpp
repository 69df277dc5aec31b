#include <gort/hashmap/evacuator.h>

#include <climits>
#include <exception>
#include <mutex>

#include <gort/base/counters.h>
#include <gort/base/lock.h>
#include <gort/base/os.h>
#include <gort/gc/world.h>

namespace gort::hashmap {
namespace {

// A blocking region, if the calling thread is attached and not in one.
class Waiting {
 public:
  Waiting() : self_(gc::World::current()) {
    if (self_ != nullptr && self_->state.load_relaxed() == gc::Thread::parked) self_ = nullptr;
    if (self_ != nullptr) gc::world.enter_blocking(*self_);
  }
  ~Waiting() {
    if (self_ != nullptr) gc::world.leave_blocking(*self_);
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  gc::Thread* self_;
};

}  // namespace

constinit Evacuator evacuator;

// --- clients -------------------------------------------------------------------------------------

void Evacuator::add(Client& client) {
  const std::lock_guard guard(lock_);
  if (client.added_) return;
  client.added_ = true;
  client.previous_ = nullptr;
  client.next_ = clients_;
  if (clients_ != nullptr) clients_->previous_ = &client;
  clients_ = &client;
}

void Evacuator::remove(Client& client) noexcept {
  const std::lock_guard guard(lock_);
  if (!client.added_) return;
  client.added_ = false;
  client.not_due();
  (client.previous_ != nullptr ? client.previous_->next_ : clients_) = client.next_;
  if (client.next_ != nullptr) client.next_->previous_ = client.previous_;
}

void Evacuator::announce(Client& client) {
  if (thread_state_.load_acquire() == none) {
    const std::lock_guard guard(lock_);
    if (!client.added_) return;
    if (thread_state_.load_relaxed() == none) {
      install_fork_handlers();
      // As the program's own code, that is, not World::start_thread(): a stop finds it anywhere.
      if (!os::start_thread(thread_, "gort-evacuator", thread_main, this)) {
        counters.os_refusals.fetch_add_relaxed(1);  // the next write tries again
        return;
      }
      thread_state_.store_release(serving);
      threads_.fetch_add_relaxed(1);
    }
  }
  client.due_.store_relaxed(true);
  wake();
}

void Evacuator::wake() {
  word_.fetch_add_acq_rel(1);
  futex_wake(word_, INT_MAX);
}

void Evacuator::forget_due() {
  for (Client* client = clients_; client != nullptr; client = client->next_) client->not_due();
}

// --- the thread ----------------------------------------------------------------------------------

void* Evacuator::thread_main(void* self) {
  os::unblock_faults();  // of the collector's signal it has no need: it polls
  static_cast<Evacuator*>(self)->serve();
  return nullptr;
}

void Evacuator::serve() {
  gc::Thread* self = nullptr;
  while (!stopping_.load_acquire()) {
    const std::uint32_t seen = word_.load_acquire();
    if (self == nullptr) {
      try {
        self = &gc::world.attach(false, false);
      } catch (const std::exception&) {
        futex_wait_for(word_, seen, 10 * kPauseNs);
        continue;
      }
    }
    const bool any_due = look_at_all();
    const Waiting waiting;
    if (stopping_.load_acquire()) break;
    if (any_due) {
      futex_wait_for(word_, seen, kPauseNs);
    } else {
      futex_wait(word_, seen);
    }
  }
  if (self != nullptr) gc::world.detach();
}

bool Evacuator::look_at_all() {
  const std::lock_guard guard(lock_);
  bool any_due = false;
  for (Client* client = clients_; client != nullptr; client = client->next_) {
    if (!client->due()) continue;
    looks_.owner_add_relaxed(1);
    if (client->step()) steps_.owner_add_relaxed(1);
    any_due = any_due || client->due();
  }
  return any_due;
}

void Evacuator::stop() {
  pthread_t thread{};
  {
    const std::lock_guard guard(lock_);
    forget_due();
    if (thread_state_.load_relaxed() == none) return;
    thread = thread_;
    stopping_.store_release(true);
  }
  wake();
  {
    const Waiting waiting;
    ::pthread_join(thread, nullptr);
  }
  const std::lock_guard guard(lock_);
  forget_due();
  stopping_.store_release(false);
  thread_state_.store_release(none);
}

Evacuator::Figures Evacuator::figures() const {
  return {steps_.load_relaxed(), looks_.load_relaxed(), threads_.load_relaxed()};
}

// --- fork ----------------------------------------------------------------------------------------

void Evacuator::install_fork_handlers() {
  // After those of the collector, so this one is called before the world stops. For good: there is
  // no way to take them off again.
  static const int installed =
      ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
  if (installed != 0) counters.os_refusals.fetch_add_relaxed(1);
}

void Evacuator::before_fork() {
  const Waiting waiting;
  evacuator.lock_.lock_now();
}

void Evacuator::after_fork_in_parent() { evacuator.lock_.unlock(); }

void Evacuator::after_fork_in_child() {
  evacuator.thread_state_.store_relaxed(none);
  evacuator.stopping_.store_relaxed(false);
  evacuator.forget_due();
  evacuator.lock_.unlock();
}

}  // namespace gort::hashmap
