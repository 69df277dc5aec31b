#include <gort/gc/roots.h>

#include <gort/base/metadata.h>
#include <gort/gc/barrier.h>
#include <gort/gc/or_bad_alloc.h>
#include <gort/gc/root.h>
#include <gort/gc/world.h>

namespace gort::gc {

constinit RootTable roots;

void RootTable::add_block() {
  auto* block = metadata::try_create<Block>();
  if (block == nullptr) return;
  block->next = blocks_;
  blocks_ = block;
  for (std::size_t i = kSlots; i-- > 0;) {
    block->slots[i] = as_free(free_);
    free_ = &block->slots[i];
  }
}

RootTable::Block* RootTable::first_block() {
  LockGuard guard(lock_);
  return blocks_;
}

void** RootTable::acquire(void* target) {
  LockGuard guard(lock_);
  if (free_ == nullptr) add_block();
  if (free_ == nullptr) return nullptr;
  void** slot = free_;
  free_ = next_free(*slot);
  AtomicRef(*slot).store_relaxed(target);
  ++in_use_;
  return slot;
}

void RootTable::release(void** slot) noexcept {
  LockGuard guard(lock_);
  AtomicRef(*slot).store_relaxed(as_free(free_));
  free_ = slot;
  --in_use_;
}

std::size_t RootTable::count() {
  LockGuard guard(lock_);
  return in_use_;
}

void** acquire_root(void* target) {
  return or_bad_alloc([target] { return roots.acquire(target); });
}

void set_root(void** slot, void* target) noexcept {
  if (World::current() != nullptr) {
    write_reference(slot, target);
  } else {
    // No stop waits for this thread, and none finds in its registers what it has overwritten and
    // not recorded yet.
    world.between_stops([slot, target] { write_reference(slot, target); });
  }
}

void release_root(void** slot) noexcept {
  set_root(slot, nullptr);
  const MaybeRuntimeScope runtime;
  roots.release(slot);
}

}  // namespace gort::gc
