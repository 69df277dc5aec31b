#include <gort/alloc/arena.h>

#include <algorithm>

#include <gort/base/bits.h>
#include <gort/base/counters.h>
#include <gort/base/fatal.h>
#include <gort/base/metadata.h>
#include <gort/base/os.h>

namespace gort::alloc {

constinit Window window;
constinit Atomic<Arena*> arenas[kMaxArenas];
constinit Atomic<PageOwner*> page_tables[kMaxArenas];
constinit WindowOptions window_options;

namespace {

// Go's hints: addresses that are easy to tell from other data, are no valid UTF-8, and lie where
// nothing else is put by default. AddressSanitizer's shadow covers those up to i = 0x10; of
// ThreadSanitizer's three address ranges only the highest has hints in it, and every attempt
// elsewhere costs it dear.
constexpr std::uintptr_t kHintBase = std::uintptr_t{0xc0} << 32;
constexpr std::size_t kHintShift = 40;
constexpr std::uintptr_t kFirstHint = GORT_TSAN != 0 ? 0x7e : 0;
constexpr std::uintptr_t kLastHint = 0x7e;
// User addresses end here with four-level page tables, and without a hint above also with five.
constexpr std::uintptr_t kAddressEnd = std::uintptr_t{1} << 47;
// How far below an address of the kernel's choice the window may begin; tried in this order. The
// kernel places mappings downwards from the top, so there is more room below than above. A TiB
// below may be outside of ThreadSanitizer's highest range; it then forgets the address, and asks
// for 0.
constexpr std::size_t kRoomBelow[] = {std::size_t{1} << (GORT_TSAN != 0 ? 38 : 40),
                                      std::size_t{1} << 38, std::size_t{1} << 36,
                                      std::size_t{1} << 33, 0};

bool can_reserve(std::uintptr_t address) {
  void* p = os::reserve_at(address, kArenaSize);
  if (p == nullptr) return false;
  os::release(p, kArenaSize, os::From::reserved);
  return true;
}

// An address where an arena can be reserved; 0 if there is none.
std::uintptr_t find_base() {
  if (window_options.use_hints) {
    for (std::uintptr_t i = kFirstHint; i <= kLastHint; ++i) {
      const std::uintptr_t base = kHintBase | i << kHintShift;
      if (can_reserve(base)) return base;
    }
  }
  void* p = os::reserve(kArenaSize, kArenaSize);
  if (p == nullptr) return 0;
  os::release(p, kArenaSize, os::From::reserved);
  const auto chosen = reinterpret_cast<std::uintptr_t>(p);
  for (const std::size_t room : kRoomBelow) {
    if (room < chosen && can_reserve(chosen - room)) return chosen - room;
  }
  return 0;
}

}  // namespace

void set_span(std::uintptr_t start, Pages pages, Span* span) {
  for (std::size_t left = pages.count(); left > 0;) {
    const std::size_t place = (start - window.base) >> kArenaShift;
    const std::size_t first = ((start - window.base) >> kPageShift) & (kArenaPages - 1);
    const std::size_t here = std::min(left, kArenaPages - first);
    PageOwner* table = page_tables[place].load_relaxed();
    if (table == nullptr) {
      GORT_CHECK(here == kArenaPages, "arena {} has no page table", place);
      arenas[place].load_relaxed()->whole.store_release(span);
    } else {
      for (std::size_t i = 0; i < here; ++i) table[first + i].store_release(span);
    }
    start += here << kPageShift;
    left -= here;
  }
}

bool have_page_tables(std::uintptr_t start, Pages count) {
  const std::uintptr_t end = start + count.bytes();
  // Only the first and the last arena can be covered in part.
  for (const std::uintptr_t part : {start, end - 1}) {
    const std::size_t place = (part - window.base) >> kArenaShift;
    if (page_tables[place].load_relaxed() != nullptr) continue;
    Arena& arena = *arenas[place].load_relaxed();
    if (start <= arena.start && arena.start + kArenaSize <= end) continue;
    GORT_CHECK(arena.whole.load_acquire() == nullptr, "arena {} has pages to give and an owner",
               place);
    // Like the record, an array without constructors.
    auto* table = static_cast<PageOwner*>(
        metadata::try_allocate(kArenaPages * sizeof(PageOwner), alignof(PageOwner)));
    if (table == nullptr) return false;
    page_tables[place].store_release(table);
  }
  return true;
}

bool choose_window() {
  GORT_CHECK(window_options.max_bytes % kArenaSize == 0 && window_options.max_bytes <= kWindowSize,
             "a window of {} bytes", window_options.max_bytes);
  const std::uintptr_t base = find_base();
  if (base == 0) return false;
  const std::size_t room = std::min<std::size_t>(window_options.max_bytes, kAddressEnd - base);
  window.places = room / kArenaSize;
  AtomicRef(window.base).store_relaxed(base);
  return true;
}

Reservation reserve_places(std::size_t place, std::size_t count) {
  auto reserve = [](std::size_t first, std::size_t n) {
    return os::reserve_at(place_address(first), n * kArenaSize) != nullptr;
  };
  if (reserve(place, count)) return {Outcome::done, 0};
  // Something is in the way, or the system refuses. Bisect for the first place that cannot be had:
  // [place, place + have) is ours, [place + have, place + bad) is not to be had as a whole.
  std::size_t have = 0;
  for (std::size_t bad = count; bad - have > 1;) {
    const std::size_t middle = have + (bad - have) / 2;
    (reserve(place + have, middle - have) ? have : bad) = middle;
  }
  // Is it the place? Ask for as much anywhere, while we still hold what we have: a limit on address
  // space refuses that as well.
  void* elsewhere = os::reserve(kArenaSize, os::page_size());
  if (elsewhere != nullptr) os::release(elsewhere, kArenaSize, os::From::reserved);
  if (have > 0) {
    os::release(reinterpret_cast<void*>(place_address(place)), have * kArenaSize,
                os::From::reserved);
  }
  if (elsewhere == nullptr) return {Outcome::refused, 0};
  return {Outcome::occupied, place + have};
}

Arena* make_arenas(std::size_t place, std::size_t count) {
  Arena* first = nullptr;
  for (std::size_t i = place + count; i-- > place;) {
    // An aggregate without constructors: it begins to live, all zero, with the block.
    auto* arena = static_cast<Arena*>(metadata::try_allocate(sizeof(Arena), 64));
    if (arena == nullptr) {
      discard_arenas(first);
      return nullptr;
    }
    arena->start = place_address(i);
    arena->index = i;
    arena->next = first;
    first = arena;
  }
  return first;
}

void discard_arenas(Arena* first) {
  while (first != nullptr) {
    Arena* next = first->next;
    metadata::release(first);
    first = next;
  }
}

void publish_arenas(Arena* first) {
  while (first != nullptr) {
    Arena* next = first->next;
    first->next = nullptr;
    arenas[first->index].store_release(first);
    window.arena_limit.store_release(first->index + 1);
    counters.arenas_reserved.fetch_add_relaxed(1);
    first = next;
  }
}

void release_arenas() {
  const std::size_t limit = window.arena_limit.load_relaxed();
  for (std::size_t i = 0; i < limit; ++i) {
    Arena* arena = arenas[i].load_relaxed();
    if (arena == nullptr) continue;
    // The door wants a range in one state, so returned pages first join the others in its books.
    bits::for_each_run(arena->returned, kArenaPages, [arena](std::size_t first, std::size_t count) {
      os::commit(reinterpret_cast<void*>(arena->start + first * kPageSize), count * kPageSize);
    });
    const std::size_t prepared = arena->prepared * kPageSize;
    auto* start = reinterpret_cast<char*>(arena->start);
    if (prepared > 0) os::release(start, prepared, os::From::ready);
    if (prepared < kArenaSize) {
      os::release(start + prepared, kArenaSize - prepared, os::From::reserved);
    }
    arenas[i].store_release(nullptr);
    metadata::release(page_tables[i].exchange_acq_rel(nullptr));
    metadata::release(arena);
  }
  window.arena_limit.store_release(0);
  window.places = 0;
  AtomicRef(window.base).store_relaxed(0);
}

}  // namespace gort::alloc
