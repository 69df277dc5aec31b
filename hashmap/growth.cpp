#include <gort/hashmap/growth.h>

#include <algorithm>
#include <new>

#include <gort/base/atomic.h>
#include <gort/base/fatal.h>
#include <gort/base/units.h>
#include <gort/base/zero.h>
#include <gort/gc/allocate.h>
#include <gort/gc/ref.h>
#include <gort/hashmap/pin.h>
#include <gort/hashmap/rules.h>
#include <gort/hashmap/writing.h>

namespace gort::hashmap {
namespace {

// From this size on an array gets spare overflow buckets: for smaller ones they are too unlikely.
constexpr std::uint8_t kFirstBWithSpares = 4;
constexpr std::size_t kMarkStep = 1024;
// Entries of the old array's list that the wipe of one chain looks at.
constexpr std::size_t kWipeStep = 8;

constexpr std::uint64_t kFirstWord = 1;  // bit map: word 0 is a reference
constexpr std::uint64_t kAllExtraWords = 0b111;

gc::LayoutId extra_layout() {
  static constinit Atomic<gc::LayoutId> known{gc::kNoReferences};
  return gc::detail::known_or_interned(known, sizeof(Extra), &kAllExtraWords,
                                       "gort::hashmap::Extra");
}
gc::LayoutId list_layout() {
  static constinit Atomic<gc::LayoutId> known{gc::kNoReferences};
  return gc::detail::known_or_interned(known, sizeof(OverflowList), &kFirstWord,
                                       "gort::hashmap::OverflowList");
}
gc::LayoutId entries_layout() { return gc::layout_id<Ref<void>>(); }

std::uint32_t random_seed_32() { return static_cast<std::uint32_t>(random_bits()); }

// Sets a reference word that is null, unless another thread was faster. Nothing is overwritten, so
// the write barrier has nothing to record.
void set_once(void*& word, void* target) {
  void* expected = nullptr;
  AtomicRef<void*>(word).cas_acq_rel(expected, target);
}

Extra& require_extra(Header& map) {
  const AtomicRef<void*> word(map.extra_word);
  if (word.load_acquire() == nullptr) {
    set_once(map.extra_word, gc::allocate(sizeof(Extra), extra_layout()));
  }
  return *static_cast<Extra*>(word.load_acquire());
}

// How many buckets an array of 2^B has with its spares, under the rules in force.
std::size_t buckets_with_spares(const MapType& type, std::uint8_t log2_buckets) {
  const std::size_t base = std::size_t{1} << log2_buckets;
  if (log2_buckets < kFirstBWithSpares) return base;
  const std::size_t wanted = (base + (base >> kFirstBWithSpares)) * type.shape.bucket_size;
  // Rounding gives whole buckets only where it changed something; a wanted number always fits.
  return round_up_size(wanted, type.shape.pointer_free) / type.shape.bucket_size;
}

// Marks the spare buckets of an array of zeroed memory: the last one's overflow word is not null,
// which is how it is recognised. Returns the first spare bucket; null if there is none.
char* set_up_spares(const MapType& type, void* array, std::size_t base, std::size_t total) {
  if (total <= base) return nullptr;
  type.set_overflow(type.bucket(array, total - 1), array);
  return type.bucket(array, base);
}

struct NewArray {
  void* array;
  char* next_overflow;
};
NewArray make_array(const MapType& type, std::uint8_t log2_buckets) {
  const std::size_t total = buckets_with_spares(type, log2_buckets);
  void* const array = gc::allocate(total * type.shape.bucket_size, type.bucket_layout);
  return {array, set_up_spares(type, array, std::size_t{1} << log2_buckets, total)};
}

void count_overflow_bucket(Header& map) {
  if (map.B < kFirstBEstimated) {
    ++map.noverflow;
    return;
  }
  // Counts with probability 2^-(B-15), so that the count fits 16 bits.
  const std::uint32_t mask = (std::uint32_t{1} << (map.B - 15)) - 1;
  if ((static_cast<std::uint32_t>(random_bits()) & mask) == 0) ++map.noverflow;
}

// Room for one more entry, by the rule of Go's append: double up to 256, then a quarter more plus
// 192, rounded up to the block size.
void reserve_list_entry(OverflowList& list) {
  if (list.length < list.capacity) return;
  constexpr long kDoubleBelow = 256;
  long capacity = list.capacity;
  if (capacity == 0) {
    capacity = 1;
  } else if (capacity < kDoubleBelow) {
    capacity *= 2;
  } else {
    capacity += (capacity + 3 * kDoubleBelow) / 4;
  }
  const std::size_t bytes = round_up_size(static_cast<std::size_t>(capacity) * kWordSize, false);
  auto* entries = static_cast<void**>(gc::allocate(bytes, entries_layout()));
  for (long i = 0; i < list.length; ++i) gc::init_reference(&entries[i], list.entries()[i]);
  gc::write_reference(&list.array, entries);
  list.capacity = static_cast<long>(bytes / kWordSize);
}

// Every cell of every chain of the array becomes "empty, and nothing behind": for iterators that
// still walk it.
void mark_chains_empty(const MapType& type, void* array, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    for (char* b = type.bucket(array, i); b != nullptr; b = type.overflow(b)) Tops(0).store(b);
  }
}

void zero_array(const MapType& type, void* array, std::size_t bytes) {
  if (type.shape.pointer_free) {
    zero_piece(array, bytes, bytes);
  } else {
    gc::clear_references(array, bytes);
  }
}

}  // namespace

