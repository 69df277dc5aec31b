#pragma once

// A marker: marks objects and looks at their references, together with other markers.
//
//     white   alloc bit set, mark bit clear: not reached yet
//     grey    marked, in some marker's window or block, or in the pool: its references have not
//             been looked at
//     black   marked, and everything it referred to when it was looked at is marked
//
// A heap is larger than the caches, and references lead anywhere in it. So a reference is followed
// in steps, each of which asks for the memory that the next one needs, and waits in a short ring
// until that has arrived:
//
//     found     its span's record is on the way      (the page table is small enough for a cache)
//     located   the word with its mark bit
//     window    marked now, so grey; the object itself
//
// (Cher, Hosking, Vitek, "Software prefetching for mark-sweep garbage collection", ASPLOS 2004,
// have the last of these, as have OCaml's and Boehm's markers. The first two matter as much here:
// setting a bit is a locked instruction, behind which no later load begins.) What does not fit in
// the window goes to a block of grey objects, and from there to the pool. Objects without
// references become black at once and are never queued. Figures: docs/decisions.md.
//
// Large objects are scanned in pieces of kPiece bytes, so that no scan takes long, several markers
// can share one, and what a piece makes grey fits in one block: an array of references is walked
// with 4 KiB of grey objects on the way, not with twice its own size.
//
// Two markers may meet at one object: span.mark() lets one of them win. Mutators may write the
// words that a marker reads: words are read atomically, and whichever value a marker sees, the
// other is recorded by the barrier or was stored during the cycle (barrier.h).
//
// Guard: one thread at a time. A thread must not park with a marker that holds grey objects, except
// the collector's own; publish() hands them to the pool.

#include <cstddef>
#include <cstdint>

#include <gort/alloc/arena.h>
#include <gort/alloc/span.h>
#include <gort/base/config.h>
#include <gort/gc/mark_pool.h>
#include <gort/gc/scan.h>

namespace gort::gc {

class Marker {
 public:
  explicit Marker(MarkPool& pool) : pool_(pool) {}
  Marker(const Marker&) = delete;
  Marker& operator=(const Marker&) = delete;
  ~Marker();

  /// Marks what `address` points at (anywhere inside an object), if it is an object; queues it.
  void mark_address(std::uintptr_t address);
  /// Treats every aligned word of [low, high) as an address.
  void mark_range(const char* low, const char* high);
  /// Scans until `budget` bytes have been looked at or there is nothing grey here and in the pool.
  /// True if there is more to do.
  bool drain(std::size_t budget);
  /// If the pool has nothing for others, gives it the older half of this marker's grey objects: in
  /// a tree those are the roots of the larger parts.
  void share();
  /// Scans every marked object again, for grey ones that were dropped. World stopped.
  void rescan_heap();
  /// Since the numbers were published.
  std::size_t objects_marked() const { return objects_marked_; }
  std::size_t bytes_scanned() const { return bytes_scanned_; }
  /// Forgets all grey objects, and what was done.
  void discard();
  /// From now on blocks that get full stay with this marker, until publish(): where each marker
  /// has work of its own, the pool would mix it (small_cycle.cpp).
  void keep_full_blocks() { keeps_full_ = true; }
  struct Done {
    std::size_t marked = 0;   ///< bytes
    std::size_t scanned = 0;  ///< bytes
  };
  /// Adds what was done since the last time to the pool's numbers.
  Done publish_numbers();
  /// The same, and hands all grey objects to the pool.
  void publish();

 private:
  static constexpr std::size_t kPiece = std::size_t{2} << 10;

  // A reference out of an object: it leads into an object, or nowhere.
  struct Found {
    const alloc::Span* span = nullptr;
    std::uintptr_t address = 0;
  };
  template <class T, std::size_t kCapacity>
  class Ring {
   public:
    bool empty() const { return size_ == 0; }
    bool full() const { return size_ == kCapacity; }
    void push(T entry) { entries_[(head_ + size_++) % kCapacity] = entry; }
    T pop() {
      const T oldest = entries_[head_];
      head_ = (head_ + 1) % kCapacity;
      --size_;
      return oldest;
    }
    /// The oldest, for one more. Of a full ring.
    T exchange(T entry) {
      const T oldest = entries_[head_];
      entries_[head_] = entry;
      head_ = (head_ + 1) % kCapacity;
      return oldest;
    }
    void clear() { size_ = 0; }

   private:
    static_assert((kCapacity & (kCapacity - 1)) == 0);
    T entries_[kCapacity] = {};
    std::size_t head_ = 0;
    std::size_t size_ = 0;
  };

  void visit(std::uintptr_t address);
  void locate(Found found);
  void mark(ObjectSlot object);
  /// Whatever is on its way is marked now.
  void settle();
  void queue(Grey grey);
  void push(Grey grey);
  bool pop(Grey& grey);
  void put_full(GreyBlock* block);
  GreyBlock* take_full();
  void scan(Grey grey);
  void scan_large(Grey grey);

  MarkPool& pool_;
  GreyBlock* block_ = nullptr;
  GreyBlock* full_ = nullptr;  // kept ones
  bool keeps_full_ = false;
  Ring<Found, 8> found_;
  Ring<ObjectSlot, 16> located_;
  Ring<Grey, 16> window_;
  std::size_t objects_marked_ = 0;
  std::size_t bytes_marked_ = 0;
  std::size_t bytes_scanned_ = 0;
};

}  // namespace gort::gc
