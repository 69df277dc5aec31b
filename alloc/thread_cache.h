#pragma once

// A thread's cache: for every span class one span, and in it one run of free slots.
//
// Allocation is a bump inside the run: load the pointer, add, compare, store. Refill (the slow
// path) finds the next run of clear alloc bits in the span, sets them all, zeroes the memory of the
// run in one go, and installs it; when the span has no clear bit left it goes to the central list
// and another one comes.
//
//     run_start[c] <= runs[c].next <= runs[c].limit, all at slot boundaries
//     objects allocated from the run == (next - run_start) / size    counted when the run ends
//     slots in [next, limit)  alloc bit set, memory zero, no object: the ledger calls them
//                             cached_by_thread, flush clears their bits
//
// So the fast path counts nothing and touches no memory but the run's two pointers and the object.
// The memory was zeroed shortly before and is in the cache.
//
// The thread finds its cache by one thread-local pointer. A thread that is not attached points at
// `unattached_cache`, whose runs are all empty: its first allocation takes the slow path, which
// attaches it, so the fast path need not ask.
//
// Tiny objects (pointer-free, below 16 bytes) share 16-byte blocks, as in Go: a block dies when all
// objects in it are dead.
//
// Black. While markers run (heap.allocate_black), the slots of a run are marked before their alloc
// bits are set, and the slots left over are unmarked after their alloc bits are cleared: so what is
// allocated during a marking survives it and no marker ever looks into it.
//
// Stops. A thread may be stopped between any two instructions of the fast path (never in a slow
// path). The stopper then finds the thread perhaps with `next` loaded and its successor not yet
// stored, so the slot at `next` may be in use already. flush_interrupted() therefore leaves a run
// of exactly that one slot, allocated and, as it is part of a black run, marked; its span goes back
// like all others. Whatever the thread does next is right: it takes that slot, or stores next +
// size, which is the new limit. The order of the loads of `next` and `limit` does not matter, for
// no old limit lies below the new one. This asks that each access of the fast path happens exactly
// once and on memory: hence the relaxed atomics.
//
// Guard: the owning thread alone, or whoever stopped the world.

#include <cstddef>
#include <cstdint>

#include <gort/alloc/page_cache.h>
#include <gort/alloc/span.h>
#include <gort/alloc/span_class.h>
#include <gort/alloc/span_class_set.h>
#include <gort/base/atomic.h>
#include <gort/base/config.h>

namespace gort::alloc {

class UnpublishedRun;

class ThreadCache {
 public:
  struct Run {
    Atomic<char*> next{nullptr};
    Atomic<char*> limit{nullptr};
  };

  constexpr ThreadCache() = default;
  ThreadCache(const ThreadCache&) = delete;
  ThreadCache& operator=(const ThreadCache&) = delete;

  /// A zeroed slot of the class, whose slot size is `size`, if the run has one; else null.
  GORT_ALWAYS_INLINE void* try_allocate(SpanClass span_class, std::size_t size) {
    Run& run = runs_[span_class];
    char* const object = run.next.load_relaxed();
    // A run ends at a slot's end, so "not at the limit" means that a whole slot is there.
    if (GORT_UNLIKELY(object == run.limit.load_relaxed())) return nullptr;
    run.next.store_relaxed(object + size);
    return object;
  }

  /// The same, refilling if need be. Throws std::bad_alloc.
  GORT_ALWAYS_INLINE void* allocate(SpanClass span_class, std::size_t size) {
    if (void* object = try_allocate(span_class, size)) return object;
    return refill_and_allocate(span_class, size);
  }

  /// The same in a described class: the slot gets this tag.
  void* allocate_tagged(SpanClass span_class, std::size_t size, Tag tag);

  /// A zeroed pointer-free object of `size` < kTinySize bytes, aligned to the largest power of two
  /// that divides its size (at most 8).
  void* allocate_tiny(std::size_t size);

  /// Gives every span back to its central list and frees unused slots. Afterwards the cache is as
  /// new. The owner in a slow path, or world stopped and the owner not interrupted.
  void flush();
  /// The same for a thread that was stopped at an arbitrary instruction: see "Stops" above. The
  /// block of tiny objects stays.
  void flush_interrupted();
  /// The page cache alone. The owner in a slow path, or world stopped.
  void flush_pages();
  /// Marks the unused slots of all runs: markers are about to start. World stopped. Returns bytes.
  std::size_t mark_runs() const;
  /// The block that tiny objects come from, or null. World stopped.
  const char* tiny_block() const { return tiny_block_.load_relaxed(); }
  void drop_tiny_block() { tiny_block_.store_relaxed(nullptr); }

