#pragma once

// The central list of one span class and one shard: spans that no thread's cache holds.
//
//                       take (has free slots)                 take, swept on the way
//      partial swept ---------------------> thread cache <----------------- partial unswept
//      full swept    <--------------------- (no free slot)                  full unswept
//
// Spans sit in four stacks, partial/full x swept/unswept (Go's mcentral). "Full" means that no slot
// was free when the span was put there. When the sweep generation rises, the swept stacks become
// the unswept ones, which are empty by then, in two pointer moves.
//
// Shards (base/shards.h). Every thread's cache has one of the lists of a class as its own: where
// its spans go back to, and where it looks first. So threads do not queue, and, which turned out to
// matter more, a thread gets back spans whose memory is in the caches of its processor: with one
// list for all, zeroing a run cost five times as much with two threads as with one. Before a new
// span is made the other shards are asked, so a span waits for nobody; that is also how spans find
// a new owner when their thread is gone.
//
// Ownership: whoever pops a span owns it until it is pushed again; that is all the exclusion
// sweeping needs.
//
// Guard: one lock a list (rank central). Nothing is done under it but moving a pointer. Whether a
// stack is empty can be asked without it; the answer may be old.

#include <cstddef>

#include <gort/alloc/span.h>
#include <gort/base/atomic.h>
#include <gort/base/lock.h>

namespace gort::alloc {

/// A stack of spans through Span::next. Guard: the owner's, but for empty().
class SpanStack {
 public:
  bool empty() const { return head_.load_relaxed() == nullptr; }
  void push(Span* span) {
    span->next = head_.load_relaxed();
    head_.store_relaxed(span);
  }
  Span* pop() {
    Span* span = head_.load_relaxed();
    if (span != nullptr) {
      head_.store_relaxed(span->next);
      span->next = nullptr;
    }
    return span;
  }
  /// Takes everything that `other` holds; this stack must be empty.
  void take_all(SpanStack& other) {
    head_.store_relaxed(other.head_.load_relaxed());
    other.head_.store_relaxed(nullptr);
  }
  template <class F>
  void for_each(F&& f) const {
    for (Span* span = head_.load_relaxed(); span != nullptr; span = span->next) f(*span);
  }

 private:
  Atomic<Span*> head_{nullptr};
};

// A cache line each: threads that refill different classes do not meet.
class alignas(64) CentralList {
 public:
  /// A swept span with at least one free slot (perhaps), or null.
  Span* pop_partial_swept() {
    if (partial_swept_.empty()) return nullptr;
    LockGuard guard(lock_);
    return partial_swept_.pop();
  }
  /// A span that has not been swept since the last flip, partial ones first, or null.
  Span* pop_unswept() {
    if (!has_unswept()) return nullptr;
    LockGuard guard(lock_);
    Span* span = partial_unswept_.pop();
    return span != nullptr ? span : full_unswept_.pop();
  }
  /// Puts a swept span where it belongs.
  void push_swept(Span* span) {
    LockGuard guard(lock_);
    (span->allocated < span->slot_count ? partial_swept_ : full_swept_).push(span);
  }
  /// The sweep generation has risen: every span here is unswept now. World stopped, sweep finished.
  /// has_unswept() then says whether there are any.
  void flip() {
    LockGuard guard(lock_);
    partial_unswept_.take_all(partial_swept_);
    full_unswept_.take_all(full_swept_);
  }
  bool has_unswept() const { return !partial_unswept_.empty() || !full_unswept_.empty(); }

 private:
  Lock lock_{LockRank::central};
  // guard: lock_, but for empty()
  SpanStack partial_swept_;
  SpanStack full_swept_;
  SpanStack partial_unswept_;
  SpanStack full_unswept_;
};

}  // namespace gort::alloc
