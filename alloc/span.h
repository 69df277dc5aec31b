#pragma once

// A span: consecutive pages, cut into slots of one size; the unit that is allocated from, marked,
// swept and given back. The record stands outside the pages (metadata memory), with the span's
// bitmaps right behind it, so nothing of the runtime's own is ever written into the heap.
//
//     | record | alloc bits | mark bits | slot tags (only some spans) |     one metadata block
//
// Bits, one per slot:
//   alloc bit  the slot holds an object, or belongs to the run that a thread's cache bumps through
//   mark bit   the collector has reached the object in this cycle
// Invariants:
//     allocated == number of alloc bits set                                         (when quiet)
//     slot_count * elem_size + waste() == pages * kPageSize
//     a mark bit is set only where the alloc bit is set                             (when quiet)
//     sweep: alloc bits := mark bits, mark bits := 0
//
// Sweep generation. The heap's sweepgen g rises by 2 at every mark termination. A span's own value
// relative to g says where it is (Go's mspan.sweepgen):
//     g - 2   must be swept before it is used
//     g - 1   is being swept by its owner
//     g       swept
// A span in a thread's cache is always at g: caches are flushed before g rises. A sweeper becomes
// the owner by popping the span from its central list, so no two can meet at one span; the value is
// there for readers (the ledger, where_is, the verifier) and for the checks of the sweeper itself.
//
// Guards. Fields marked const-after-init are written before the span is published in its arena's
// page table (release) and never again. The others belong to the span's *owner*: the thread whose
// cache holds it, or who popped it from its central list; with the world stopped, whoever stopped
// it. On a central list it has no owner. Markers run beside all of these: they read alloc bits and
// set mark bits, and nothing else; no span is swept or freed while they run.

#include <cstddef>
#include <cstdint>

#include <gort/alloc/size_class.h>
#include <gort/base/atomic.h>
#include <gort/base/bits.h>
#include <gort/base/units.h>

namespace gort::alloc {

/// What the collector wants to remember about a span or a slot; the allocator only carries it. 0 is
/// "nothing": memory without references.
using Tag = std::uint32_t;

struct Span {
  // const-after-init, but for the bits, whose owner swaps them when it sweeps. Markers look at what
  // comes first for each reference that they meet, and at nothing else: one cache line.
  std::uintptr_t start = 0;   ///< first byte; page aligned
  std::size_t elem_size = 0;  ///< bytes of a slot; of a large object: all pages
  std::uint64_t* mark_bits = nullptr;
  std::uint64_t* alloc_bits = nullptr;
  std::uint64_t reference_mask = 0;  ///< uniform spans of up to 64 words: bit w = word w refers
  std::uint32_t slot_count = 0;      ///< 1 for a large object
  std::uint32_t reciprocal = 0;      ///< for divide_by_size; 0 for a large object (one slot)
  Tag tag = 0;                       ///< of every slot, unless slot_tags is there
  std::uint32_t page_count = 0;
  std::uint16_t span_class = 0;  ///< index into the table of span classes (span_class.h)
  bool noscan = false;           ///< no slot holds references

  // owner's
  bool in_cache = false;  ///< a thread's cache holds it
  bool fresh = false;     ///< free slots have never been used and read as zero

  // const-after-init
  Tag* slot_tags = nullptr;  ///< one a slot, or null

  // shared, ordered by the sweep protocol above
  Atomic<std::uint32_t> sweepgen{0};

  // owner's
  std::uint32_t allocated = 0;    ///< alloc bits set
  std::uint32_t search_from = 0;  ///< slots below are known to be taken; where refill goes on

  // the list or set that holds the span (guard: that list's lock)
  Span* next = nullptr;

  Pages pages() const { return Pages(page_count); }
  std::size_t bytes() const { return pages().bytes(); }
  std::uintptr_t end() const { return start + bytes(); }
  std::size_t waste() const { return bytes() - elem_size * slot_count; }
  std::size_t bit_words() const { return bits::words_for(slot_count); }
  bool is_large() const { return reciprocal == 0; }

  /// The slot that `address` (inside the span) falls into; >= slot_count in the tail waste. Not for
  /// large objects.
  std::uint32_t slot_of(std::uintptr_t address) const {
    return divide_by_size(address - start, reciprocal);
  }
  /// The same, of a large object too.
  std::uint32_t slot_of_any(std::uintptr_t address) const {
    return is_large() ? 0 : slot_of(address);
  }
  std::uintptr_t slot_start(std::uint32_t slot) const { return start + slot * elem_size; }

  // The words of both bitmaps are read by markers while others write them, so every access to a
  // word is atomic. Alloc bits have one writer (the owner); mark bits have many.
  bool is_allocated(std::uint32_t slot) const {
    return (AtomicRef(alloc_bits[slot / 64]).load_acquire() >> (slot % 64) & 1) != 0;
  }
  bool is_marked(std::uint32_t slot) const {
    return (AtomicRef(mark_bits[slot / 64]).load_relaxed() >> (slot % 64) & 1) != 0;
  }
  /// Sets the mark bit; true if it was clear before: of all who try, one gets true. Looks first,
  /// because most references lead to marked objects and a locked instruction costs ten loads.
  bool mark(std::uint32_t slot) const {
    const std::uint64_t bit = std::uint64_t{1} << (slot % 64);
    const AtomicRef word(mark_bits[slot / 64]);
    return (word.load_relaxed() & bit) == 0 && (word.fetch_or_relaxed(bit) & bit) == 0;
  }
  void mark_range(std::size_t first, std::size_t count) const {
    bits::for_each_word(first, count, [this](std::size_t w, std::uint64_t mask) {
      AtomicRef(mark_bits[w]).fetch_or_relaxed(mask);
    });
  }
  void unmark_range(std::size_t first, std::size_t count) const {
    bits::for_each_word(first, count, [this](std::size_t w, std::uint64_t mask) {
      AtomicRef(mark_bits[w]).fetch_and_relaxed(~mask);
    });
  }
  void unmark_all() const {
    for (std::size_t w = 0; w < bit_words(); ++w) AtomicRef(mark_bits[w]).store_relaxed(0);
  }
  /// The owner's: alloc bits on and off. The release pairs with is_allocated(): a marker that sees
  /// the bit sees the mark that was set before it (thread_cache.h, "black").
  void set_allocated(std::size_t first, std::size_t count) const {
    bits::for_each_word(first, count, [this](std::size_t w, std::uint64_t mask) {
      AtomicRef(alloc_bits[w]).store_release(alloc_bits[w] | mask);
    });
  }
  void clear_allocated(std::size_t first, std::size_t count) const {
    bits::for_each_word(first, count, [this](std::size_t w, std::uint64_t mask) {
      AtomicRef(alloc_bits[w]).store_release(alloc_bits[w] & ~mask);
    });
  }
  Tag tag_of(std::uint32_t slot) const {
    return slot_tags == nullptr ? tag : AtomicRef(slot_tags[slot]).load_relaxed();
  }
};

// Nearly all of the runtime's own memory is these: with the bits of 128 slots, two cache lines.
static_assert(sizeof(Span) == 96);

}  // namespace gort::alloc
