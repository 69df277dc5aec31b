#include <gort/gc/roots.h>

#include <gort/base/metadata.h>
#include <gort/gc/root.h>

namespace gort::gc {

constinit RootTable roots;

void RootTable::add_block() {
  auto* block = metadata::create<Block>();
  block->next = blocks_;
  blocks_ = block;
  for (std::size_t i = kSlots; i-- > 0;) {
    block->slots[i] = as_free(free_);
    free_ = &block->slots[i];
  }
}

void** RootTable::acquire(void* target) {
  LockGuard guard(lock_);
  if (free_ == nullptr) add_block();
  void** slot = free_;
  free_ = next_free(*slot);
  *slot = target;
  ++in_use_;
  return slot;
}

void RootTable::release(void** slot) noexcept {
  LockGuard guard(lock_);
  *slot = as_free(free_);
  free_ = slot;
  --in_use_;
}

std::size_t RootTable::count() {
  LockGuard guard(lock_);
  return in_use_;
}

void** acquire_root(void* target) { return roots.acquire(target); }
void release_root(void** slot) noexcept { roots.release(slot); }

}  // namespace gort::gc
