#include <gort/hashmap/iterator.h>

#include <gort/base/atomic.h>

namespace gort::hashmap {

void start_iteration(IteratorState& state, Header& map, const MapType& type) {
  state.type = &type;
  state.map = &map;
  state.B = map.B;
  state.buckets = map.buckets;
  if (type.shape.pointer_free) {
    // Other readers may be making Extra and the list at this moment.
    create_overflow_list(map);
    auto* const extra = static_cast<Extra*>(AtomicRef<void*>(map.extra_word).load_acquire());
    state.overflow = AtomicRef<void*>(extra->overflow).load_acquire();
    state.oldoverflow = extra->oldoverflow;
  }
  constexpr std::uint8_t kNarrowUpTo = 28;  // 31 bits and 3 for the offset, before Go 1.22
  std::uint64_t r = random_bits();
  if (!iterators_start_wide() && map.B <= kNarrowUpTo) r = static_cast<std::uint32_t>(r);
  state.start_bucket = r & map.mask();
  state.offset = static_cast<std::uint8_t>(r >> map.B & (kCells - 1));
  state.next_bucket = state.start_bucket;
  // Several readers may do this at once.
  constexpr std::uint8_t kBoth = kIterator | kOldIterator;
  if ((map.load_flags() & kBoth) != kBoth) AtomicRef(map.flags).fetch_or_relaxed(kBoth);
}

}  // namespace gort::hashmap
