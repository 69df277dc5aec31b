#include <gort/runtime/heap_walk.h>

#include <algorithm>

namespace gort {

HeapWalk::HeapWalk() {
  alloc::heap.for_each_cache([this](const alloc::ThreadCache& cache) {
    cache.for_each_span([this](const alloc::Span& span, std::size_t first, std::size_t end) {
      tails_.push_back({&span, first, end});
    });
  });
  std::sort(tails_.begin(), tails_.end(),
            [](const Tail& a, const Tail& b) { return a.span < b.span; });
}

HeapWalk::Tail HeapWalk::tail_of(const alloc::Span& span) const {
  const auto at = std::lower_bound(tails_.begin(), tails_.end(), &span,
                                   [](const Tail& t, const alloc::Span* s) { return t.span < s; });
  return at != tails_.end() && at->span == &span ? *at : Tail{};
}

HeapWalk::Tally HeapWalk::tally(const alloc::Span& span) const {
  Tally result;
  const std::size_t allocated = bits::count_range(span.alloc_bits, 0, span.slot_count);
  result.free = span.slot_count - allocated;
  if (span.sweepgen.load_relaxed() != alloc::heap.sweepgen()) {
    result.objects = bits::count_range(span.mark_bits, 0, span.slot_count);
    result.dead = allocated - result.objects;
    return result;
  }
  const Tail tail = span.in_cache ? tail_of(span) : Tail{};
  result.cached = tail.end - tail.first;
  result.objects = allocated - result.cached;
  return result;
}

}  // namespace gort
