#pragma once

// The world: the threads that may touch the heap, and how they are brought to a stop.
//
// A thread is in one of two states:
//     running   it may read and write heap references
//     parked    it does not, until it has made itself running again; its registers and the part of
//               its stack that may hold references are recorded
//
// A thread parks
//     at a poll        (every allocation slow path, safepoint()), if a stop is requested;
//     in the handler   of the stop signal, between any two instructions of its own code;
//     by itself        for the length of a Blocking region, and while it waits for a collection.
//
// Runtime code that takes a lock or touches shared records is not stopped in its middle: between
// enter_runtime() and leave_runtime() the handler returns at once, and leave_runtime() polls. So
// whoever has stopped the world sees no half-done work of the runtime. A thread parked by the
// handler is `interrupted`: it may be between any two instructions of a fast path. What that asks
// of allocation is said in thread_cache.h, what it asks of the barrier in barrier.h. So is one that
// leave_runtime() parks, except at the end of a slow path: a handler of the program that stores a
// reference comes to the barrier's region with whatever it has interrupted half done.
//
// Stopping. The stopper holds the world lock, so threads neither come nor go:
//     stopper:  stopping := 1;            give all of them ten microseconds to reach a poll; for
//                                         every one not parked: signal it, wait until it is
//                                         (not those of the runtime that stop at polls alone)
//     thread:   state := running;         if stopping == 1: state := parked, wait
// All four accesses are sequentially consistent, so of a thread that leaves its parking place and a
// stopper that arrives, at least one sees the other (Dekker): either the stopper sees `running` and
// waits, or the thread sees `stopping` and parks again. While stopping is 1, a parked thread stays
// so. A running thread that the stopper signals either runs the handler at depth 0, which parks it,
// or at depth > 0, and then the poll at the end of that depth comes after the handler and sees
// `stopping`. The stopper repeats the signal every millisecond until the thread is parked, in case
// the signal met a foreign handler of the same number. If there is a processor for each thread that
// was running, parked threads look at `stopping` for a while before they sleep on it.
//
// The signal: SIGURG by default (Go's choice too: ignored by default, hardly ever used), installed
// with SA_RESTART; a signal that is not ours goes on to the handler that was there before
// (stop_signal.h). A thread that has it blocked has it unblocked while it is attached; one that
// blocks it later delays the next stop until it lets it through, or polls. Signals are used only if
// WorldOptions say so: ThreadSanitizer does not survive them, and a heap without
// conservative stacks cannot use them (a thread stopped anywhere may hold a reference in a register
// alone). Then threads stop at polls alone, and not at the end of a runtime region either: where an
// allocation begins the program knows what it holds in roots, where it ends the new object is not
// in one yet.
//
// Alternate signal stacks. The program's own handlers may run on one, and be stopped or poll there
// like everything else. Then that stack is scanned, and what the signal interrupted is on the stack
// that the thread has left, below which address the signal's frame says (Cycle::scan_left_stack).
//
// Over a fork `stopping` is 2 (fork.cpp): threads that a signal had stopped in the program's code
// go on in it, since the C library's locks, which one of them may hold, are taken by fork itself;
// all others stay parked, and who enters an allocation's slow path or polls is parked too.
//
// Help. Who has stopped the world may ask the parked threads that are awake to do something, each
// with itself (call_help, dismiss_help). Interrupted threads do not: one may be in the middle of
// the program's malloc, which may be the allocator that the runtime's own memory comes from.
//
// Threads that are not attached touch the heap in one way: they set and drop Roots, each in one go
// (between_stops()). A stopper lets whoever is at that finish when all other threads are parked,
// not before: one of those may be waiting for such a thread.
//
// Locks: world lock (rank world) guards the list; held from stop() to resume(). Lock of the
// outsiders: held by them, and while the world is stopped.

#include <cstddef>
#include <cstdint>

#include <pthread.h>

#include <gort/alloc/thread_cache.h>
#include <gort/base/atomic.h>
#include <gort/base/config.h>
#include <gort/base/lock.h>
#include <gort/base/os.h>
#include <gort/gc/barrier.h>

namespace gort::gc {

struct FiberStack;

/// rbx, rbp, r12-r15 (x86-64); x19-x29 (AArch64). What the calling convention lets a function keep
/// in registers over a call.
inline constexpr std::size_t kSavedRegisters = 11;

/// Where a stack was left that no thread runs on at the moment (ranges.h).
struct SuspendedStack {
  const char* stack_pointer = nullptr;
  std::uintptr_t registers[kSavedRegisters] = {};
  /// The frame of the function that recorded this, gone by now: it may have held the rest of its
  /// caller's registers.
  std::uintptr_t frame[64] = {};
};

/// What a stop scans of a parked thread.
struct StackRecord {
  static constexpr std::size_t kMostKeptWords = 256;
  const char* stack_pointer = nullptr;  ///< lowest stack address to scan
  /// The high end of the alternate signal stack that the thread runs on, or null.
  const char* alternate_high = nullptr;
  std::uintptr_t registers[kSavedRegisters] = {};
  /// Frames that are gone since the stack was recorded.
  std::uintptr_t kept[kMostKeptWords] = {};
  std::size_t kept_words = 0;
};

/// One attached thread. Its StackRecord is valid while it is parked.
struct Thread : StackRecord {
  enum State : std::uint32_t { running, parked };

