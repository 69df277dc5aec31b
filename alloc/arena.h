#pragma once

// Arenas and the way from an address to its span.
//
// The heap lies in one window of address space, [window.base, window.base + kWindowSize). Arenas of
// 64 MiB are reserved in it one after another as the heap grows; a place in the window where
// somebody else's mapping lies is skipped. So the page table of an address is a shift and one load
// from a table of 65,536 pointers (in .bss: untouched parts of it take no memory), and its span one
// more load:
//
//     span_of(p) == page_tables[(p - base) >> 26][((p - base) >> 13) & 8191]
//
// An arena gets its page table (64 KiB) when a run of pages is taken that does not cover it from
// end to end. Until then it belongs as a whole to one span or to none, and the record says which:
// a huge object costs neither a store nor eight bytes of metadata a page.
//
// The window itself is no mapping. Its base is chosen at the first growth: the first of Go's hints,
// 0x00c0_0000_0000 + i * 2^40, where an arena can be reserved; else below an address of the
// kernel's choice. Only arenas count against the process's limit on address space.
//
// An arena's memory is prepared from its start, in chunks of 4 MiB; pages at or above `prepared`
// are reserved address space. Only the last arena has such pages. Every prepared page is in one
// state:
//     used bit   returned bit
//        1            0        in a span, or in a thread's page cache, or just being given back
//        0            0        idle, resident
//        0            1        idle, nothing behind it: never used, or given back; reads as zero
// (1, 1) does not occur: allocation clears the returned bit. A returned page that has never been
// used has its `fresh` bit set as well:
//     fresh is a subset of returned is a subset of not used
//
// Guards. Entries of a page table are written by the page's owner and read by anybody (release,
// acquire), the tables of arenas and page tables likewise (they go away at shutdown only).
// huge_chunks is written with the heap lock held and read by anybody; touched_huge_pages belongs to
// who touches. Everything else: the heap lock.

#include <cstddef>
#include <cstdint>

#include <gort/alloc/config.h>
#include <gort/alloc/span.h>
#include <gort/base/atomic.h>
#include <gort/base/config.h>

namespace gort::alloc {

/// The span that a page belongs to; null: to none. Not an Atomic: page tables and records are
/// zeroed blocks, so nothing in them may need a constructor to run.
class PageOwner {
 public:
  Span* load_acquire() { return AtomicRef(span_).load_acquire(); }
  void store_release(Span* span) { AtomicRef(span_).store_release(span); }

 private:
  Span* span_;
};

struct Arena {
  std::uintptr_t start;  ///< const-after-init; kArenaSize aligned
  std::size_t index;     ///< const-after-init; place in the window
  std::size_t prepared;  ///< pages [0, prepared) are prepared; a multiple of kChunkPages
  std::uint64_t used[kArenaPages / 64];
  std::uint64_t returned[kArenaPages / 64];
  std::uint64_t fresh[kArenaPages / 64];
  /// Bit c: huge pages have been asked for behind chunk c since all of it was last returned, and
  /// nothing in it has been given back. Written with the heap lock held.
  Atomic<std::uint32_t> huge_chunks;
  /// Bit h: the h-th huge page has been touched before it was used (Heap::touch_huge_page). Of no
  /// meaning where there are none.
  Atomic<std::uint32_t> touched_huge_pages;
  Arena* next;      ///< while a growth has not published it yet
  PageOwner whole;  ///< as long as there is no page table: whose the whole arena is

  bool has_huge_pages(std::size_t chunk) const {
    return (huge_chunks.load_relaxed() >> chunk & 1) != 0;
  }
  /// The span of page `i`, or null.
  Span* span_of_page(std::size_t i);
};

struct Window {
  std::uintptr_t base = 0;             ///< 0 before the first growth, then constant
  Atomic<std::size_t> arena_limit{0};  ///< arenas at or above this index do not exist
  std::size_t places = 0;              ///< arenas that the window has room for; guard: heap lock
};

extern GORT_API Window window;
extern GORT_API Atomic<Arena*> arenas[kMaxArenas];
extern GORT_API Atomic<PageOwner*> page_tables[kMaxArenas];

/// span_of where there is no page table.
inline Span* owner_of_arena(std::size_t place) {
  Arena* arena = arenas[place].load_acquire();
  return arena == nullptr ? nullptr : arena->whole.load_acquire();
}

/// The span that `address` lies in; null for any address that is not in a page of a span: foreign
/// memory, idle pages, reserve. Safe for every bit pattern, from any thread, at any time.
GORT_ALWAYS_INLINE Span* span_of(std::uintptr_t address) {
  const std::uintptr_t offset = address - AtomicRef(window.base).load_relaxed();
  if (GORT_UNLIKELY(offset >= kWindowSize)) return nullptr;
  PageOwner* table = page_tables[offset >> kArenaShift].load_acquire();
  if (GORT_UNLIKELY(table == nullptr)) return owner_of_arena(offset >> kArenaShift);
  return table[(offset >> kPageShift) & (kArenaPages - 1)].load_acquire();
}
GORT_ALWAYS_INLINE Span* span_of(const void* address) {
  return span_of(reinterpret_cast<std::uintptr_t>(address));
}

inline Span* Arena::span_of_page(std::size_t i) { return span_of(start + (i << kPageShift)); }

/// The arena that `address` lies in, or null.
inline Arena* arena_of(std::uintptr_t address) {
  const std::uintptr_t offset = address - AtomicRef(window.base).load_relaxed();
  return offset >= kWindowSize ? nullptr : arenas[offset >> kArenaShift].load_acquire();
}

/// Makes `span` what span_of finds for these pages; null: nothing. For the owner of the pages,
/// which came as one run from the page allocator; what was set in one call must be cleared in one
/// call.
void set_span(std::uintptr_t start, Pages pages, Span* span);

// --- growth: for the page allocator alone, with the heap lock held -------------------------------

/// What to settle before the first growth. Written by nobody once the heap has started.
struct WindowOptions {
  std::size_t max_bytes = kWindowSize;  ///< the heap never grows beyond; a multiple of kArenaSize
  bool use_hints = true;                ///< false: go straight to an address of the kernel's choice
};
extern GORT_API WindowOptions window_options;

inline std::uintptr_t place_address(std::size_t place) { return window.base + place * kArenaSize; }

/// Chooses window.base. False if the system gives no address space at all.
bool choose_window();

enum class Outcome : std::uint8_t {
  done,
  occupied,  ///< somebody else's mapping lies there
  refused,   ///< the system gives no (or not so much) address space
};
struct Reservation {
  Outcome outcome;
  std::size_t place;  ///< if occupied: the place in the way
};
/// Reserves the address space of `count` consecutive arenas, all or nothing.
Reservation reserve_places(std::size_t place, std::size_t count);

/// Records for arenas at [place, place + count), linked by `next`; null if there is no memory.
Arena* make_arenas(std::size_t place, std::size_t count);
/// Makes page tables for the arenas that the run of `count` pages at `start` covers in part. False
/// if there is no memory.
bool have_page_tables(std::uintptr_t start, Pages count);
/// Takes back records that were never published.
void discard_arenas(Arena* first);
/// Makes them visible to span_of and everybody else.
void publish_arenas(Arena* first);

/// Gives back every arena's address space and record and forgets the window. Nobody may use the
/// heap any more, or hold an address in it.
void release_arenas();

}  // namespace gort::alloc
