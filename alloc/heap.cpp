#include <gort/alloc/heap.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <optional>

#include <gort/alloc/arena.h>
#include <gort/alloc/collector_hooks.h>
#include <gort/alloc/describe.h>
#include <gort/alloc/scavenger.h>
#include <gort/alloc/unpublished.h>
#include <gort/base/counters.h>
#include <gort/base/fatal.h>
#include <gort/base/metadata.h>
#include <gort/base/zero.h>

namespace gort::alloc {

constinit Heap heap;

namespace {

constexpr std::size_t kRecordAlignment = 64;

// The record with its bitmaps behind it, in one block: see span.h.
std::size_t record_bytes(std::size_t slots, bool described) {
  return sizeof(Span) + 2 * bits::words_for(slots) * sizeof(std::uint64_t) +
         (described ? slots * sizeof(Tag) : 0);
}

const void* first_freed_and_marked(const Span& span) {
  std::uint32_t slot = 0;
  while (slot < span.slot_count && (span.is_allocated(slot) || !span.is_marked(slot))) ++slot;
  return reinterpret_cast<const void*>(span.slot_start(slot));
}

}  // namespace

Span* Heap::make_span(const PageRun& run, std::size_t slots, std::size_t elem_size,
                      std::uint32_t reciprocal, SpanClass span_class, const SpanClassInfo& info) {
  void* block = metadata::try_allocate(record_bytes(slots, info.described), kRecordAlignment);
  if (block == nullptr) return nullptr;
  auto* span = ::new (block) Span();
  span->start = run.start;
  span->elem_size = elem_size;
  span->page_count = static_cast<std::uint32_t>(run.pages.count());
  span->slot_count = static_cast<std::uint32_t>(slots);
  span->reciprocal = reciprocal;
  span->span_class = span_class;
  span->noscan = info.noscan;
  span->tag = info.tag;
  span->reference_mask = info.reference_mask;
  span->fresh = run.zeroed;
  span->alloc_bits = reinterpret_cast<std::uint64_t*>(span + 1);
  span->mark_bits = span->alloc_bits + bits::words_for(slots);
  if (info.described) {
    span->slot_tags = reinterpret_cast<Tag*>(span->mark_bits + bits::words_for(slots));
  }
  span->sweepgen.store_relaxed(sweepgen());
  return span;
}

void Heap::publish(Span* span) {
  span_bytes_.fetch_add_relaxed(span->bytes());
  span_count_.fetch_add_relaxed(1);
  counters.spans_allocated.fetch_add_relaxed(1);
  set_span(span->start, span->pages(), span);
  scavenger.note_growth(pages.resident());
}

// `run` belongs to no span yet.
void Heap::while_parked(const PageRun& run, void (*f)(void*), void* context) {
  const UnpublishedRun unpublished(*thread_cache, run, nullptr);
  collector_hooks.while_parked(f, context);
}

// That of no span any more, or not yet.
void Heap::give_back(const PageRun& run) {
  {
    LockGuard guard(pages.lock);
    pages.free(run.start, run.pages);
  }
  scavenger.note_free();
}

// The first access to a huge page takes the system a good part of a millisecond, and several where
// it has to make room for one; a thread in the middle of that cannot be stopped. So it happens
// here, where nobody waits for the thread.
void Heap::touch_huge_page(const PageRun& run) {
  if (!run.zeroed || collector_hooks.while_parked == nullptr) return;
  Arena& arena = *arena_of(run.start);
  const std::size_t offset = run.start - arena.start;
  const std::size_t last = (offset + run.pages.bytes() - 1) / kHugePageSize;
  for (std::size_t h = offset / kHugePageSize; h <= last && h < kArenaSize / kHugePageSize; ++h) {
    if (!arena.has_huge_pages(h * kHugePageSize / kChunkSize)) continue;
    const std::uint32_t bit = std::uint32_t{1} << h;
    if ((arena.touched_huge_pages.load_relaxed() & bit) != 0) continue;
    while_parked(
        run, [](void* start) { os::touch(start, kHugePageSize); },
        reinterpret_cast<void*>(arena.start + h * kHugePageSize));
    arena.touched_huge_pages.fetch_or_relaxed(bit);
    pages.touched_ahead(arena.start + h * kHugePageSize);
  }
}

// In a growing heap the records of spans lie in memory that is new as well. mimalloc hands out what
// has come back before it goes on to what it has never handed out: so blocks that are taken and
// given back here are there, touched, for the next spans of this thread. 32 of them fill a page.
void Heap::touch_records(const PageRun& run, std::size_t bytes) {
  constexpr std::size_t kAhead = 32;
  std::uint32_t& ahead = thread_cache->touched_records;
  if (ahead > 0) {
    --ahead;
    return;
  }
  if (!run.zeroed || collector_hooks.while_parked == nullptr) return;
  while_parked(
      run,
      [](void* size) {
        void* blocks[kAhead];
        for (void*& block : blocks) {
          block = metadata::try_allocate(*static_cast<const std::size_t*>(size), kRecordAlignment);
        }
        for (void* block : blocks) metadata::release(block);
      },
      &bytes);
  ahead = kAhead - 1;  // this span takes the first
}

PageRun Heap::take_pages(Pages count, PageCache* cache) {
  const bool cached = cache != nullptr && count.count() <= PageCache::kMaxRunPages;
  if (cached) {
    if (const PageRun run = cache->allocate(count)) return run;
  }
  PageRun run;
  {
    LockGuard guard(pages.lock);
    if (cached) {
      pages.flush(*cache);
      if (!pages.fill(*cache)) return {};
      run = cache->allocate(count);  // none if the block is too broken up
    }
    if (!run) run = pages.allocate(count);
  }
  scavenger.note_free();  // what was flushed may have been too little for this span
  return run;
}

Span* Heap::allocate_small_span(SpanClass span_class, PageCache* cache) {
  const SpanClassInfo& info = span_class_info(span_class);
  const SizeClassInfo& size = kSizeClasses[info.size_class];
  const PageRun run = take_pages(Pages(size.pages), cache);
  if (!run) return nullptr;
  touch_huge_page(run);
  touch_records(run, record_bytes(size.objects, info.described));
  Span* span = make_span(run, size.objects, size.size, size.reciprocal, span_class, info);
  if (span == nullptr) {
    give_back(run);
    return nullptr;
  }
  publish(span);
  return span;
}

static std::size_t dirty_pages(const PageRun& run) {
  return run.dirty_end - run.dirty_begin - (run.clean_end - run.clean_begin);
}

// Calls f(address, bytes), of at most kZeroPiece bytes, until all that may not be zero has been
// handed out.
template <class F>
static void for_each_dirty_piece(const PageRun& run, F&& f) {
  for (std::size_t page = run.dirty_begin; page < run.dirty_end;) {
    const std::size_t end = page < run.clean_begin ? run.clean_begin : run.dirty_end;
    const std::size_t here = std::min(end - page, kZeroPiece / kPageSize);
    f(reinterpret_cast<void*>(run.start + page * kPageSize), here * kPageSize);
    page += here;
    if (page == run.clean_begin) page = run.clean_end;
  }
}

void* Heap::allocate_large(std::size_t bytes, bool noscan, Tag tag, std::size_t alignment) {
  GORT_CHECK(bits::is_power_of_two(alignment) && alignment <= kArenaSize,
             "alignment to {} bytes: powers of two up to {}", alignment, kArenaSize);
  if (bytes > kWindowSize) throw std::bad_alloc();
  const SpanClass span_class = noscan ? kLargeNoscan : kLargeScan;
  PageRun run;
  std::size_t dirty_bytes = 0;
  Span* span = nullptr;
  std::optional<UnpublishedRun> unpublished;
  {
    const SlowPath slow_path(Pages::holding(bytes).bytes(), *thread_cache);
    slow_path.cache().owe_sweep(bytes);
    slow_path.cache().pay_sweep_debt();
    span = take_large(bytes, span_class, tag, alignment, run);
    if (GORT_LIKELY(span != nullptr)) {
      dirty_bytes = dirty_pages(run) * kPageSize;
      if (dirty_bytes <= kZeroPiece) {
        for_each_dirty_piece(run,
                             [](void* piece, std::size_t size) { std::memset(piece, 0, size); });
        return publish_large(span);
      }
      unpublished.emplace(slow_path.cache(), run, span);
    }
  }
  if (span == nullptr) throw std::bad_alloc();  // behind the slow path: see ThreadCache::refill()
  // Nobody can see the object yet, so the world may stop while it is zeroed, and a cycle may begin
  // and end.
  try {
    for_each_dirty_piece(run, [dirty_bytes](void* piece, std::size_t size) {
      zero_piece(piece, size, dirty_bytes);
      const SlowPath slow_path(0, *thread_cache);  // for threads that stop at polls alone
    });
    const SlowPath slow_path(0, *thread_cache);
    unpublished.reset();
    return publish_large(span);
  } catch (...) {
    {
      LockGuard guard(pages.lock);  // no fork comes between the two
      unpublished.reset();
      pages.free(run.start, run.pages);
    }
    scavenger.note_free();
    metadata::release(span);
    throw;
  }
}

// Pages and a record for a large object; null if there is no memory. In a slow path.
Span* Heap::take_large(std::size_t bytes, SpanClass span_class, Tag tag, std::size_t alignment,
                       PageRun& run) {
  const Pages count = Pages::holding(bytes);
  const std::size_t alignment_pages = alignment > kPageSize ? alignment >> kPageShift : 1;
  for (unsigned attempt = 0;; ++attempt) {
    {
      LockGuard guard(pages.lock);
      run = pages.allocate(count, alignment_pages);
    }
    if (run) {
      SpanClassInfo info = span_class_info(span_class);
      info.tag = tag;
      if (Span* span = make_span(run, 1, count.bytes(), 0, span_class, info)) return span;
      give_back(run);
    }
    if (collector_hooks.out_of_memory == nullptr ||
        !collector_hooks.out_of_memory(count.bytes(), attempt)) {
      return nullptr;
    }
  }
}

// The object, zeroed, begins to live. In a slow path.
void* Heap::publish_large(Span* span) {
  span->sweepgen.store_relaxed(sweepgen());  // it may have risen since the record was made
  if (allocate_black.load_relaxed()) span->mark_range(0, 1);
  span->set_allocated(0, 1);
  span->allocated = 1;
  span->search_from = 1;
  publish(span);
  count_allocated(span->span_class, 1);
  large_allocated_bytes_.fetch_add_relaxed(span->bytes());
  heap_live.fetch_add_relaxed(span->bytes());
  counters.large_allocations.fetch_add_relaxed(1);
  void* object = reinterpret_cast<void*>(span->start);
  put_span(span, 0);
  return object;
}

void Heap::free_span(Span* span) {
  span_bytes_.fetch_sub_relaxed(span->bytes());
  span_count_.fetch_sub_relaxed(1);
  counters.spans_freed.fetch_add_relaxed(1);
  const std::uintptr_t start = span->start;
  const Pages count = span->pages();
  set_span(start, count, nullptr);
  metadata::release(span);
  give_back({start, count});
}

Span* Heap::take_unswept(CentralList& list, ThreadCache& cache, int& tries) {
  for (; tries > 0; --tries) {
    Span* span = list.pop_unswept();
    if (span == nullptr) return nullptr;
    sweep(*span);
    cache.has_swept(span->bytes());
    if (span->allocated < span->slot_count) return span;
    list.push_swept(span);
  }
  return nullptr;
}

Span* Heap::take_span(SpanClass span_class, ThreadCache& cache) {
  int tries = kSweepTries;
  const std::size_t shards = shard_count();
  for (std::size_t i = 0; i < shards; ++i) {
    CentralList& list = shards_[(cache.shard + i) % shards].central[span_class];
    if (Span* span = list.pop_partial_swept()) return span;
    if (Span* span = take_unswept(list, cache, tries)) return span;
  }
  return allocate_small_span(span_class, &cache.pages);
}

void Heap::put_span(Span* span, std::size_t shard) {
  shards_[shard].used.add(span->span_class);
  shards_[shard].central[span->span_class].push_swept(span);
}

void Heap::flip_sweepgen() {
  const std::size_t shards = shard_count();
  for (std::size_t s = 0; s < shards; ++s) {
    Shard& shard = shards_[s];
    shard.used.for_each([&shard](SpanClass c) {
      shard.central[c].flip();
      if (!shard.central[c].has_unswept()) shard.used.remove(c);
    });
    shard.unswept.assign(shard.used);
  }
  sweepgen_.store_relaxed(sweepgen() + 2);
  in_use_at_flip_.store_relaxed(span_bytes());
}

void Heap::pace_sweep(std::size_t allowed) {
  constexpr std::size_t kMost = std::size_t{64} * kSweepUnit;
  const std::size_t ratio = span_bytes() * kSweepUnit / std::max(allowed, kLeastSweepDistance);
  sweep_ratio.store_relaxed(static_cast<std::uint32_t>(std::min(ratio, kMost)));
}

void Heap::poison_dead(const Span& span) {
  for (std::uint32_t slot = 0; slot < span.slot_count; ++slot) {
    if (!span.is_allocated(slot) || span.is_marked(slot)) continue;
    std::memset(reinterpret_cast<void*>(span.slot_start(slot)), kPoison, span.elem_size);
  }
}

void Heap::sweep(Span& span) {
  const std::uint32_t generation = sweepgen();
  GORT_CHECK(span.sweepgen.load_relaxed() == generation - 2,
             "span at {:#x} to be swept has generation {}, the heap {}; {}", span.start,
             span.sweepgen.load_relaxed(), generation,
             describe(reinterpret_cast<const void*>(span.start)).view());
  span.sweepgen.store_relaxed(generation - 1);
  const std::size_t words = span.bit_words();
  const std::size_t live = bits::count_range(span.mark_bits, 0, span.slot_count);
  // Markers take every reference out of an object for one to an object.
  GORT_CHECK(live <= span.allocated,
             "span at {:#x} has {} objects of {} bytes, and {} are marked: an object holds a "
             "reference to one that has been freed, or one past the end of another; {}",
             span.start, span.allocated, span.elem_size, live,
             describe(first_freed_and_marked(span)).view());
  const std::size_t freed = span.allocated - live;
  if (freed > 0 && poison.load_relaxed()) poison_dead(span);
  std::swap(span.alloc_bits, span.mark_bits);
  std::memset(span.mark_bits, 0, words * sizeof(std::uint64_t));
  span.allocated = static_cast<std::uint32_t>(live);
  span.search_from = 0;
  if (freed > 0) {
    span.fresh = false;
    shards_[thread_shard].freed_objects[span.span_class].fetch_add_relaxed(freed);
    if (span.is_large()) large_freed_bytes_.fetch_add_relaxed(span.bytes());
    counters.objects_swept.fetch_add_relaxed(freed);
    counters.bytes_swept.fetch_add_relaxed(freed * span.elem_size);
  }
  counters.spans_swept.fetch_add_relaxed(1);
  span.sweepgen.store_relaxed(generation);
}

void Heap::sweep_and_put(Span* span, CentralList& list) {
  const bool was_empty = span->allocated == 0;
  sweep(*span);
  if (span->allocated == 0 && (was_empty || emptied.load_relaxed() == Emptied::freed)) {
    free_span(span);
  } else {
    list.push_swept(span);
  }
}

std::size_t Heap::sweep_one() {
  const std::size_t shards = shard_count();
  for (std::size_t i = 0; i < shards; ++i) {
    Shard& shard = shards_[(thread_shard + i) % shards];
    std::size_t bytes = 0;
    shard.unswept.any_of([this, &shard, &bytes](SpanClass c) {
      CentralList& list = shard.central[c];
      if (Span* span = list.pop_unswept()) {
        bytes = span->bytes();
        sweep_and_put(span, list);
        return true;
      }
      // Nothing unswept ever comes back to a list before the next flip.
      shard.unswept.remove(c);
      return false;
    });
    if (bytes > 0) return bytes;
  }
  return 0;
}

bool Heap::sweep_one_large() {
  for (const SpanClass c : {kLargeScan, kLargeNoscan}) {
    CentralList& list = shards_[0].central[c];
    if (Span* span = list.pop_unswept()) {
      sweep_and_put(span, list);
      return true;
    }
  }
  return false;
}

void Heap::add_cache(ThreadCache& cache) {
  LockGuard guard(pages.lock);
  Shard* const least =
      std::min_element(shards_, shards_ + shard_count(),
                       [](const Shard& a, const Shard& b) { return a.caches < b.caches; });
  ++least->caches;
  cache.shard = static_cast<std::uint32_t>(least - shards_);
  cache.next_cache = caches_;
  cache.previous_cache = nullptr;
  if (caches_ != nullptr) caches_->previous_cache = &cache;
  caches_ = &cache;
}

void Heap::remove_cache(ThreadCache& cache) {
  cache.flush();
  retired_tiny_allocations_.fetch_add_relaxed(cache.tiny_allocations());
  LockGuard guard(pages.lock);
  --shards_[cache.shard].caches;
  if (cache.previous_cache != nullptr) {
    cache.previous_cache->next_cache = cache.next_cache;
  } else {
    caches_ = cache.next_cache;
  }
  if (cache.next_cache != nullptr) cache.next_cache->previous_cache = cache.previous_cache;
}

std::size_t Heap::unpublished_bytes() const {
  std::size_t bytes = 0;
  for_each_cache([&bytes](const ThreadCache& cache) {
    for (const UnpublishedRun* u = cache.unpublished; u != nullptr; u = u->outer()) {
      bytes += u->run().pages.bytes();
    }
  });
  return bytes;
}

void Heap::drop_unpublished(ThreadCache& cache) {
  for (const UnpublishedRun* u = cache.unpublished; u != nullptr; u = u->outer()) {
    give_back(u->run());
    metadata::release(u->span());
  }
  cache.unpublished = nullptr;
}

void Heap::flush_page_caches() {
  for_each_cache([](ThreadCache& cache) { cache.flush_pages(); });
}

std::size_t Heap::release_idle() { return scavenger.release_all(); }

void Heap::free_everything() {
  while (sweep_one() > 0) {
  }
  // Nothing is marked, so a flip makes every object dead.
  flip_sweepgen();
  emptied.store_relaxed(Emptied::freed);
  sweep_ratio.store_relaxed(0);
  while (sweep_one() > 0) {
  }
}

}  // namespace gort::alloc
