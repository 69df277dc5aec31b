#pragma once

// Pages that a thread has taken for a span that nobody can see yet, while it zeroes them or makes
// the system put memory behind them. That takes long, so the world may stop meanwhile, and the
// process may fork:
//
//     used pages == pages of spans + free pages of caches + unpublished pages     (world stopped)
//
// A thread's are a list that begins in its cache, and whose links are on its stack: a signal's
// handler that allocates while its thread is in here puts its own in front. The child of a fork
// gives back those of the threads that are gone (Heap::drop_unpublished).
//
// Guard: made and ended by the thread in a slow path, or where no fork can come between (the page
// allocator's lock); read with the world stopped.

#include <gort/alloc/page_cache.h>
#include <gort/alloc/span.h>
#include <gort/alloc/thread_cache.h>

namespace gort::alloc {

/// Lives as long as the run is unpublished.
class UnpublishedRun {
 public:
  /// `span`: its record, if it has one.
  UnpublishedRun(ThreadCache& cache, const PageRun& run, Span* span)
      : cache_(cache), run_(run), span_(span), outer_(cache.unpublished) {
    cache.unpublished = this;
  }
  ~UnpublishedRun() { cache_.unpublished = outer_; }
  UnpublishedRun(const UnpublishedRun&) = delete;
  UnpublishedRun& operator=(const UnpublishedRun&) = delete;

  const PageRun& run() const { return run_; }
  Span* span() const { return span_; }
  UnpublishedRun* outer() const { return outer_; }

 private:
  ThreadCache& cache_;
  const PageRun run_;
  Span* const span_;
  UnpublishedRun* const outer_;
};

}  // namespace gort::alloc