  /// Calls `f(span, first_free, end)` for each held span: [first_free, end) are the slots of its
  /// run that hold no object yet.
  template <class F>
  void for_each_span(F&& f) const {
    used_.for_each([this, &f](SpanClass c) {
      Span* span = spans_[c];
      if (span == nullptr) return;
      const auto next = reinterpret_cast<std::uintptr_t>(runs_[c].next.load_relaxed());
      const auto limit = reinterpret_cast<std::uintptr_t>(runs_[c].limit.load_relaxed());
      const std::size_t free_slots = (limit - next) / span->elem_size;
      const std::size_t first = (next - span->start) / span->elem_size;
      f(*span, first, first + free_slots);
    });
  }

  /// Objects allocated from the current run of a class, not counted in the heap's books yet.
  std::size_t uncounted(SpanClass span_class) const {
    const Span* span = spans_[span_class];
    if (span == nullptr) return 0;
    return static_cast<std::size_t>(runs_[span_class].next.load_relaxed() -
                                    run_start_[span_class]) /
           span->elem_size;
  }
  /// Bytes counted in heap.heap_live that are in no run. World stopped.
  std::size_t allowance() const { return allowance_; }
  /// Whether it holds a span: whether its thread has allocated since the last flush.
  bool in_use() const {
    return used_.any_of([this](SpanClass c) { return spans_[c] != nullptr; });
  }
  std::uint64_t tiny_allocations() const { return tiny_allocations_.load_relaxed(); }

  /// Proportional sweeping: the thread allocates `bytes` and owes some of the sweep for that.
  void owe_sweep(std::size_t bytes);
  /// It has swept a span of so many bytes on its own behalf.
  void has_swept(std::size_t bytes) { sweep_debt_ -= static_cast<std::int64_t>(bytes); }
  /// Sweeps until what is owed is less than kLeastSweep.
  void pay_sweep_debt();

  std::uint32_t shard = 0;                ///< of the central lists; const after Heap::add_cache()
  PageCache pages;                        ///< what new spans are made of
  std::uint32_t touched_records = 0;      ///< about how many new spans' records have memory
  UnpublishedRun* unpublished = nullptr;  ///< the newest (unpublished.h)
  ThreadCache* next_cache = nullptr;      ///< the heap's list of caches; guard: heap lock
  ThreadCache* previous_cache = nullptr;  ///< likewise

 private:
  GORT_NOINLINE void* refill_and_allocate(SpanClass span_class, std::size_t size);
  // Makes the class's run hold at least one slot; false if there is no memory. What is thrown then
  // must be thrown behind the slow path: to make an exception takes malloc, and a thread that was
  // stopped by signal, for a stop that waits for the end of the slow path, may have its lock.
  bool refill(SpanClass span_class);
  // Installs the next run of free slots of the held span; false if it has none.
  bool next_run(SpanClass span_class);
  // Counts the run's objects and frees its slots but for the first `kept` unused ones.
  void end_run(SpanClass span_class, std::size_t kept = 0);
  void give_back(SpanClass span_class);
  void give_back_the_rest();

  Run runs_[kSpanClassCount] = {};
  Span* spans_[kSpanClassCount] = {};
  char* run_start_[kSpanClassCount] = {};
  SpanClassSet used_;  // at least the classes with a span or a run

  Atomic<char*> tiny_block_{nullptr};  ///< 16-byte block that tiny objects come from
  std::size_t allowance_ = 0;          ///< counted in heap.heap_live, not handed out
  std::int64_t sweep_debt_ = 0;        ///< bytes of spans; a flush forgives it
  std::size_t tiny_used_ = 0;          ///< bytes of tiny_block_ that are taken
  Atomic<std::uint64_t> tiny_allocations_{0};
};

extern GORT_API ThreadCache unattached_cache;
/// The calling thread's cache; &unattached_cache while it has none.
extern GORT_API constinit GORT_TLS ThreadCache* thread_cache;

}  // namespace gort::alloc
