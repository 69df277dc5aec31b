#pragma once

// The heap: pages become spans, spans become pages, and the books of both.
//
//   down   page allocator -> span -> central list -> thread cache -> object
//   up     object found dead -> slot free (sweep) -> span empty -> page allocator -> system
//
// Books (all in bytes or objects, exact whenever the world is stopped):
//     objects alive or not known dead of span class c
//         == allocated_objects[c] + sum over caches of uncounted(c) - freed_objects[c]
//     span_bytes() == sum over spans of their bytes
//         == pages.used() - pages in page caches - unpublished_bytes()
//
// `heap_live` is the pacer's number, not the books': bytes that the last cycle marked plus bytes of
// runs and large objects handed out since. It counts a run when it is handed out, and the allowance
// that a cache has left.
//
// Locks: pages.lock (rank heap) for the page allocator, the list of caches and how many of them
// each shard has; one lock a central list. The sweep generation is written with the world stopped.

#include <cstddef>
#include <cstdint>

#include <gort/alloc/arena.h>
#include <gort/alloc/central_list.h>
#include <gort/alloc/page_allocator.h>
#include <gort/alloc/span.h>
#include <gort/alloc/span_class.h>
#include <gort/alloc/span_class_set.h>
#include <gort/alloc/thread_cache.h>
#include <gort/base/atomic.h>
#include <gort/base/config.h>
#include <gort/base/shards.h>

namespace gort::alloc {

/// What becomes of a span in which a sweep leaves nothing: its pages go back to the page heap, or
/// it waits in its shard for its thread, and they go back if the next sweep finds it still empty.
/// Where cycles follow each other within less than a millisecond, threads would otherwise make the
/// same spans again and again, and get each other's memory.
enum class Emptied { freed, kept };

class Heap {
 public:
  // --- spans -------------------------------------------------------------------------------------
  /// A new swept span of a small class, on no list, owned by the caller; its pages come by way of
  /// `cache`, if there is one. Null if the operating system refuses.
  Span* allocate_small_span(SpanClass span_class, PageCache* cache = nullptr);
  /// A new large object of `bytes` > kMaxSmallSize, zeroed, aligned to `alignment` bytes (a power
  /// of two up to an arena). Throws std::bad_alloc.
  void* allocate_large(std::size_t bytes, bool noscan, Tag tag, std::size_t alignment = kPageSize);
  /// Gives an owned span's pages back. The record is gone afterwards.
  void free_span(Span* span);
  /// A span with free slots for a cache: swept, or swept on the way, or new. Null if the operating
  /// system refuses.
  Span* take_span(SpanClass span_class, ThreadCache& cache);
  /// A span that a cache of this shard is done with.
  void put_span(Span* span, std::size_t shard);

  // --- sweeping ----------------------------------------------------------------------------------
  std::uint32_t sweepgen() const { return sweepgen_.load_relaxed(); }
  /// Every span becomes unswept. World stopped, caches flushed, nothing unswept left.
  void flip_sweepgen();
  /// From now on allocation pays for the sweep (ThreadCache::owe_sweep), so that all is swept when
  /// `allowed` more bytes have been allocated; of more than any heap has, nothing. World stopped.
  void pace_sweep(std::size_t allowed);
  /// Sweeps one unswept span, of any class, of the calling thread's shard if there is one. Returns
  /// its bytes, 0 if nothing is unswept.
  std::size_t sweep_one();
  /// The same among large objects.
  bool sweep_one_large();
  /// Sweeps the span and then frees it, if it is empty (see Emptied), or puts it back on the list
  /// it was popped from.
  void sweep_and_put(Span* span, CentralList& list);

  // --- books -------------------------------------------------------------------------------------
  void count_allocated(SpanClass span_class, std::size_t objects) {
    shards_[thread_shard].allocated_objects[span_class].fetch_add_relaxed(objects);
  }
  std::uint64_t allocated_objects(SpanClass span_class) const {
    std::uint64_t sum = 0;
    for (const Shard& s : shards_) sum += s.allocated_objects[span_class].load_relaxed();
    return sum;
  }
  std::uint64_t freed_objects(SpanClass span_class) const {
    std::uint64_t sum = 0;
    for (const Shard& s : shards_) sum += s.freed_objects[span_class].load_relaxed();
    return sum;
  }
  std::uint64_t large_allocated_bytes() const { return large_allocated_bytes_.load_relaxed(); }
  std::uint64_t large_freed_bytes() const { return large_freed_bytes_.load_relaxed(); }
  std::uint64_t tiny_allocations() const { return retired_tiny_allocations_.load_relaxed(); }
  std::size_t span_bytes() const { return span_bytes_.load_relaxed(); }
  std::size_t span_count() const { return span_count_.load_relaxed(); }
  /// Pages that are being zeroed, or touched for the first time: used, but of no span yet
  /// (unpublished.h). World stopped.
  std::size_t unpublished_bytes() const;
  /// span_bytes() when the sweep generation rose last: with everything dead still in place.
  std::size_t in_use_at_flip() const { return in_use_at_flip_.load_relaxed(); }

