#pragma once

// The table behind Root<T>: one word per root, in blocks of metadata memory, so that the marker
// reads roots as plain arrays and a Root itself is one word that can be moved.
//
// A slot is in one of two states, told apart by its highest bit (no user address has it set):
//     bit 63 clear   in use: the value is a root, perhaps null
//     bit 63 set     free: the rest of the word is the next free slot
//     slots in use + length of the free list == kSlots * number of blocks
//
// Guard: the list of blocks and the free list by roots lock. A slot in use belongs to its Root; the
// marker reads slots with the world stopped.

#include <cstddef>
#include <cstdint>

#include <gort/base/lock.h>

namespace gort::gc {

class RootTable {
 public:
  void** acquire(void* target);
  void release(void** slot) noexcept;

  /// Calls `f(target)` for each non-null root. World stopped.
  template <class F>
  void for_each(F&& f) const GORT_NO_THREAD_SAFETY_ANALYSIS {
    for (const Block* block = blocks_; block != nullptr; block = block->next) {
      for (void* value : block->slots) {
        if (value != nullptr && (reinterpret_cast<std::uintptr_t>(value) & kFree) == 0) f(value);
      }
    }
  }
  /// Roots in use, null ones included.
  std::size_t count();

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

  Lock lock_{LockRank::roots};
  Block* blocks_ GORT_GUARDED_BY(lock_) = nullptr;
  void** free_ GORT_GUARDED_BY(lock_) = nullptr;
  std::size_t in_use_ GORT_GUARDED_BY(lock_) = 0;
};

extern RootTable roots;

}  // namespace gort::gc
