#pragma once

// Walks over a heap at rest: which slots hold objects, and which of those are maps. Everything here
// needs the world stopped. (And what ledger() and where_is() must say alike of idle pages.)

#include <cstddef>

#include <gort/alloc/heap.h>
#include <gort/alloc/scavenger.h>
#include <gort/base/ledger.h>
#include <gort/base/metadata.h>
#include <gort/gc/layout.h>
#include <gort/hashmap/inspect.h>

namespace gort {

/// Why idle pages above the scavenger's goal (Scavenger::excess()) are still there.
inline Reason above_goal_reason() {
  return alloc::scavenger.started() ? Reason::scavenger_pace : Reason::scavenger_off;
}

/// What a slot holds.
enum class SlotState : std::uint8_t {
  free,              ///< nothing, and it is in no thread's run
  cached_by_thread,  ///< nothing; a thread's run will hand it out
  object,            ///< an object that is not known dead
  dead,              ///< an object that the last collection found dead, not swept yet
};

/// The heap as it was when the walk was made.
class HeapWalk {
 public:
  HeapWalk();
  HeapWalk(const HeapWalk&) = delete;
  HeapWalk& operator=(const HeapWalk&) = delete;
  ~HeapWalk() { metadata::release(tails_); }

  /// False if there was no memory for it: then it is good for nothing. Not an exception, which
  /// needs malloc: a stopped thread may hold its lock.
  bool made() const { return tails_ != nullptr; }

  SlotState state(const alloc::Span& span, std::size_t slot) const {
    if (!span.is_allocated(static_cast<std::uint32_t>(slot))) return SlotState::free;
    if (span.in_cache) {
      const Tail tail = tail_of(span);
      if (slot >= tail.first && slot < tail.end) return SlotState::cached_by_thread;
    }
    const bool unswept = span.sweepgen.load_relaxed() != alloc::heap.sweepgen();
    return unswept && !span.is_marked(static_cast<std::uint32_t>(slot)) ? SlotState::dead
                                                                        : SlotState::object;
  }

  /// Slots of a span by state.
  struct Tally {
    std::size_t free = 0, cached = 0, objects = 0, dead = 0;
  };
  Tally tally(const alloc::Span& span) const;

  /// Calls `f(header, map_type)` for every map that is not known dead.
  template <class F>
  void for_each_map(F&& f) const {
    alloc::heap.for_each_span([&](const alloc::Span& span) {
      // Map headers are the only objects with a layout of this kind, and they are described.
      if (span.slot_tags == nullptr || span.elem_size != sizeof(hashmap::Header)) return;
      for (std::uint32_t slot = 0; slot < span.slot_count; ++slot) {
        if (state(span, slot) != SlotState::object) continue;
        const alloc::Tag tag = span.tag_of(slot);
        if (tag == gc::kNoReferences) continue;
        const gc::Layout& layout = gc::layout(tag);
        if (layout.kind != gc::LayoutKind::map_header) continue;
        f(reinterpret_cast<const hashmap::Header*>(span.slot_start(slot)),
          *static_cast<const hashmap::MapType*>(layout.info));
      }
    });
  }

 private:
  struct Tail {
    const alloc::Span* span = nullptr;
    std::size_t first = 0;
    std::size_t end = 0;
  };
  Tail tail_of(const alloc::Span& span) const;

  Tail* tails_ = nullptr;  // by span address; one entry a span that a cache holds
  std::size_t count_ = 0;
};

}  // namespace gort
