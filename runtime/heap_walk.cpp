#include <gort/runtime/heap_walk.h>

#include <algorithm>

namespace gort {

namespace {

template <class F>
void for_each_cached_span(F&& f) {
  alloc::heap.for_each_cache([&f](const alloc::ThreadCache& cache) { cache.for_each_span(f); });
}

}  // namespace

HeapWalk::HeapWalk() {
  std::size_t count = 1;  // also of none there is a table
  for_each_cached_span([&count](const alloc::Span&, std::size_t, std::size_t) { ++count; });
  tails_ = static_cast<Tail*>(metadata::try_allocate(count * sizeof(Tail)));
  if (tails_ == nullptr) return;
  for_each_cached_span([this](const alloc::Span& span, std::size_t first, std::size_t end) {
    tails_[count_++] = {&span, first, end};
  });
  std::sort(tails_, tails_ + count_, [](const Tail& a, const Tail& b) { return a.span < b.span; });
}

HeapWalk::Tail HeapWalk::tail_of(const alloc::Span& span) const {
  const Tail* const first = tails_;
  const Tail* const end = first + count_;
  const Tail* const at = std::lower_bound(
      first, end, &span, [](const Tail& t, const alloc::Span* s) { return t.span < s; });
  return at != end && at->span == &span ? *at : Tail{};
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