std::size_t usable_hint(const MapType& type, std::size_t hint) {
  constexpr std::size_t kAddressSpace = std::size_t{1} << 48;
  return hint > kAddressSpace / type.shape.bucket_size ? 0 : hint;
}

Header* new_map(const MapType& type, std::size_t hint) {
  const std::uint8_t log2_buckets = smallest_log2(usable_hint(type, hint));
  auto* map = static_cast<Header*>(gc::allocate(sizeof(Header), type.header_layout));
  map->B = log2_buckets;
  map->hash0 = random_seed_32();
  if (log2_buckets > 0) {
    const Pin pin(map);
    const NewArray made = make_array(type, log2_buckets);
    gc::write_reference(&map->buckets, made.array);
    if (made.next_overflow != nullptr) {
      gc::write_reference(&require_extra(*map).next_overflow, made.next_overflow);
    }
  }
  return map;
}

void add_first_bucket(Header& map, const MapType& type) {
  gc::write_reference(&map.buckets, gc::allocate(type.shape.bucket_size, type.bucket_layout));
}

void create_overflow_list(Header& map) {
  Extra& extra = require_extra(map);
  if (AtomicRef<void*>(extra.overflow).load_acquire() != nullptr) return;
  set_once(extra.overflow, gc::allocate(sizeof(OverflowList), list_layout()));
}

char* add_overflow_bucket(Header& map, const MapType& type, char* bucket) {
  if (type.shape.pointer_free) {
    create_overflow_list(map);
    reserve_list_entry(*map.extra()->list());
  }
  Extra* const extra = map.extra();
  char* added = nullptr;
  if (extra != nullptr && extra->next_overflow != nullptr) {
    added = static_cast<char*>(extra->next_overflow);
    if (type.overflow(added) == nullptr) {
      gc::write_reference(&extra->next_overflow, added + type.shape.bucket_size);
    } else {
      // The last spare bucket; its word is the mark of the end.
      type.set_overflow(added, nullptr);
      gc::write_reference(&extra->next_overflow, nullptr);
    }
  } else {
    added = static_cast<char*>(gc::allocate(type.shape.bucket_size, type.bucket_layout));
  }
  count_overflow_bucket(map);
  if (type.shape.pointer_free) {
    OverflowList& list = *extra->list();
    gc::init_reference(&list.entries()[list.length], added);
    ++list.length;
  }
  type.set_overflow(bucket, added);
  return added;
}

void start_growth(Header& map, const MapType& type) {
  const bool bigger = static_cast<std::size_t>(map.count) + 1 > load_limit(map.B);
  const auto log2_buckets = static_cast<std::uint8_t>(map.B + (bigger ? 1 : 0));
  Pin pin;
  pin.reserve();
  const NewArray made = make_array(type, log2_buckets);
  if (made.next_overflow != nullptr) {
    pin.hold(made.array);
    require_extra(map);
  }
  Extra* const extra = map.extra();
  if (extra != nullptr && extra->overflow != nullptr && extra->oldoverflow != nullptr) {
    go_fatal("oldoverflow is not nil");
  }

  const std::uint8_t flags = map.load_flags();
  auto kept = static_cast<std::uint8_t>(flags & ~(kIterator | kOldIterator));
  if ((flags & kIterator) != 0) kept |= kOldIterator;
  if (!bigger) kept |= kSameSize;
  gc::write_reference(&map.oldbuckets, map.buckets);
  gc::write_reference(&map.buckets, made.array);
  map.B = log2_buckets;
  map.store_flags(kept);
  map.nevacuate = 0;
  map.noverflow = 0;
  if (extra != nullptr) {
    if (extra->overflow != nullptr) {
      gc::write_reference(&extra->oldoverflow, extra->overflow);
      gc::write_reference(&extra->overflow, nullptr);
    }
    if (made.next_overflow != nullptr) {
      gc::write_reference(&extra->next_overflow, made.next_overflow);
    }
  }
}

