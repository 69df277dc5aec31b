#pragma once

// The table behind Root<T>: one word per root, in blocks of metadata memory, so that the marker
// reads roots as plain arrays and a Root itself is one word that can be moved.
//
// A slot is in one of two states, told apart by its highest bit (no user address has it set):
//     bit 63 clear   in use: the value is a root, perhaps null
//     bit 63 set     free: the rest of the word is the next free slot
//     slots in use + length of the free list == kSlots * number of blocks
//
// Guard: the list of blocks and the free list by roots lock. A slot in use belongs to its Root.
// Markers read slots while programs write them: all accesses are atomic, writes go through the
// barrier, those of threads that are not attached between two stops of the world (set_root()). A
// root that is taken while markers run needs no look: its target was reachable before (the barrier
// sees to that) or was born marked.

#include <cstddef>
#include <cstdint>

#include <gort/base/atomic.h>
#include <gort/base/config.h>
#include <gort/base/lock.h>

namespace gort::gc {

class RootTable {
 public:
  /// Null if there is no memory.
  void** acquire(void* target);
  void release(void** slot) noexcept;

  /// Calls `f(target)` for each non-null root that was there at the call, and `poll()` now and
  /// then, also where there is none. Any thread.
  template <class F, class Poll>
  void for_each(F&& f, Poll&& poll) {
    for (Block* block = first_block(); block != nullptr; block = block->next) {
      for (void*& slot : block->slots) {
        void* const value = AtomicRef(slot).load_relaxed();
        if (value != nullptr && (reinterpret_cast<std::uintptr_t>(value) & kFree) == 0) f(value);
      }
      poll();
    }
  }
  /// Roots in use, null ones included.
  std::size_t count();

  /// Held over a fork (fork.cpp).
  Lock& lock() GORT_RETURN_CAPABILITY(lock_) { return lock_; }

 private:
  static constexpr std::size_t kSlots = 511;
  static constexpr std::uintptr_t kFree = std::uintptr_t{1} << 63;
  struct Block {
    Block* next = nullptr;
    void* slots[kSlots] = {};
  };

  static void* as_free(void** next) {
    return reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(next) | kFree);
  }
  static void** next_free(void* word) {
    return reinterpret_cast<void**>(reinterpret_cast<std::uintptr_t>(word) & ~kFree);
  }
  void add_block() GORT_REQUIRES(lock_);
  Block* first_block();

  Lock lock_{LockRank::roots};
  Block* blocks_ GORT_GUARDED_BY(lock_) = nullptr;
  void** free_ GORT_GUARDED_BY(lock_) = nullptr;
  std::size_t in_use_ GORT_GUARDED_BY(lock_) = 0;
};

extern GORT_API RootTable roots;

}  // namespace gort::gc
