#include <gort/alloc/thread_cache.h>

#include <cstring>
#include <new>
#include <stdexcept>

#include <gort/alloc/collector_hooks.h>
#include <gort/alloc/heap.h>
#include <gort/base/counters.h>

namespace gort::alloc {

constinit CollectorHooks collector_hooks;
constinit ThreadCache unattached_cache;
constinit GORT_TLS ThreadCache* thread_cache = &unattached_cache;

void* ThreadCache::refill_and_allocate(SpanClass span_class, std::size_t size) {
  ThreadCache* cache = this;
  if (collector_hooks.before_slow_path != nullptr) cache = &collector_hooks.before_slow_path(size);
  if (cache == &unattached_cache) {
    throw std::logic_error("gort: call gort::start() before allocating");
  }
  cache->refill(span_class);
  Run& run = cache->runs_[span_class];
  char* const object = run.next;
  run.next = object + size;
  return object;
}

void ThreadCache::refill(SpanClass span_class) {
  counters.refills.fetch_add_relaxed(1);
  for (bool collected = false;;) {
    if (spans_[span_class] != nullptr) {
      if (next_run(span_class)) return;
      give_back(span_class);
    }
    Span* span = heap.take_span(span_class);
    if (span != nullptr) {
      span->in_cache = true;
      spans_[span_class] = span;
      continue;
    }
    const std::size_t bytes = size_class_info(span_class).pages * kPageSize;
    if (collected || collector_hooks.out_of_memory == nullptr ||
        !collector_hooks.out_of_memory(bytes)) {
      throw std::bad_alloc();
    }
    collected = true;
  }
}

bool ThreadCache::next_run(SpanClass span_class) {
  end_run(span_class);
  Span& span = *spans_[span_class];
  const std::size_t first = bits::find_clear(span.alloc_bits, span.slot_count, span.search_from);
  if (first == span.slot_count) return false;
  const std::size_t run_limit = heap.run_limit.load_relaxed();
  const std::size_t most = run_limit > span.elem_size ? run_limit / span.elem_size : 1;
  const std::size_t bound = first + most < span.slot_count ? first + most : span.slot_count;
  const std::size_t end = bits::find_set(span.alloc_bits, bound, first);
  const std::size_t count = end - first;

  bits::set_range(span.alloc_bits, first, count);
  span.allocated += static_cast<std::uint32_t>(count);
  span.search_from = static_cast<std::uint32_t>(end);
  char* const start = reinterpret_cast<char*>(span.start) + first * span.elem_size;
  const std::size_t bytes = count * span.elem_size;
  if (!span.fresh) std::memset(start, 0, bytes);
  run_start_[span_class] = start;
  runs_[span_class] = {start, start + bytes};
  heap.heap_live.fetch_add_relaxed(bytes);
  return true;
}

void ThreadCache::end_run(SpanClass span_class) {
  Run& run = runs_[span_class];
  if (run.next == nullptr) return;
  Span& span = *spans_[span_class];
  heap.count_allocated(span_class, uncounted(span_class));
  const auto unused_bytes = static_cast<std::size_t>(run.limit - run.next);
  if (unused_bytes > 0) {
    const auto first = static_cast<std::uint32_t>(
        (reinterpret_cast<std::uintptr_t>(run.next) - span.start) / span.elem_size);
    const std::size_t count = unused_bytes / span.elem_size;
    bits::clear_range(span.alloc_bits, first, count);
    span.allocated -= static_cast<std::uint32_t>(count);
    span.search_from = first;
    heap.heap_live.fetch_sub_relaxed(unused_bytes);
  }
  run = {};
  run_start_[span_class] = nullptr;
}

void ThreadCache::give_back(SpanClass span_class) {
  Span* span = spans_[span_class];
  end_run(span_class);
  spans_[span_class] = nullptr;
  span->in_cache = false;
  heap.put_span(span);
}

void ThreadCache::flush() {
  for (std::size_t c = 0; c < kSpanClassCount; ++c) {
    if (spans_[c] != nullptr) give_back(static_cast<SpanClass>(c));
  }
  tiny_block_ = nullptr;
  tiny_used_ = 0;
}

void* ThreadCache::allocate_tagged(SpanClass span_class, std::size_t size, Tag tag) {
  void* object = allocate(span_class, size);
  // The slow path may have attached the thread: ask for the cache again.
  const ThreadCache& cache = this == &unattached_cache ? *thread_cache : *this;
  const Span& span = *cache.spans_[span_class];
  AtomicRef(span.slot_tags[span.slot_of(reinterpret_cast<std::uintptr_t>(object))])
      .store_relaxed(tag);
  return object;
}

void* ThreadCache::allocate_tiny(std::size_t size) {
  const std::size_t alignment = (size & 7) == 0 ? 8 : (size & 3) == 0 ? 4 : (size & 1) == 0 ? 2 : 1;
  const std::size_t offset = bits::align_up(tiny_used_, alignment);
  if (tiny_block_ != nullptr && offset + size <= kTinySize) {
    tiny_used_ = offset + size;
    ++tiny_allocations_;
    return tiny_block_ + offset;
  }
  constexpr SpanClass kTinyClass = base_span_class(size_class_of(kTinySize), true);
  auto* block = static_cast<char*>(allocate(kTinyClass, kTinySize));
  // The slow path may have attached the thread, so the block belongs to the thread's real cache.
  ThreadCache& cache = this == &unattached_cache ? *thread_cache : *this;
  ++cache.tiny_allocations_;
  // Keep whichever block has more room left.
  if (cache.tiny_block_ == nullptr || size < cache.tiny_used_) {
    cache.tiny_block_ = block;
    cache.tiny_used_ = size;
  }
  return block;
}

}  // namespace gort::alloc
