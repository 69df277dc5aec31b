#pragma once

// Weak<T>: a reference that does not keep its target alive, and reads as null once the target is
// dead.
//
// Each Weak has a slot in a table of metadata memory, like a Root, but markers do not look there.
// With the world stopped at the end of marking, when nothing is grey, the slots whose targets are
// not marked are cleared: before anything can be swept or allocated again. So a slot holds either
// an object that is not known dead, or null.
//
// Reading. Marking is by snapshot (barrier.h): what was not reachable when it began may stay white
// to the end. A weak slot can bring such an object back to a thread's hands, so while markers run
// get() records what it has read, as the barrier records what is overwritten:
//
//     load target; then test the marking flag and record target
//
//   stopped by the stop that begins marking
//     before the load    the test comes later, and records
//     between the two    the target is in a register or on the stack, which that stop scans
//   stopped by a stop that may end marking
//     before the load    the slot holds a marked object or null: nothing to be saved by recording
//     between the two    as for the barrier: registers and stacks of interrupted threads are
//                        scanned before the collector decides that nothing is grey
//     after the record   that stop empties the buffer before it decides
// With the test first, a thread stopped in between by the first stop would come back with a white
// object in its hands that nobody has recorded. Where threads stop at polls alone, there is no stop
// in between. A copy reads as get() does; a move moves the slot.
//
// The time in the stop. `suspect` blocks, those in which a slot had an unmarked target, are found
// just before the stop, with the world running. A slot that gets a target after that was looked at
// holds one that was reachable, or recorded, then: marked when nothing is grey. So it is enough to
// look at the suspect blocks again: the stop pays for what dies, not for what is watched.
//
// An object whose destructor is due (cleanup.h) is cleared from weak slots before that: nobody gets
// hold of a destroyed object. The same goes for what only such objects reach.
//
// Guard: the lock (rank weak) for the lists, and for whoever stopped the world and clears slots; a
// slot in use belongs to its Weak.

#include <cstddef>
#include <cstdint>
#include <utility>

#include <gort/base/atomic.h>
#include <gort/base/config.h>
#include <gort/base/lock.h>
#include <gort/gc/barrier.h>
#include <gort/gc/layout.h>

namespace gort::gc {

class WeakTable {
 public:
  /// Null if there is no memory.
  void** acquire(void* target);
  void release(void** slot) noexcept;

  /// Finds the suspect blocks. World running, markers too; calls `poll()` now and then.
  template <class F>
  void find_suspects(F&& poll) {
    for (Block* block = first_block(); block != nullptr; block = block->next) {
      block->suspect = has_white_target(*block);
      poll();
    }
  }
  /// Clears the slots of suspect blocks whose targets are not marked. World stopped, nothing grey.
  void clear_dead();
  /// Clears all slots. Nobody else uses the heap.
  void clear_all();

  /// Slots in use.
  std::size_t count();
  /// Slots cleared so far.
  std::uint64_t cleared() const { return cleared_.load_relaxed(); }

  /// Held over a fork (fork.cpp).
  Lock& lock() GORT_RETURN_CAPABILITY(lock_) { return lock_; }

 private:
  static constexpr std::size_t kSlots = 126;
  static constexpr std::uintptr_t kFree = std::uintptr_t{1} << 63;  // as in roots.h
  struct Block {
    Block* next = nullptr;
    bool suspect = false;  // the collecting thread's
    void* slots[kSlots] = {};
  };

  static bool has_white_target(Block& block);
  Block* first_block();
  void add_block() GORT_REQUIRES(lock_);

  Lock lock_{LockRank::weak};
  Block* blocks_ GORT_GUARDED_BY(lock_) = nullptr;
  void** free_ GORT_GUARDED_BY(lock_) = nullptr;
  std::size_t in_use_ GORT_GUARDED_BY(lock_) = 0;
  Atomic<std::uint64_t> cleared_{0};
};

extern GORT_API WeakTable weak_slots;

/// Takes a weak slot holding `target`. Throws std::bad_alloc. Attached threads.
GORT_API void** acquire_weak(void* target);
/// Gives a slot back. Any thread, also after shutdown.
GORT_API void release_weak(void** slot) noexcept;

/// What the slot holds, for use: see "Reading" above. Attached threads.
GORT_ALWAYS_INLINE void* read_weak(void** slot) {
  void* const target = AtomicRef<void*>(*slot).load_relaxed();
  compiler_barrier();
  if (GORT_UNLIKELY(detail::marking.load_relaxed())) detail::record_overwritten(target);
  return target;
}

}  // namespace gort::gc

namespace gort {

/// A weak reference. Reads as its target as long as something else keeps that alive, and as null
/// from the collection on that has found it dead. May point into the middle of an object; a target
/// outside the heap is never cleared. Pointer-free objects below 16 bytes share a block and die
/// with it. May be a member of any C++ object; as a member of a collected object it is not
/// mentioned in GORT_FIELDS (and the object has a destructor: see cleanup.h).
///
/// Two are equal if they refer to the same address, or both to nothing (any more).
///
/// Thread safety: as a plain pointer (one Weak is for one thread at a time). The threads that make,
/// copy and read must be attached.
template <class T>
class Weak {
 public:
  GORT_POINTER_FREE();

  constexpr Weak() = default;
  constexpr Weak(std::nullptr_t) {}  // NOLINT(google-explicit-constructor)
  Weak(T* target)                    // NOLINT(google-explicit-constructor)
      : slot_(target == nullptr ? nullptr : gc::acquire_weak(raw(target))) {}
  Weak(const Weak& other) : Weak(other.get()) {}
  Weak(Weak&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}
  Weak& operator=(const Weak& other) { return *this = other.get(); }
  Weak& operator=(Weak&& other) noexcept {
    std::swap(slot_, other.slot_);
    return *this;
  }
  Weak& operator=(T* target) {
    if (slot_ != nullptr) {
      AtomicRef<void*>(*slot_).store_relaxed(raw(target));
    } else if (target != nullptr) {
      slot_ = gc::acquire_weak(raw(target));
    }
    return *this;
  }
  ~Weak() {
    if (slot_ != nullptr) gc::release_weak(slot_);
  }

  /// The target, or null. The pointer keeps the object alive, as any pointer on a stack does.
  T* get() const { return slot_ == nullptr ? nullptr : static_cast<T*>(gc::read_weak(slot_)); }
  /// Whether get() would return null.
  bool expired() const { return address() == nullptr; }

  friend bool operator==(const Weak& a, const Weak& b) { return a.address() == b.address(); }

 private:
  static void* raw(T* p) { return const_cast<void*>(static_cast<const void*>(p)); }
  // To be compared, never followed.
  void* address() const {
    return slot_ == nullptr ? nullptr : AtomicRef<void*>(*slot_).load_relaxed();
  }

  void** slot_ = nullptr;
};

}  // namespace gort
