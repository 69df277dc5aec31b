#pragma once

// Memory outside the heap that is scanned for references word by word: registered ranges, and the
// stacks of fibers.
//
// Ranges. Programs store to them without a barrier, so they are scanned in the stop that begins
// marking, at one moment with stacks and registers: then every reference that was in a range, on a
// stack or in a register at that moment is marked. That is enough for snapshot marking, and they
// are not looked at again: what a program stores in a range later it has read from somewhere. From
// a stack, a register or a range: marked then. From a heap object or a Root: reachable then, so it
// will be marked, and if it is overwritten there, the barrier records it. From a Weak: recorded.
// Or it is new, and born marked. (Stacks of interrupted threads are scanned once more at the end
// for one reason, a value that the barrier's code has loaded and not recorded yet; that code keeps
// it in registers and on the stack.) The price is that the stop is as long as the ranges are.
//
// Fibers. A thread runs on one stack at a time, and which one its stack pointer tells: that is what
// a stop goes by. The other stacks, a thread's own among them while it runs a fiber, are suspended
// and are scanned from where they were left, with the registers that switch_stack() has recorded:
// it is called just before the switch, so whatever the switch saves, and wherever, was there then.
// A record stays as it is while its stack runs again: too much is scanned then, never too little,
// also if the stop comes between switch_stack() and the switch. A stack that was never left is
// scanned whole.
//
// Guard: the lock (rank ranges) for the lists. A stack's record is written by the thread that
// leaves it, in a runtime region; read with the world stopped.

#include <cstddef>
#include <cstdint>

#include <gort/base/config.h>
#include <gort/base/lock.h>
#include <gort/gc/world.h>

namespace gort::gc {

struct FiberStack {
  const char* low = nullptr;
  const char* high = nullptr;
  SuspendedStack left;
  FiberStack* next = nullptr;
};

class Ranges {
 public:
  /// False if there is no memory.
  bool add(const char* begin, const char* end);
  bool remove(const char* begin, const char* end);
  /// Null if there is no memory.
  FiberStack* add_stack(const char* low, const char* high);
  bool remove_stack(FiberStack* stack);

  /// Calls `f(low, high)` for each range. World stopped.
  template <class F>
  void for_each_range(F&& f) {
    LockGuard guard(lock_);
    for (const Range* r = ranges_; r != nullptr; r = r->next) f(r->low, r->high);
  }
  /// Calls `f(stack)` for each registered stack. World stopped.
  template <class F>
  void for_each_stack(F&& f) {
    LockGuard guard(lock_);
    for (const FiberStack* s = stacks_; s != nullptr; s = s->next) f(*s);
  }
  /// The high end of the registered stack that `address` is in, or null. World stopped.
  const char* high_end_of(const char* address);

  Lock& lock() GORT_RETURN_CAPABILITY(lock_) { return lock_; }

 private:
  struct Range {
    const char* low = nullptr;
    const char* high = nullptr;
    Range* next = nullptr;
  };
  Lock lock_{LockRank::ranges};
  Range* ranges_ GORT_GUARDED_BY(lock_) = nullptr;
  FiberStack* stacks_ GORT_GUARDED_BY(lock_) = nullptr;
};

extern GORT_API Ranges ranges;

}  // namespace gort::gc

namespace gort {

/// From now on every aligned word of [begin, end) may be a reference: what it points at (also into
/// the middle) is kept. The memory must stay readable until it is removed. Ranges are scanned with
/// the world stopped; for single references use Root<T>. A range may be added more than once.
/// Throws std::bad_alloc, and std::invalid_argument if begin is behind end. Any thread.
GORT_API void add_root_range(const void* begin, const void* end);
/// Takes back one add_root_range with the same bounds; false if there is none.
GORT_API bool remove_root_range(const void* begin, const void* end);

/// A stack that the program runs fibers on.
using StackId = gc::FiberStack*;
/// Says that [low, high) is a stack which attached threads are going to run on. Throws
/// std::bad_alloc, and std::invalid_argument if low is not below high.
GORT_API StackId register_stack(void* low, void* high);
/// The stack is not used any more: neither running nor to be resumed. Throws std::invalid_argument
/// if no stack with this id is registered.
GORT_API void unregister_stack(StackId stack);
/// The calling thread, which is attached, is about to leave the stack that it runs on for `to`
/// (null: the stack that the system gave the thread). Call it as the last thing before the switch;
/// another thread may resume what is left.
GORT_API void switch_stack(StackId to);

}  // namespace gort
