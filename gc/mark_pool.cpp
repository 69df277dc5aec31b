#include <gort/gc/mark_pool.h>

#include <gort/base/metadata.h>

namespace gort::gc {

constinit GreyBlock MarkPool::first_;
constinit MarkPool mark_pool;

GreyBlock* MarkPool::take_empty() {
  {
    LockGuard guard(lock_);
    if (GreyBlock* block = empty_) {
      empty_ = block->next;
      block->next = nullptr;
      return block;
    }
  }
  void* memory = metadata::try_allocate(sizeof(GreyBlock));
  return memory == nullptr ? nullptr : ::new (memory) GreyBlock();
}

void MarkPool::put_empty(GreyBlock* block) {
  block->count = 0;
  LockGuard guard(lock_);
  block->next = empty_;
  empty_ = block;
}

GreyBlock* MarkPool::take_full() {
  if (!has_full()) return nullptr;
  LockGuard guard(lock_);
  GreyBlock* block = full_;
  if (block == nullptr) return nullptr;
  full_ = block->next;
  block->next = nullptr;
  full_count_.store_relaxed(full_count_.load_relaxed() - 1);
  return block;
}

void MarkPool::put_full(GreyBlock* block) {
  LockGuard guard(lock_);
  block->next = full_;
  full_ = block;
  full_count_.store_relaxed(full_count_.load_relaxed() + 1);
}

void MarkPool::trim() {
  constexpr std::size_t kKept = 16;
  GreyBlock* extra = nullptr;
  {
    LockGuard guard(lock_);
    GreyBlock** end = &empty_;
    for (std::size_t i = 0; i < kKept && *end != nullptr; ++i) end = &(*end)->next;
    extra = *end;
    *end = nullptr;
  }
  while (extra != nullptr) {
    GreyBlock* next = extra->next;
    if (extra == &first_) {
      put_empty(extra);
    } else {
      metadata::destroy(extra);
    }
    extra = next;
  }
}

}  // namespace gort::gc
