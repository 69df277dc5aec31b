#pragma once

// The marker: from the roots, sets the mark bit of every reachable object.
//
//     white   alloc bit set, mark bit clear: not reached yet
//     grey    marked, in the window or on the stack: its references have not been looked at
//     black   marked, and everything it refers to is marked
//
// Objects without references become black at once and are never queued. The others wait in a short
// window (a ring) between discovery and scanning, and their memory is prefetched when they enter
// it, so that it has arrived when they leave (Cher, Hosking, Vitek, "Software prefetching for
// mark-sweep garbage collection", ASPLOS 2004; OCaml's and Boehm's markers do the same). What does
// not fit in the window goes on a stack.
//
// If the stack cannot grow, because there is no memory, the object is dropped from the queue and
// `overflowed_` remembers it; marking then ends with walks over all marked objects that look for
// white children, until none is found. Slow, but it needs no memory and always ends.
//
// Guard: one marker, one thread; the world is stopped.

#include <cstddef>
#include <cstdint>

#include <gort/alloc/arena.h>
#include <gort/alloc/span.h>
#include <gort/base/config.h>
#include <gort/base/metadata.h>

namespace gort::gc {

class Marker {
 public:
  /// Marks what `address` points at (anywhere inside an object), if it is an object; queues it.
  void mark_address(std::uintptr_t address);
  /// Treats every aligned word of [low, high) as an address.
  void mark_range(const char* low, const char* high);
  /// Scans until nothing is grey.
  void drain();

  std::size_t objects_marked() const { return objects_marked_; }
  std::size_t bytes_marked() const { return bytes_marked_; }
  std::size_t bytes_scanned() const { return bytes_scanned_; }

 private:
  struct Grey {
    std::uintptr_t start = 0;
    const alloc::Span* span = nullptr;
  };
  static constexpr std::size_t kWindow = 16;  // power of two

  void visit(std::uintptr_t address);
  void queue(Grey grey);
  void push(Grey grey);
  void scan(Grey grey);
  void drain_window();
  void rescan_heap();

  Grey window_[kWindow] = {};
  std::size_t window_head_ = 0;  // next to leave
  std::size_t window_size_ = 0;
  metadata::Vector<Grey> stack_;
  bool overflowed_ = false;
  std::size_t objects_marked_ = 0;
  std::size_t bytes_marked_ = 0;
  std::size_t bytes_scanned_ = 0;
};

}  // namespace gort::gc