void advance_evacuation_mark(Header& map, const MapType& type) {
  const std::size_t end = map.old_bucket_count();
  const std::size_t stop = std::min(map.nevacuate + 1 + kMarkStep, end);
  std::size_t mark = map.nevacuate + 1;
  while (mark != stop && Tops::load(type.bucket(map.oldbuckets, mark)).evacuated()) ++mark;
  map.nevacuate = mark;
  if (mark != end) return;
  gc::write_reference(&map.oldbuckets, nullptr);
  if (map.extra() != nullptr) gc::write_reference(&map.extra()->oldoverflow, nullptr);
  map.remove_flags(kSameSize);
}

void wipe_moved_chain(Header& map, const MapType& type, std::size_t number) {
  char* const head = type.bucket(map.oldbuckets, number);
  for (char* b = head; b != nullptr;) {
    char* const next = type.overflow(b);
    zero_array(type, b + kDataOffset, type.shape.bucket_size - kDataOffset);
    // Nobody looks at the overflow word of a pointer-free bucket that is on no chain: it says so.
    if (type.shape.pointer_free && b != head) type.set_overflow(b, b);
    b = next;
  }
  const OverflowList* const list =
      type.shape.pointer_free && map.extra() != nullptr ? map.extra()->old_list() : nullptr;
  if (list == nullptr || list->length == 0) return;
  // A few entries each time, another few the next: in the order of the chains this goes over the
  // list several times in a growth.
  const auto length = static_cast<std::size_t>(list->length);
  const std::size_t first = number * kWipeStep % length;
  for (std::size_t i = 0; i < std::min(length, kWipeStep); ++i) {
    void*& entry = list->entries()[(first + i) % length];
    if (entry != nullptr && type.overflow(entry) == entry) gc::write_reference(&entry, nullptr);
  }
}

namespace {

// The cleared array keeps its place, and an iterator that walks it holds the list from before: so
// the new list hangs on the old one, as its last entry, and lives as long as somebody holds that.
// (Go drops the list.) If there is no memory for that, the old list stays, with what is on it,
// until the next growth.
void renew_list(Extra& extra) {
  try {
    OverflowList& before = *extra.list();
    reserve_list_entry(before);
    void* const list = gc::allocate(sizeof(OverflowList), list_layout());
    gc::init_reference(&before.entries()[before.length], list);
    ++before.length;
    gc::write_reference(&extra.overflow, list);
  } catch (const std::bad_alloc&) {
  }
}

// Empties the map's array, and gives back its first spare bucket, or null. Spare buckets nobody has
// used are zero still, and perhaps have no memory yet: they and the mark of their end stay.
char* clear_array(const Header& map, const MapType& type) {
  auto* const array = static_cast<char*>(map.buckets);
  const Extra* const extra = map.extra();
  if (extra != nullptr && extra->next_overflow != nullptr) {
    const auto* const spare = static_cast<const char*>(extra->next_overflow);
    GORT_DCHECK(spare > array && spare < array + gc::block_size(array), "spare bucket elsewhere");
    zero_array(type, array, static_cast<std::size_t>(spare - array));
    return type.bucket(array, map.bucket_count());
  }
  // The rules may have changed since the array was made: its real size is what counts. (Above, what
  // was spare when it was made stays so.)
  const std::size_t room = gc::block_size(array) / type.shape.bucket_size;
  zero_array(type, array, room * type.shape.bucket_size);
  const std::size_t total = std::min(buckets_with_spares(type, map.B), room);
  return set_up_spares(type, array, map.bucket_count(), total);
}

}  // namespace

void reset_header(Header& map) {
  map.remove_flags(kSameSize);
  gc::write_reference(&map.oldbuckets, nullptr);  // a growth under way has ended
  map.nevacuate = 0;
  map.noverflow = 0;
  map.count = 0;
  map.hash0 = random_seed_32();
}

void clear_map(Header& map, const MapType& type) {
  if (map.count == 0) return;
  check_writable(map);
  WritingScope writing(map);

  // Only an iterator can tell the difference, and without these flags none walks the two arrays.
  if (clear_marks_cells() && (map.iterated() || map.old_iterated())) {
    mark_chains_empty(type, map.buckets, map.bucket_count());
    if (map.growing()) mark_chains_empty(type, map.oldbuckets, map.old_bucket_count());
  }
  reset_header(map);

  char* const spares = clear_array(map, type);
  if (Extra* const extra = map.extra(); extra != nullptr) {
    if (type.shape.pointer_free && map.iterated() && extra->overflow != nullptr) {
      renew_list(*extra);
    } else {
      gc::write_reference(&extra->overflow, nullptr);
    }
    gc::write_reference(&extra->oldoverflow, nullptr);
    gc::write_reference(&extra->next_overflow, spares);
  }
  writing.finish();
}

