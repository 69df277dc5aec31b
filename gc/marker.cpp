#include <gort/gc/marker.h>

#include <new>

#include <gort/alloc/heap.h>
#include <gort/gc/scan.h>

namespace gort::gc {

GORT_ALWAYS_INLINE void Marker::push(Grey grey) {
  try {
    stack_.push_back(grey);
  } catch (const std::bad_alloc&) {
    overflowed_ = true;
  }
}

GORT_ALWAYS_INLINE void Marker::queue(Grey grey) {
  __builtin_prefetch(reinterpret_cast<const void*>(grey.start));
  if (window_size_ < kWindow) {
    window_[(window_head_ + window_size_++) % kWindow] = grey;
    return;
  }
  // The window is full: the newest waits on the stack, so the oldest leaves in its turn.
  push(grey);
}

GORT_ALWAYS_INLINE void Marker::visit(std::uintptr_t address) {
  const alloc::Span* span = alloc::span_of(address);
  if (span == nullptr) return;
  std::uint32_t slot = 0;
  if (!span->is_large()) {
    slot = span->slot_of(address);
    if (slot >= span->slot_count) return;  // in the tail waste
  }
  if (!span->is_allocated(slot)) return;  // a stale or accidental address
  if (!span->mark_alone(slot)) return;
  ++objects_marked_;
  bytes_marked_ += span->elem_size;
  if (!span->noscan) queue({span->slot_start(slot), span});
}

void Marker::mark_address(std::uintptr_t address) { visit(address); }

void Marker::scan(Grey grey) {
  bytes_scanned_ += grey.span->elem_size;
  for_each_reference(*grey.span, grey.start,
                     [this](std::uintptr_t& word) { visit(AtomicRef(word).load_relaxed()); });
}

void Marker::drain_window() {
  while (window_size_ > 0) {
    const Grey grey = window_[window_head_];
    window_head_ = (window_head_ + 1) % kWindow;
    --window_size_;
    scan(grey);
    // Refill from the stack, so that something is always on its way from memory.
    while (window_size_ < kWindow && !stack_.empty()) {
      const Grey next = stack_.back();
      stack_.pop_back();
      queue(next);
    }
  }
}

void Marker::drain() {
  drain_window();
  while (overflowed_) {
    overflowed_ = false;
    rescan_heap();
  }
}

void Marker::rescan_heap() {
  alloc::heap.for_each_span([this](const alloc::Span& span) {
    if (span.noscan) return;
    for (std::uint32_t slot = 0; slot < span.slot_count; ++slot) {
      if (!span.is_marked(slot)) continue;
      scan({span.slot_start(slot), &span});
      drain_window();
    }
  });
}

GORT_NO_SANITIZE void Marker::mark_range(const char* low, const char* high) {
  const auto* word = reinterpret_cast<const std::uintptr_t*>(
      bits::align_up(reinterpret_cast<std::uintptr_t>(low), kWordSize));
  const auto* end = reinterpret_cast<const std::uintptr_t*>(high);
  for (; word < end; ++word) visit(*word);
}

}  // namespace gort::gc
