#include <gort/gc/weak.h>

#include <gort/base/metadata.h>
#include <gort/gc/or_bad_alloc.h>
#include <gort/gc/scan.h>
#include <gort/gc/world.h>

namespace gort::gc {

constinit WeakTable weak_slots;

void WeakTable::add_block() {
  auto* block = metadata::try_create<Block>();
  if (block == nullptr) return;
  block->next = blocks_;
  blocks_ = block;
  for (std::size_t i = kSlots; i-- > 0;) {
    block->slots[i] = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(free_) | kFree);
    free_ = &block->slots[i];
  }
}

WeakTable::Block* WeakTable::first_block() {
  LockGuard guard(lock_);
  return blocks_;
}

void** WeakTable::acquire(void* target) {
  LockGuard guard(lock_);
  if (free_ == nullptr) add_block();
  if (free_ == nullptr) return nullptr;
  void** slot = free_;
  free_ = reinterpret_cast<void**>(reinterpret_cast<std::uintptr_t>(*slot) & ~kFree);
  AtomicRef(*slot).store_relaxed(target);
  ++in_use_;
  return slot;
}

void WeakTable::release(void** slot) noexcept {
  LockGuard guard(lock_);
  AtomicRef(*slot).store_relaxed(
      reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(free_) | kFree));
  free_ = slot;
  --in_use_;
}

// Free slots are no addresses of the heap: bit 63 is set.
bool WeakTable::has_white_target(Block& block) {
  for (void*& slot : block.slots) {
    if (is_white(reinterpret_cast<std::uintptr_t>(AtomicRef(slot).load_relaxed()))) return true;
  }
  return false;
}

// Under the lock, as a thread that is not attached gives slots back while the world is stopped.
void WeakTable::clear_dead() {
  std::uint64_t cleared = 0;
  LockGuard guard(lock_);
  for (Block* block = blocks_; block != nullptr; block = block->next) {
    if (!block->suspect) continue;
    for (void*& slot : block->slots) {
      if (!is_white(reinterpret_cast<std::uintptr_t>(AtomicRef(slot).load_relaxed()))) continue;
      AtomicRef<void*>(slot).store_relaxed(nullptr);
      ++cleared;
    }
  }
  cleared_.fetch_add_relaxed(cleared);
}

void WeakTable::clear_all() {
  const MaybeRuntimeScope runtime;
  LockGuard guard(lock_);
  for (Block* block = blocks_; block != nullptr; block = block->next) {
    for (void*& slot : block->slots) {
      const auto value = reinterpret_cast<std::uintptr_t>(AtomicRef(slot).load_relaxed());
      if ((value & kFree) == 0) AtomicRef<void*>(slot).store_relaxed(nullptr);
    }
  }
}

std::size_t WeakTable::count() {
  LockGuard guard(lock_);
  return in_use_;
}

void** acquire_weak(void* target) {
  return or_bad_alloc([target] { return weak_slots.acquire(target); });
}

void release_weak(void** slot) noexcept {
  const MaybeRuntimeScope runtime;
  weak_slots.release(slot);
}

}  // namespace gort::gc
