#pragma once

// The central list of one span class: all its spans that no thread's cache holds.
//
//                       take (has free slots)                 take, swept on the way
//      partial swept ---------------------> thread cache <----------------- partial unswept
//      full swept    <--------------------- (no free slot)                  full unswept
//
// Spans sit in four stacks, partial/full x swept/unswept (Go's mcentral). "Full" means that no slot
// was free when the span was put there. When the sweep generation rises, the swept stacks become
// the unswept ones, which are empty by then, in two pointer moves.
//
// Ownership: whoever pops a span owns it until it is pushed again; that is all the exclusion
// sweeping needs.
//
// Guard: one lock a class (rank central). Nothing is done under it but moving a pointer.

#include <cstddef>

#include <gort/alloc/span.h>
#include <gort/base/lock.h>

namespace gort::alloc {

/// A stack of spans through Span::next. Guard: the owner's.
class SpanStack {
 public:
  bool empty() const { return head_ == nullptr; }
  void push(Span* span) {
    span->next = head_;
    head_ = span;
  }
  Span* pop() {
    Span* span = head_;
    if (span != nullptr) {
      head_ = span->next;
      span->next = nullptr;
    }
    return span;
  }
  /// Takes everything that `other` holds; this stack must be empty.
  void take_all(SpanStack& other) {
    head_ = other.head_;
    other.head_ = nullptr;
  }
  template <class F>
  void for_each(F&& f) const {
    for (Span* span = head_; span != nullptr; span = span->next) f(*span);
  }

 private:
  Span* head_ = nullptr;
};

// A cache line each: threads that refill different classes do not meet.
class alignas(64) CentralList {
 public:
  /// A swept span with at least one free slot (perhaps), or null.
  Span* pop_partial_swept() {
    LockGuard guard(lock_);
    return partial_swept_.pop();
  }
  /// A span that has not been swept since the last flip, partial ones first, or null.
  Span* pop_unswept() {
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
  void flip() {
    LockGuard guard(lock_);
    partial_unswept_.take_all(partial_swept_);
    full_unswept_.take_all(full_swept_);
  }
  bool has_unswept() {
    LockGuard guard(lock_);
    return !partial_unswept_.empty() || !full_unswept_.empty();
  }

 private:
  Lock lock_{LockRank::central};
  SpanStack partial_swept_ GORT_GUARDED_BY(lock_);
  SpanStack full_swept_ GORT_GUARDED_BY(lock_);
  SpanStack partial_unswept_ GORT_GUARDED_BY(lock_);
  SpanStack full_unswept_ GORT_GUARDED_BY(lock_);
};

}  // namespace gort::alloc
