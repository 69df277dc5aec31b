#include <gort/gc/marker.h>

#include <algorithm>

#include <gort/alloc/heap.h>

namespace gort::gc {

Marker::~Marker() { publish(); }

void Marker::put_full(GreyBlock* block) {
  if (!keeps_full_) {
    pool_.put_full(block);
    return;
  }
  block->next = full_;
  full_ = block;
}

GreyBlock* Marker::take_full() {
  GreyBlock* block = full_;
  if (block == nullptr) return pool_.take_full();
  full_ = block->next;
  block->next = nullptr;
  return block;
}

GORT_ALWAYS_INLINE void Marker::push(Grey grey) {
  if (GORT_UNLIKELY(block_ == nullptr || block_->count == GreyBlock::kCapacity)) {
    if (block_ != nullptr) put_full(block_);
    block_ = pool_.take_empty();
    if (block_ == nullptr) {
      pool_.overflowed.store_relaxed(true);
      return;
    }
  }
  block_->entries[block_->count++] = grey;
}

GORT_ALWAYS_INLINE bool Marker::pop(Grey& grey) {
  if (GORT_UNLIKELY(block_ == nullptr || block_->count == 0)) {
    GreyBlock* full = take_full();
    if (full == nullptr) return false;
    if (block_ != nullptr) pool_.put_empty(block_);
    block_ = full;
  }
  grey = block_->entries[--block_->count];
  return true;
}

GORT_ALWAYS_INLINE void Marker::queue(Grey grey) {
  __builtin_prefetch(reinterpret_cast<const void*>(grey.start));
  if (!window_.full()) {
    window_.push(grey);
    return;
  }
  // The newest waits on the stack, so the oldest leaves in its turn.
  push(grey);
}

GORT_ALWAYS_INLINE void Marker::visit(std::uintptr_t address) {
  const alloc::Span* const span = alloc::span_of(address);
  if (span == nullptr) return;
  __builtin_prefetch(span);
  if (!found_.full()) {
    found_.push({span, address});
  } else {
    locate(found_.exchange({span, address}));
  }
}

GORT_ALWAYS_INLINE void Marker::locate(Found found) {
  const alloc::Span* const span = found.span;
  std::uint32_t slot = 0;
  if (!span->is_large()) {
    slot = span->slot_of(found.address);
    if (slot >= span->slot_count) return;  // in the tail waste
  }
  __builtin_prefetch(&span->mark_bits[slot / 64], 1);
  if (!located_.full()) {
    located_.push({span, slot});
  } else {
    mark(located_.exchange({span, slot}));
  }
}

GORT_ALWAYS_INLINE void Marker::mark(ObjectSlot object) {
  const alloc::Span* const span = object.span;
  if (!span->mark(object.slot)) return;
  ++objects_marked_;
  bytes_marked_ += span->elem_size;
  if (!span->noscan) queue({span->slot_start(object.slot), span});
}

void Marker::settle() {
  while (!found_.empty()) locate(found_.pop());
  while (!located_.empty()) mark(located_.pop());
}

void Marker::mark_address(std::uintptr_t address) {
  const ObjectSlot object = object_at(address);
  if (object.span != nullptr) mark(object);  // else stale, or no address at all
}

GORT_ALWAYS_INLINE void Marker::scan(Grey grey) {
  if (GORT_UNLIKELY(grey.span->is_large())) {
    scan_large(grey);
    return;
  }
  bytes_scanned_ += grey.span->elem_size;
  for_each_reference(*grey.span, grey.start,
                     [this](std::uintptr_t& word) { visit(AtomicRef(word).load_relaxed()); });
}

GORT_NOINLINE void Marker::scan_large(Grey grey) {
  const alloc::Span& span = *grey.span;
  const LayoutId id = span.tag;
  if (id == kNoReferences) return;
  const Layout& element = layout(id);
  const std::size_t left = (span.end() - grey.start) / element.size;
  const std::size_t here = std::min(left, std::max<std::size_t>(kPiece / element.size, 1));
  if (here < left) push({grey.start + here * element.size, grey.span});
  bytes_scanned_ += here * element.size;
  for_each_reference_of(element, grey.start, here,
                        [this](std::uintptr_t& word) { visit(AtomicRef(word).load_relaxed()); });
}

bool Marker::drain(std::size_t budget) {
  const std::size_t scanned_before = bytes_scanned_;
  for (;;) {
    // From the stack into the window, so that something is always on its way from memory. Each that
    // enters a full one makes the oldest leave; what that refers to goes to the stack.
    Grey next;
    if (GORT_LIKELY(pop(next))) {
      __builtin_prefetch(reinterpret_cast<const void*>(next.start));
      if (!window_.full()) {
        window_.push(next);
        continue;
      }
      next = window_.exchange(next);
    } else {
      if (window_.empty()) settle();
      if (window_.empty()) return false;
      next = window_.pop();
    }
    scan(next);
    if (bytes_scanned_ - scanned_before >= budget) return true;
  }
}

void Marker::share() {
  constexpr std::size_t kLeast = 4;
  if (pool_.has_full() || block_ == nullptr || block_->count < kLeast) return;
  GreyBlock* given = pool_.take_empty();
  if (given == nullptr) return;  // no memory: keep them
  const std::size_t half = block_->count / 2;
  std::copy(block_->entries, block_->entries + half, given->entries);
  std::copy(block_->entries + half, block_->entries + block_->count, block_->entries);
  given->count = half;
  block_->count -= half;
  pool_.put_full(given);
}

void Marker::publish() {
  settle();
  while (!window_.empty()) push(window_.pop());
  while (full_ != nullptr) pool_.put_full(take_full());
  if (block_ != nullptr) {
    if (block_->count > 0) {
      pool_.put_full(block_);
    } else {
      pool_.put_empty(block_);
    }
    block_ = nullptr;
  }
  publish_numbers();
}

void Marker::discard() {
  found_.clear();
  located_.clear();
  window_.clear();
  if (block_ != nullptr) pool_.put_empty(block_);
  block_ = nullptr;
  objects_marked_ = bytes_marked_ = bytes_scanned_ = 0;
  while (GreyBlock* full = take_full()) pool_.put_empty(full);
  pool_.overflowed.store_relaxed(false);
}

Marker::Done Marker::publish_numbers() {
  const Done done{bytes_marked_, bytes_scanned_};
  if (objects_marked_ > 0) pool_.objects_marked.fetch_add_relaxed(objects_marked_);
  if (bytes_marked_ > 0) pool_.bytes_marked.fetch_add_relaxed(bytes_marked_);
  if (bytes_scanned_ > 0) pool_.bytes_scanned.fetch_add_relaxed(bytes_scanned_);
  objects_marked_ = bytes_marked_ = bytes_scanned_ = 0;
  return done;
}

void Marker::rescan_heap() {
  alloc::heap.for_each_span([this](const alloc::Span& span) {
    if (span.noscan) return;
    for (std::uint32_t slot = 0; slot < span.slot_count; ++slot) {
      if (!span.is_marked(slot)) continue;
      queue({span.slot_start(slot), &span});
      while (drain(kPiece)) {
      }
    }
  });
}

GORT_NO_SANITIZE void Marker::mark_range(const char* low, const char* high) {
  const auto* word = reinterpret_cast<const std::uintptr_t*>(
      bits::align_up(reinterpret_cast<std::uintptr_t>(low), kWordSize));
  const auto* end = reinterpret_cast<const std::uintptr_t*>(high);
  for (; word < end; ++word) mark_address(*word);
}

}  // namespace gort::gc