  alloc::ThreadCache cache;
  BarrierBuffer overwritten;
  os::StackBounds stack;     ///< const-after-init
  pthread_t handle{};        ///< const-after-init
  bool of_runtime = false;   ///< const-after-init; a thread of the collector: has no roots
  bool counted = true;       ///< const-after-init; one of thread_count()
  bool was_blocked = false;  ///< const-after-init; the stop signal, before the thread was attached
  bool signalled = false;    ///< const-after-init; a stop may send it the signal
  Atomic<std::uint32_t> state{running};
  /// Parked by itself for the length of a Blocking region, or of a wait for a collection.
  Atomic<bool> blocking{false};
  /// Nested runtime regions. Written by the thread, read by its signal handler.
  Atomic<std::uint32_t> runtime_depth{0};
  bool interrupted = false;  ///< perhaps in a fast path; valid while parked
  /// In a stop: somebody has undertaken to scan its stack.
  Atomic<bool> scan_claimed{false};
  std::size_t stack_bytes = 0;  ///< scanned, by who has claimed it; read after the stop's scan
  FiberStack* fiber = nullptr;  ///< what it runs on; null: its own stack
  SuspendedStack own_stack;     ///< where it left that
  /// Bytes to mark for bytes allocated (Collector::assist); the thread's own.
  std::int64_t assist_debt = 0;
  Thread* next = nullptr;      ///< guard: world lock
  Thread* previous = nullptr;  ///< guard: world lock

  /// The calling thread, in the runtime.
  void note_alternate_stack();
};

struct WorldOptions {
  int stop_signal = 0;       ///< 0: threads stop at polls alone
  bool scan_stacks = false;  ///< so a thread's must be known
};

class World {
 public:
  /// Before the first attach(). Installs the handler. Throws std::system_error if the system
  /// refuses the signal.
  void configure(const WorldOptions& options);

  /// Attaches the calling thread, if it is not. Throws std::bad_alloc, and std::system_error if its
  /// stack is to be scanned and the system does not tell where that is.
  /// One that is not `counted` is the runtime's own.
  Thread& attach(bool of_runtime = false, bool counted = true);
  /// Detaches the calling thread: its cache goes back, its stack is no longer scanned.
  void detach();
  /// The calling thread, or null if it is not attached.
  static Thread* current();

  /// Between these the calling thread is not stopped. They nest.
  static void enter_runtime(Thread& self) {
    self.runtime_depth.owner_add_relaxed(1);
    compiler_barrier();
  }
  void leave_runtime(Thread& self) { leave_runtime(self, true); }
  /// The same at the end of an allocation's slow path: no fast path is half done.
  void leave_slow_path(Thread& self) { leave_runtime(self, false); }

  /// Stops every attached thread but the caller, which must be attached, in no blocking region
  /// (OutOfBlocking), and hold no lock of rank world or higher. Returns with the world lock held,
  /// the caller in the runtime.
  GORT_NOINLINE void stop() GORT_ACQUIRE(lock_, outsiders_);
  void resume() GORT_RELEASE(lock_, outsiders_);

  /// f(), and the world does not stand still before it is done. Threads that are not attached.
  template <class F>
  void between_stops(F&& f) {
    LockGuard guard(outsiders_);
    f();
  }

  bool stop_requested() const { return stopping_.load_relaxed() != 0; }

  /// Parks the calling thread while a stop is requested. Any attached thread, holding no lock but
  /// the collection's; in a blocking region it is parked again afterwards.
  GORT_ALWAYS_INLINE void poll(Thread& self) {
    if (GORT_UNLIKELY(stopping_.load_relaxed() != 0)) park_at_poll(self);
  }

  /// The calling thread touches no heap reference between these two. They do not nest.
  GORT_NOINLINE void enter_blocking(Thread& self);
  void leave_blocking(Thread& self);
  /// Back into a region that was left: `record` is of the thread when it entered it.
  void return_to_blocking(Thread& self, const StackRecord& record);

  /// os::start_thread(), in a blocking region if the calling thread is attached. A thread that is
  /// stopped by signal may hold the C library's lock that this needs, so a stop must not wait for
  /// it; nor may the caller hold a lock that threads take in the runtime.
  bool start_thread(pthread_t& thread, const char* name, void* (*f)(void*), void* context);

  /// Calls `f(thread)` for each attached thread. World stopped.
  template <class F>
  void for_each_thread(F&& f) const {
    for (Thread* t = threads_; t != nullptr; t = t->next) f(*t);
  }
  /// World stopped. Threads that are parked, awake and not interrupted call `f`, each with itself
  /// and once, several at a time, in the runtime. Nobody waits for the others: the caller does what
  /// they would have done.
  void call_help(void (*f)(Thread& helper));
  /// Nobody begins to help any more, and who had begun is done.
  void dismiss_help();
  /// Attached threads of the program.
  std::size_t thread_count() const { return thread_count_.load_relaxed(); }

