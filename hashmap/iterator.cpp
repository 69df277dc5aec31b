#include <gort/hashmap/iterator.h>

#include <gort/base/atomic.h>

namespace gort::hashmap {

void start_iteration(IteratorState& state, Header& map, const MapType& type) {
  state.type = &type;
  state.map = &map;
  state.B = map.B;
  state.hash0 = map.hash0;
  state.buckets = map.buckets;
  if (type.shape.pointer_free) {
    // Other readers may be making Extra and the list at this moment.
    create_overflow_list(map);
    auto* const extra = static_cast<Extra*>(AtomicRef<void*>(map.extra_word).load_acquire());
    state.overflow = AtomicRef<void*>(extra->overflow).load_acquire();
    state.oldoverflow = extra->oldoverflow;
  }
  const std::uint64_t r = random_bits();
  state.start_bucket = r & map.mask();
  state.offset = static_cast<std::uint8_t>(r >> map.B & (kCells - 1));
  state.next_bucket = state.start_bucket;
}

// Several readers may do this at once.
void IteratorMark::set(Header& map) {
  const AtomicRef flags(map.flags);
  std::uint8_t seen = flags.load_relaxed();
  while ((seen & kEagerWipe) != 0 && (seen & kIterators) != kIterators) {
    if (flags.cas_acq_rel(seen, static_cast<std::uint8_t>(seen + kOneIterator))) {
      counted_by_ = &map;
      return;
    }
  }
  constexpr std::uint8_t kBoth = kIterator | kOldIterator;
  if ((seen & kBoth) != kBoth) flags.fetch_or_relaxed(kBoth);
}

// Also while another thread writes: the loop was over, as far as its owner is concerned. The writer
// sets flags by plain stores, and one that falls between loses this; the map then counts an
// iterator too many for good, and wipes less.
void IteratorMark::take_back() {
  const AtomicRef flags(counted_by_->flags);
  std::uint8_t seen = flags.load_relaxed();
  while (!flags.cas_acq_rel(seen, static_cast<std::uint8_t>(seen - kOneIterator))) {
  }
}

}  // namespace gort::hashmap