  alignas(64) Atomic<std::size_t> heap_live{0};
  // The next four are read at every refill and seldom written: on a line of their own.
  /// Markers run: what is allocated now is born marked (thread_cache.h, "black"). Written with the
  /// world stopped.
  alignas(64) Atomic<bool> allocate_black{false};
  /// Bytes that a refill hands out at most (but at least one slot). 1 sends every allocation
  /// through the slow path: for debugging modes that must see each one.
  Atomic<std::size_t> run_limit{kMaxRunBytes};
  /// Whether sweeping fills the slots of dead objects with kPoison.
  Atomic<bool> poison{false};
  /// Written when the sweep generation rises, and by who sweeps all of a small cycle at once.
  Atomic<Emptied> emptied{Emptied::freed};
  /// Bytes of spans to sweep for each byte that is allocated, in units of 1/kSweepUnit. Written
  /// with the world stopped.
  Atomic<std::uint32_t> sweep_ratio{0};

  // --- caches ------------------------------------------------------------------------------------
  void add_cache(ThreadCache& cache);
  /// Flushes and forgets the cache.
  void remove_cache(ThreadCache& cache);
  /// What its thread was making a span of goes back. In the child of a fork that the thread is not
  /// in.
  void drop_unpublished(ThreadCache& cache);
  /// All pages that caches hold go back: used pages are then those of spans alone. World stopped.
  void flush_page_caches();
  /// Calls `f(cache)` for each cache. World stopped.
  template <class F>
  void for_each_cache(F&& f) const {
    for (ThreadCache* c = caches_; c != nullptr; c = c->next_cache) f(*c);
  }

  /// Calls `f(span)` for every span in the heap, by address. World stopped; takes pages.lock, but
  /// not while it calls.
  template <class F>
  void for_each_span(F&& f);

  /// Gives every idle page back to the operating system. Returns the bytes given back.
  std::size_t release_idle();

  /// Frees every span, whatever is in it. World stopped, caches flushed. For shutdown.
  void free_everything();

  PageAllocator pages;

 private:
  struct alignas(64) Shard {
    CentralList central[kSpanClassCount];  // [0] and [1] hold the large objects, all in shard 0
    Atomic<std::uint64_t> allocated_objects[kSpanClassCount];
    Atomic<std::uint64_t> freed_objects[kSpanClassCount];
    SpanClassSet used;       // at least the classes whose lists hold a span
    SpanClassSet unswept;    // at least those of them that hold one to be swept
    std::size_t caches = 0;  // guard: pages.lock
  };

  PageRun take_pages(Pages count, PageCache* cache);
  static void while_parked(const PageRun& run, void (*f)(void*), void* context);
  void give_back(const PageRun& run);
  void touch_huge_page(const PageRun& run);
  void touch_records(const PageRun& run, std::size_t bytes);
  Span* make_span(const PageRun& run, std::size_t slots, std::size_t elem_size,
                  std::uint32_t reciprocal, SpanClass span_class, const SpanClassInfo& info);
  void publish(Span* span);
  Span* take_large(std::size_t bytes, SpanClass span_class, Tag tag, std::size_t alignment,
                   PageRun& run);
  void* publish_large(Span* span);
  void poison_dead(const Span& span);
  // unswept -> swept: mark bits become alloc bits, the dead are counted. `span` is owned.
  void sweep(Span& span);
  Span* take_unswept(CentralList& list, ThreadCache& cache, int& tries);

  Atomic<std::uint32_t> sweepgen_{2};
  Shard shards_[kMaxShards];
  Atomic<std::uint64_t> large_allocated_bytes_{0};
  Atomic<std::uint64_t> large_freed_bytes_{0};
  Atomic<std::uint64_t> retired_tiny_allocations_{0};
  Atomic<std::size_t> span_bytes_{0};
  Atomic<std::size_t> span_count_{0};
  Atomic<std::size_t> in_use_at_flip_{0};
  ThreadCache* caches_ = nullptr;  ///< guard: pages.lock
};

extern GORT_API Heap heap;

template <class F>
void Heap::for_each_span(F&& f) {
  const std::size_t limit = window.arena_limit.load_acquire();
  std::uintptr_t next = 0;  // a span may run over the end of an arena
  for (std::size_t a = 0; a < limit; ++a) {
    Arena* arena = arenas[a].load_acquire();
    if (arena == nullptr) continue;
    std::size_t page = next > arena->start ? (next - arena->start) >> kPageShift : 0;
    while (page < arena->prepared) {
      Span* span = arena->span_of_page(page);
      if (span == nullptr) {
        LockGuard guard(pages.lock);  // the scavenger goes on while the world is stopped
        page = bits::find_set(arena->used, kArenaPages, page + 1);
        continue;
      }
      next = span->end();
      page += (next - (arena->start + (page << kPageShift))) >> kPageShift;
      f(*span);
    }
  }
}

}  // namespace gort::alloc