EvacuationUndo::EvacuationUndo(Header& map, const MapType& type, std::size_t old_bucket)
    : map_(map),
      type_(type),
      old_bucket_(old_bucket),
      next_overflow_(map.extra() == nullptr ? nullptr : map.extra()->next_overflow),
      list_length_(map.extra() == nullptr || map.extra()->overflow == nullptr
                       ? 0
                       : map.extra()->list()->length),
      noverflow_(map.noverflow) {}

void EvacuationUndo::clear_destination(char* head) {
  for (char* b = head; b != nullptr;) {
    char* const next = type_.overflow(b);
    zero_array(type_, b, type_.shape.bucket_size);
    b = next;
  }
}

namespace {

// A NaN came out of its evacuation with a new tophash. The old one is lost, but for the lowest bit,
// which said where to go; and loops under way may have gone by that already.
std::uint8_t nan_tophash(std::uint8_t drawn, std::uint8_t upper) {
  const auto top = static_cast<std::uint8_t>((drawn & ~1U) | upper);
  return is_live(top) ? top : static_cast<std::uint8_t>(kMinTop + 1);
}
static_assert(is_live(kMinTop + 1) && ((kMinTop + 1) & 1U) == 0);  // only an even one is too low

// Whether the key is no NaN. The undoing may be due to an exception, and a comparison that throws
// once may throw again, but nothing may leave a destructor: then it is taken for an ordinary key,
// which keeps its tophash.
bool equals_itself(const MapType& type, const void* key) {
  if ((type.shape.flags & kReflexiveKey) != 0) return true;
  try {
    return type.equal(key, key);
  } catch (...) {
    return true;
  }
}

}  // namespace

void EvacuationUndo::undo() {
  char* heads[2] = {type_.bucket(map_.buckets, old_bucket_), nullptr};
  if (!map_.same_size_growth()) {
    heads[1] = type_.bucket(map_.buckets, old_bucket_ + map_.old_bucket_count());
  }
  // Moved cells get their tophash back from where they went; first as if all empty cells had live
  // ones behind them.
  struct Cursor {
    char* bucket;
    std::size_t cell;
  } from[2] = {{heads[0], 0}, {heads[1], 0}};
  char* const old_head = type_.bucket(map_.oldbuckets, old_bucket_);
  char* last_live_bucket = nullptr;
  std::size_t last_live_cell = 0;
  for (char* b = old_head; b != nullptr; b = type_.overflow(b)) {
    for (std::size_t i = 0; i < kCells; ++i) {
      std::uint8_t& top = top_of(b, i);
      if (is_moved(top)) {
        const auto upper = static_cast<std::uint8_t>(top - kEvacuatedX);
        Cursor& at = from[upper];
        if (at.cell == kCells) at = {type_.overflow(at.bucket), 0};
        top = top_of(at.bucket, at.cell++);
        if (heads[1] != nullptr && !equals_itself(type_, type_.key(b, i))) {
          top = nan_tophash(top, upper);
        }
      } else if (!is_live(top)) {
        top = kEmptyOne;
      }
      if (is_live(top)) {
        last_live_bucket = b;
        last_live_cell = i;
      }
    }
  }
  bool behind = last_live_bucket == nullptr;
  for (char* b = old_head; b != nullptr; b = type_.overflow(b)) {
    for (std::size_t i = 0; i < kCells; ++i) {
      if (behind) top_of(b, i) = kEmptyRest;
      if (b == last_live_bucket && i == last_live_cell) behind = true;
    }
  }
  // The new chains become empty again, and their spare buckets spare. Spares are handed out in
  // order, so resetting the pointer is enough, but for the mark of the end if the last one was
  // used.
  Extra* const extra = map_.extra();
  char* const after_last = extra == nullptr ? nullptr : static_cast<char*>(extra->next_overflow);
  char* last_spare = nullptr;
  if (next_overflow_ != nullptr && after_last == nullptr) {
    for (char* head : heads) {
      for (char* b = head; b != nullptr; b = type_.overflow(b)) {
        const bool in_array = b >= next_overflow_ &&
                              b < static_cast<char*>(map_.buckets) + gc::block_size(map_.buckets);
        if (in_array) last_spare = std::max(last_spare, b);
      }
    }
  }
  for (char* head : heads) clear_destination(head);
  if (last_spare != nullptr) type_.set_overflow(last_spare, map_.buckets);
  if (extra != nullptr) {
    gc::write_reference(&extra->next_overflow, next_overflow_);
    if (OverflowList* const list = extra->list(); list != nullptr) {
      for (long i = list_length_; i < list->length; ++i) {
        gc::write_reference(&list->entries()[i], nullptr);
      }
      list->length = list_length_;
    }
  }
  map_.noverflow = noverflow_;
}

}  // namespace gort::hashmap