  /// Threads of the program that run, or will as soon as the world does.
  std::size_t running_threads();

  /// stop(), and then lets the program's own code run, as far as it does not need the runtime.
  void stop_for_fork() GORT_ACQUIRE(lock_, outsiders_);
  /// The child of a fork has one thread, the caller; forgets all others. Between stop_for_fork()
  /// and resume().
  void keep_only_current_after_fork() GORT_REQUIRES(lock_);

 private:
  friend struct StopSignal;
  void leave_runtime(Thread& self, bool interrupted) {
    compiler_barrier();
    const std::uint32_t depth = self.runtime_depth.load_relaxed() - 1;
    self.runtime_depth.store_relaxed(depth);
    compiler_barrier();  // the handler may run between the two, but not before the first
    if (GORT_UNLIKELY(stopping_.load_relaxed() != 0) && depth == 0) {
      park_after_runtime(self, interrupted);
    }
  }
  GORT_NOINLINE void park_at_poll(Thread& self);
  GORT_NOINLINE void park_after_runtime(Thread& self, bool interrupted);
  void park_while_stopping(Thread& self, bool interrupted);
  void park(Thread& self);
  void park_and_go_on(Thread& self, const char* end);
  void go_on_parked(Thread& self);
  void wait_while_stopping(Thread& self);
  void check_not_stopper(const Thread& self) const;
  void wait_until_parked(Thread& thread);
  static bool must_wait(const Thread& self, std::uint32_t stopping) {
    return stopping == kStopped || (stopping == kForking && !self.interrupted);
  }
  void unlink(Thread& self) GORT_REQUIRES(lock_);

  void spin_while_stopping(Thread& self);
  void help(Thread& self);

  static constexpr std::uint32_t kStopped = 1;
  static constexpr std::uint32_t kForking = 2;

  Lock lock_{LockRank::world};
  Lock outsiders_{LockRank::outsiders};
  Atomic<std::uint32_t> stopping_{0};
  Atomic<const Thread*> stopper_{nullptr};  ///< who has stopped the world
  Atomic<std::uint32_t> sleepers_{0};       ///< threads that may sleep on stopping_
  // There is a processor for each thread that was running: they wait without sleeping for a while.
  // Written by the stopper before `stopping_`, and taken back when it has to sleep itself.
  Atomic<bool> spin_{false};
  // Help is wanted; how many threads look at that, or help. Of a thread that comes and a stopper
  // that dismisses, at least one sees the other (Dekker), so nobody helps after dismiss_help().
  Atomic<bool> help_wanted_{false};
  Atomic<std::uint32_t> helping_{0};
  void (*help_)(Thread&) = nullptr;  // written before help_wanted_, read after it
  Atomic<std::size_t> thread_count_{0};
  Thread* threads_ = nullptr;  // guard: lock_; read with the world stopped
  WorldOptions options_;       // constant while any thread is attached
};

extern GORT_API World world;

/// A runtime region for a scope.
class RuntimeScope {
 public:
  explicit RuntimeScope(Thread& self) : self_(self) { World::enter_runtime(self_); }
  ~RuntimeScope() { world.leave_runtime(self_); }
  RuntimeScope(const RuntimeScope&) = delete;
  RuntimeScope& operator=(const RuntimeScope&) = delete;

 private:
  Thread& self_;
};

/// The same for code that also runs on threads that are not attached (nobody stops those).
class MaybeRuntimeScope {
 public:
  MaybeRuntimeScope() : self_(World::current()) {
    if (self_ != nullptr) World::enter_runtime(*self_);
  }
  ~MaybeRuntimeScope() {
    if (self_ != nullptr) world.leave_runtime(*self_);
  }
  MaybeRuntimeScope(const MaybeRuntimeScope&) = delete;
  MaybeRuntimeScope& operator=(const MaybeRuntimeScope&) = delete;

 private:
  Thread* self_;
};

/// For a scope the calling thread is out of the blocking region that it may be in: it can stop the
/// world, wait for a collection, or run the program's code.
class OutOfBlocking {
 public:
  OutOfBlocking() : self_(World::current()) {
    if (self_ != nullptr && !self_->blocking.load_relaxed()) self_ = nullptr;
    if (self_ == nullptr) return;
    region_ = *self_;
    world.leave_blocking(*self_);
  }
  ~OutOfBlocking() {
    if (self_ != nullptr) world.return_to_blocking(*self_, region_);
  }
  OutOfBlocking(const OutOfBlocking&) = delete;
  OutOfBlocking& operator=(const OutOfBlocking&) = delete;

 private:
  Thread* self_;
  StackRecord region_;  // what waits on this stack is scanned: no stale words in it
};

/// Records the registers and the stack pointer of the calling thread in `thread`, then calls
/// `f(context)`. Every reference the caller's frames hold is then in memory between
/// thread.stack_pointer and the stack's high end, or in thread.registers.
GORT_NOINLINE void with_stack_recorded(Thread& thread, void (*f)(void*), void* context);

}  // namespace gort::gc
