#include <gort/gc/mark_workers.h>

#include <algorithm>
#include <climits>
#include <new>

#include <gort/base/clock.h>
#include <gort/base/counters.h>
#include <gort/base/os.h>
#include <gort/gc/marker.h>
#include <gort/gc/world.h>

namespace gort::gc {

constinit MarkWorkers mark_workers;

namespace {

// A stop waits for no more than this.
constexpr std::size_t kPieceBytes = std::size_t{32} << 10;
// Pieces between two looks at the clock, for which all that is grey goes back to the pool.
constexpr int kPieces = 32;

// Go's quarter, less the cycle's own thread.
std::size_t dedicated() { return std::max<std::size_t>(os::processors() / 4, 1) - 1; }

}  // namespace

void MarkWorkers::adapt() {
  std::size_t count = markers_ - 1;
  if (markers_ == 0) {
    const std::size_t taken = world.running_threads() + 1;
    const std::size_t idle = os::processors() > taken ? os::processors() - taken : 0;
    count = std::max(idle, dedicated());
  }
  count = std::min(count, kMost);
  make_threads(count);
  if (allowed_.load_relaxed() == count) return;
  allowed_.store_release(count);
  wake_all();
}

void MarkWorkers::make_threads(std::size_t count) {
  for (; threads_ < count; ++threads_) {
    auto* const index = reinterpret_cast<void*>(threads_);
    if (world.start_thread(handles_[threads_], "gort-marker", thread_main, index)) continue;
    counters.os_refusals.fetch_add_relaxed(1);  // the next look tries again
    return;
  }
}

void MarkWorkers::wake_one() {
  if (GORT_LIKELY(asleep_.load_relaxed() == 0)) return;
  word_.fetch_add_acq_rel(1);
  futex_wake(word_, 1);
}

void MarkWorkers::wake_all() {
  word_.fetch_add_acq_rel(1);
  futex_wake(word_, INT_MAX);
}

void MarkWorkers::dismiss() { allowed_.store_release(0); }

void* MarkWorkers::thread_main(void* index) {
  Thread* self = nullptr;
  try {
    self = &world.attach(true);
  } catch (const std::bad_alloc&) {
    return nullptr;  // one fewer
  }
  World::enter_runtime(*self);
  mark_workers.serve(*self, reinterpret_cast<std::size_t>(index));
  world.detach();
  return nullptr;
}

void MarkWorkers::serve(Thread& self, std::size_t index) {
  while (!ending_.load_acquire()) {
    const std::uint32_t seen = word_.load_acquire();
    if (work(index)) {
      world.poll(self);
      continue;
    }
    const bool waits = index < allowed_.load_relaxed();
    if (waits) asleep_.fetch_add_relaxed(1);
    world.enter_blocking(self);
    if (!ending_.load_acquire()) futex_wait(word_, seen);
    world.leave_blocking(self);
    if (waits) asleep_.fetch_sub_relaxed(1);
  }
}

bool MarkWorkers::work(std::size_t index) {
  if (index >= allowed_.load_acquire() || !mark_pool.has_full()) return false;
  mark_pool.busy.fetch_add_acq_rel(1);
  const std::int64_t start = thread_cpu_ns();
  {
    Marker marker(mark_pool);
    for (int i = 0; i < kPieces && marker.drain(kPieceBytes); ++i) {
      if (world.stop_requested() || index >= allowed_.load_relaxed()) break;
      counters.worker_bytes.fetch_add_relaxed(marker.publish_numbers().scanned);
      marker.share();
    }
    counters.worker_bytes.fetch_add_relaxed(marker.publish_numbers().scanned);
  }
  (index < dedicated() ? dedicated_ns_ : idle_ns_).fetch_add_relaxed(thread_cpu_ns() - start);
  mark_pool.busy.fetch_sub_acq_rel(1);
  return true;
}

void MarkWorkers::reset_numbers() {
  dedicated_ns_.store_relaxed(0);
  idle_ns_.store_relaxed(0);
}

void MarkWorkers::end_threads(Thread& self) {
  ending_.store_seq_cst(true);
  wake_all();
  world.enter_blocking(self);
  for (; threads_ > 0; --threads_) ::pthread_join(handles_[threads_ - 1], nullptr);
  world.leave_blocking(self);
  ending_.store_seq_cst(false);
}

void MarkWorkers::after_fork_in_child() {
  threads_ = 0;
  allowed_.store_relaxed(0);
  asleep_.store_relaxed(0);
}

}  // namespace gort::gc
