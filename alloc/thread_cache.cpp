#include <gort/alloc/thread_cache.h>

#include <algorithm>
#include <new>
#include <stdexcept>

#include <gort/alloc/arena.h>
#include <gort/alloc/collector_hooks.h>
#include <gort/alloc/heap.h>
#include <gort/alloc/scavenger.h>
#include <gort/base/counters.h>
#include <gort/base/zero.h>

namespace gort::alloc {

constinit CollectorHooks collector_hooks;
constinit ThreadCache unattached_cache;
constinit GORT_TLS ThreadCache* thread_cache = &unattached_cache;

void* ThreadCache::refill_and_allocate(SpanClass span_class, std::size_t size) {
  {
    const SlowPath slow_path(size, *this);
    ThreadCache& cache = slow_path.cache();
    if (&cache == &unattached_cache) {
      throw std::logic_error("gort: call gort::start() before allocating");
    }
    if (GORT_LIKELY(cache.refill(span_class))) {
      Run& run = cache.runs_[span_class];
      char* const object = run.next.load_relaxed();
      run.next.store_relaxed(object + size);
      return object;
    }
  }
  throw std::bad_alloc();
}

// A thread may have swept more than it owes, on its way to free slots: that counts.
void ThreadCache::owe_sweep(std::size_t bytes) {
  const std::size_t ratio = heap.sweep_ratio.load_relaxed();
  // Without a collector nothing is swept, and threads that are not attached share a cache.
  if (ratio == 0) return;
  sweep_debt_ += static_cast<std::int64_t>(bytes * ratio / kSweepUnit);
}

void ThreadCache::pay_sweep_debt() {
  if (GORT_LIKELY(sweep_debt_ < kLeastSweep)) return;
  const std::int64_t until = std::max(sweep_debt_ - kMostSweep, kLeastSweep);
  while (sweep_debt_ >= until) {
    const std::size_t bytes = heap.sweep_one();
    if (bytes == 0) {
      sweep_debt_ = 0;
      return;
    }
    has_swept(bytes);
  }
}

bool ThreadCache::refill(SpanClass span_class) {
  counters.refills.fetch_add_relaxed(1);
  pay_sweep_debt();
  for (unsigned attempt = 0;;) {
    if (spans_[span_class] != nullptr) {
      if (next_run(span_class)) return true;
      give_back(span_class);
    }
    Span* span = heap.take_span(span_class, *this);
    if (span != nullptr) {
      span->in_cache = true;
      spans_[span_class] = span;
      used_.add(span_class);
      continue;
    }
    const std::size_t bytes = size_class_info(span_class).pages * kPageSize;
    if (collector_hooks.out_of_memory == nullptr ||
        !collector_hooks.out_of_memory(bytes, attempt++)) {
      return false;
    }
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

  if (heap.allocate_black.load_relaxed()) span.mark_range(first, count);
  span.set_allocated(first, count);
  span.allocated += static_cast<std::uint32_t>(count);
  span.search_from = static_cast<std::uint32_t>(end);
  char* const start = reinterpret_cast<char*>(span.start) + first * span.elem_size;
  const std::size_t bytes = count * span.elem_size;
  if (allowance_ < bytes) {
    // Before the zeroing: a locked instruction behind it would wait for all of its stores.
    heap.heap_live.fetch_add_relaxed(bytes + kAllowance);
    allowance_ += bytes + kAllowance;
    owe_sweep(bytes + kAllowance);
  }
  allowance_ -= bytes;
  if (!span.fresh) zero_run(start, bytes);
  run_start_[span_class] = start;
  runs_[span_class].next.store_relaxed(start);
  runs_[span_class].limit.store_relaxed(start + bytes);
  return true;
}

void ThreadCache::end_run(SpanClass span_class, std::size_t kept) {
  Run& run = runs_[span_class];
  char* const next = run.next.load_relaxed();
  char* const limit = run.limit.load_relaxed();
  if (run_start_[span_class] == nullptr) {  // no run, or one that flush_interrupted() left behind
    run.next.store_relaxed(nullptr);
    run.limit.store_relaxed(nullptr);
    return;
  }
  Span& span = *spans_[span_class];
  const std::size_t unused = static_cast<std::size_t>(limit - next) / span.elem_size;
  const bool interrupted = kept > 0;
  if (kept > unused) kept = unused;
  heap.count_allocated(span_class, uncounted(span_class) + kept);
  if (unused > kept) {
    const std::size_t count = unused - kept;
    const auto first = static_cast<std::uint32_t>(
        (reinterpret_cast<std::uintptr_t>(next) - span.start) / span.elem_size + kept);
    span.clear_allocated(first, count);
    if (heap.allocate_black.load_relaxed()) span.unmark_range(first, count);
    span.allocated -= static_cast<std::uint32_t>(count);
    span.search_from = first;
    allowance_ += count * span.elem_size;
  }
  run_start_[span_class] = nullptr;
  if (interrupted) {  // `next` stays: the thread may have loaded it
    run.limit.store_relaxed(next + kept * span.elem_size);
  } else {
    run.next.store_relaxed(nullptr);
    run.limit.store_relaxed(nullptr);
  }
}

void ThreadCache::give_back(SpanClass span_class) {
  Span* span = spans_[span_class];
  end_run(span_class);
  spans_[span_class] = nullptr;
  span->in_cache = false;
  heap.put_span(span, shard);
}

void ThreadCache::flush() {
  used_.for_each([this](SpanClass c) {
    if (spans_[c] != nullptr) {
      give_back(c);
    } else if (runs_[c].next.load_relaxed() != nullptr) {
      // What flush_interrupted() left. The slot counts as an object; a sweep will free it.
      end_run(c);
    }
  });
  used_.clear();
  tiny_block_.store_relaxed(nullptr);
  give_back_the_rest();
}

void ThreadCache::give_back_the_rest() {
  if (allowance_ > 0) heap.heap_live.fetch_sub_relaxed(allowance_);
  allowance_ = 0;
  sweep_debt_ = 0;
  flush_pages();
}

void ThreadCache::flush_pages() {
  if (pages.empty()) return;
  {
    LockGuard guard(heap.pages.lock);
    heap.pages.flush(pages);
  }
  scavenger.note_free();
}

void ThreadCache::flush_interrupted() {
  used_.for_each([this](SpanClass c) {
    Span* span = spans_[c];
    if (span == nullptr) return;
    end_run(c, 1);
    spans_[c] = nullptr;
    span->in_cache = false;
    heap.put_span(span, shard);
  });
  give_back_the_rest();
}

std::size_t ThreadCache::mark_runs() const {
  std::size_t bytes = 0;
  used_.for_each([this, &bytes](SpanClass c) {
    const char* const next = runs_[c].next.load_relaxed();
    const char* const limit = runs_[c].limit.load_relaxed();
    if (next == limit) return;
    const auto start = reinterpret_cast<std::uintptr_t>(next);
    // The span that the slots are in: the cache may not hold it any more (flush_interrupted).
    const Span& span = *span_of(start);
    const auto length = static_cast<std::size_t>(limit - next);
    span.mark_range(span.slot_of(start), length / span.elem_size);
    bytes += length;
  });
  return bytes;
}

void* ThreadCache::allocate_tagged(SpanClass span_class, std::size_t size, Tag tag) {
  void* object = allocate(span_class, size);
  // The cache may have been flushed since, so the span is asked for by address. Until the tag is
  // there the object is all zero, which any old tag of the slot describes well enough.
  const auto address = reinterpret_cast<std::uintptr_t>(object);
  const Span& span = *span_of(address);
  AtomicRef(span.slot_tags[span.slot_of(address)]).store_relaxed(tag);
  return object;
}

// The block is loaded once: a stop between two instructions here may drop nothing (tiny blocks of
// interrupted threads stay and are marked), but a refill below may.
void* ThreadCache::allocate_tiny(std::size_t size) {
  const std::size_t alignment = (size & 7) == 0 ? 8 : (size & 3) == 0 ? 4 : (size & 1) == 0 ? 2 : 1;
  const std::size_t offset = bits::align_up(tiny_used_, alignment);
  char* const current = tiny_block_.load_relaxed();
  if (current != nullptr && offset + size <= kTinySize) {
    tiny_used_ = offset + size;
    tiny_allocations_.owner_add_relaxed(1);
    return current + offset;
  }
  constexpr SpanClass kTinyClass = base_span_class(size_class_of(kTinySize), true);
  auto* block = static_cast<char*>(allocate(kTinyClass, kTinySize));
  // The slow path may have attached the thread, so the block belongs to the thread's real cache.
  ThreadCache& cache = this == &unattached_cache ? *thread_cache : *this;
  cache.tiny_allocations_.owner_add_relaxed(1);
  // Keep whichever block has more room left.
  if (cache.tiny_block_.load_relaxed() == nullptr || size < cache.tiny_used_) {
    cache.tiny_used_ = size;
    cache.tiny_block_.store_relaxed(block);
  }
  return block;
}

}  // namespace gort::alloc
