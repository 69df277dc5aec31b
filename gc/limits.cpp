// What happens at the limits: of processor time (cpu_limiter.h) and of memory.
//
// The CPU limiter: who measures, and who asks it.
//
// Collecting is what the thread that runs a cycle has used of its processor from begin to end, its
// sleeps left out, what allocating threads have used to help it, and what dedicated workers have,
// which is charged when marking ends. The others are charged every 2 MiB that a cycle marks and at
// its ends. Until then it passes for the program's own, which the next charge
// puts right: what the limiter adds up is differences of totals.
//
// While it is limiting, threads that allocate ask it again now and then, as no cycle may come.
//
// Out of memory: when the system refuses, an emergency collection; if it refuses again, the
// program's hook; if that has made room, another collection, since what it has let go is garbage
// now; and so on until the system gives or the hook does not know any more. The hook runs outside
// the runtime, so it may do what a program may. What it allocates in turn may find the system
// refusing as well, which is std::bad_alloc after one collection, not another call.

#include <gort/alloc/heap.h>
#include <gort/base/clock.h>
#include <gort/base/counters.h>
#include <gort/base/os.h>
#include <gort/gc/collector.h>
#include <gort/gc/mark_workers.h>

namespace gort::gc {
namespace {

// Allocating threads ask again after this many bytes.
constexpr std::size_t kAskAgainBytes = std::size_t{256} << 10;

constinit GORT_TLS bool in_hook = false;

// For a scope the calling thread is as it was before its allocation: it may be stopped, and may
// allocate.
class OutsideRuntime {
 public:
  explicit OutsideRuntime(Thread& self) : self_(self) {
    in_hook = true;
    world.leave_runtime(self_);
  }
  ~OutsideRuntime() {
    World::enter_runtime(self_);
    in_hook = false;
  }
  OutsideRuntime(const OutsideRuntime&) = delete;
  OutsideRuntime& operator=(const OutsideRuntime&) = delete;

 private:
  Thread& self_;
};

}  // namespace

bool Collector::out_of_memory(std::size_t bytes, unsigned attempt) {
  counters.os_refusals.fetch_add_relaxed(1);
  if (attempt > 0) {
    const CollectorOptions& options = collector.options_;
    if (options.out_of_memory == nullptr || in_hook) return false;
    const OutsideRuntime outside(*World::current());
    if (!options.out_of_memory(bytes, options.out_of_memory_context)) return false;
  }
  collector.collect(CycleReason::emergency, true);
  return true;
}

// No cycle is under way.
void Collector::start_limiter() {
  started_ns_ = now_ns();
  collecting_ns_.store_relaxed(0);
  idle_ns_.store_relaxed(0);
  const std::int64_t capacity = options_.limiter_capacity < 0
                                    ? 1'000'000'000 * static_cast<std::int64_t>(os::processors())
                                    : options_.limiter_capacity;
  LockGuard guard(limiter_lock_);
  limiter_ = CpuLimiter(capacity, cpu_times());
  limiting_.store_relaxed(false);
}

double Collector::cpu_share() const {
  const std::int64_t available =
      (now_ns() - started_ns_) * static_cast<std::int64_t>(os::processors());
  return available <= 0 ? 0 : static_cast<double>(collecting_ns()) / static_cast<double>(available);
}

CpuTimes Collector::cpu_times() const {
  if (options_.cpu_times != nullptr) return options_.cpu_times();
  const std::int64_t collecting = collecting_ns();
  return {collecting, process_cpu_ns() - collecting - idle_ns_.load_relaxed()};
}

// On the thread that runs the cycle.
void Collector::charge_cycle() {
  const std::int64_t now = thread_cpu_ns();
  collecting_ns_.fetch_add_relaxed(now - charged_cpu_ns_);
  charged_cpu_ns_ = now;
}

// Idle ones take nothing from the program.
void Collector::charge_workers() {
  collecting_ns_.fetch_add_relaxed(mark_workers.dedicated_ns());
  idle_ns_.fetch_add_relaxed(mark_workers.idle_ns());
}

void Collector::limiter_begins_cycle(CycleReason reason) {
  charged_cpu_ns_ = thread_cpu_ns();
  LockGuard guard(limiter_lock_);
  limiter_.begin_cycle(cpu_times(), reason == CycleReason::heap_goal);
  publish_limiter();
}

void Collector::limiter_watches_cycle() {
  charge_cycle();
  try_update_limiter();
}

void Collector::limiter_ends_cycle() {
  charge_cycle();
  LockGuard guard(limiter_lock_);
  limiter_.end_cycle(cpu_times());
  publish_limiter();
}

void Collector::try_update_limiter() {
  if (!limiter_lock_.try_acquire()) return;  // somebody else is at it
  update_limiter();
  limiter_lock_.release();
}

void Collector::update_limiter() {
  limiter_.update(cpu_times());
  publish_limiter();
}

void Collector::publish_limiter() {
  const bool limiting = limiter_.limiting();
  if (limiting && !limiting_.load_relaxed()) counters.cpu_limited.fetch_add_relaxed(1);
  limiter_asked_again_.store_relaxed(alloc::heap.heap_live.load_relaxed() + kAskAgainBytes);
  limiting_.store_relaxed(limiting);
}

// Whether a heap that is at its trigger waits with the next cycle.
bool Collector::put_off(std::size_t bytes) {
  if (GORT_LIKELY(!limiting_.load_relaxed())) return false;
  const std::size_t live = alloc::heap.heap_live.load_relaxed() + bytes;
  if (live >= limiter_asked_again_.load_relaxed()) try_update_limiter();
  return limiting_.load_relaxed() && live < percent_trigger_.load_relaxed();
}

}  // namespace gort::gc
