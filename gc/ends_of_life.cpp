// The part of a cycle that deals with what has died: between the moment when nothing is grey and
// the flip of the sweep generation.
//
//     look_for_dead    world running   where weak slots and records will have to be looked at
//     begin_dying      world stopped,  weak slots of white objects are cleared; white objects with
//                      nothing grey    a destructor are taken, and if there are any, marking goes
//                                      on; if there are none, cleanups of white objects are due
//     mark_dying       world running   marks what was taken and what that reaches
//
// In between, markers and barrier go on as before. Nobody can get hold of the objects that are
// being marked: nothing that is reachable refers to them, and the weak slots are clear. So the dead
// graph is traversed alone, and can be in any order; it is in depth-first order, because that gives
// an order to destroy in: an object is done when everything it reaches has been visited, and in the
// reverse order of being done, objects come before what they reach, if they are in no ring
// (Tarjan, "Depth-first search and linear graph algorithms", 1972). What hangs off an object of
// more than 1 MiB is left to the marker, with no order among it.
//
// The second time that begin_dying() is reached, no white object with a destructor is left: those
// that were white then are marked, and what is new since was born marked.

#include <algorithm>
#include <cstdint>
#include <optional>

#include <gort/base/counters.h>
#include <gort/base/metadata.h>
#include <gort/gc/cleanups.h>
#include <gort/gc/cycle.h>
#include <gort/gc/scan.h>
#include <gort/gc/weak.h>

namespace gort::gc {
namespace {

std::uintptr_t address_of(CleanupRecord* record) {
  return reinterpret_cast<std::uintptr_t>(record->target_now());
}

// Too much to look at between two polls.
constexpr std::size_t kLeftToMarker = std::size_t{1} << 20;

// One depth-first traversal of what dies. To begin and to end takes long if much dies, but only
// looks at records. No exception says that there is no memory: it needs malloc, and with the world
// stopped another thread may hold its lock.
class DeadGraph {
 public:
  explicit DeadGraph(CleanupRecord* dying) : order_(dying) {
    for (CleanupRecord* r = dying; r != nullptr; r = r->next) ++count_;
    doomed_ = static_cast<Doomed*>(metadata::try_allocate(count_ * sizeof(Doomed)));
    if (doomed_ == nullptr) return;
    Doomed* end = doomed_;
    for (CleanupRecord* r = dying; r != nullptr; r = r->next) *end++ = {r, false};
    std::sort(doomed_, end, [](const Doomed& a, const Doomed& b) {
      return address_of(a.record) < address_of(b.record);
    });
  }
  DeadGraph(const DeadGraph&) = delete;
  DeadGraph& operator=(const DeadGraph&) = delete;
  ~DeadGraph() {
    while (top_ != nullptr) drop_top();
    metadata::release(doomed_);
  }

  /// False if there is no memory for it; some is marked then, perhaps.
  template <class Poll>
  bool traverse(Marker& marker, Poll&& poll) {
    if (doomed_ == nullptr) return false;
    order_ = nullptr;
    for (std::size_t i = 0; i < count_ && !refused_; ++i) {
      if (++steps_ % 256 == 0) poll();
      if (doomed_[i].visited) continue;
      push({address_of(doomed_[i].record), nullptr});
      while (!empty() && !refused_) {
        const Entry entry = pop();
        if (entry.done != nullptr) {
          entry.done->next = order_;  // the last becomes the first
          order_ = entry.done;
        } else {
          visit(marker, entry.address);
        }
        if (++steps_ % 256 == 0) poll();
      }
    }
    return !refused_;
  }

  /// The records, in the order to run them; in any, if there was no memory.
  CleanupRecord* order() {
    if (refused_) {
      order_ = nullptr;
      for (std::size_t i = 0; i < count_; ++i) {
        doomed_[i].record->next = order_;
        order_ = doomed_[i].record;
      }
    }
    return order_;
  }

 private:
  struct Doomed {
    CleanupRecord* record;
    bool visited;
  };
  struct Entry {
    std::uintptr_t address;
    CleanupRecord* done;  // not an address: everything this one reaches has been visited
  };
  // A part of the stack, which is never copied when it grows. None is empty but perhaps the lowest.
  struct Block {
    static constexpr std::size_t kCapacity = 255;
    Block* below = nullptr;
    std::size_t count = 0;
    Entry entries[kCapacity];
  };

  bool empty() const { return top_ == nullptr || top_->count == 0; }
  void push(Entry entry) {
    if (top_ == nullptr || top_->count == Block::kCapacity) {
      auto* block = metadata::try_create<Block>();
      if (block == nullptr) {
        refused_ = true;
        return;
      }
      block->below = top_;
      top_ = block;
    }
    top_->entries[top_->count++] = entry;
  }
  Entry pop() {
    const Entry entry = top_->entries[--top_->count];
    if (top_->count == 0 && top_->below != nullptr) drop_top();
    return entry;
  }
  void drop_top() {
    Block* const block = top_;
    top_ = block->below;
    metadata::destroy(block);
  }

  void visit(Marker& marker, std::uintptr_t address) {
    const auto [span, slot] = object_at(address);
    if (span == nullptr) return;
    const std::uintptr_t start = span->slot_start(slot);
    Doomed* const doomed = find(start);
    if (doomed != nullptr) {
      // It may have been marked by way of a large object.
      if (doomed->visited) return;
      doomed->visited = true;
      push({0, doomed->record});
    }
    if (span->elem_size > kLeftToMarker) {
      marker.mark_address(start);
      return;
    }
    if (!span->mark(slot) && doomed == nullptr) return;
    mark_pool.objects_marked.fetch_add_relaxed(1);
    mark_pool.bytes_marked.fetch_add_relaxed(span->elem_size);
    if (span->noscan) return;
    for_each_reference(*span, start, [this](std::uintptr_t& word) {
      if (const std::uintptr_t child = AtomicRef(word).load_relaxed()) {
        push({child, nullptr});
      }
    });
  }

  Doomed* find(std::uintptr_t start) {
    Doomed* const end = doomed_ + count_;
    Doomed* const at = std::lower_bound(doomed_, end, start, [](const Doomed& d, std::uintptr_t a) {
      return address_of(d.record) < a;
    });
    return at != end && address_of(at->record) == start ? at : nullptr;
  }

  Doomed* doomed_ = nullptr;  // by address
  std::size_t count_ = 0;
  Block* top_ = nullptr;
  CleanupRecord* order_;
  std::size_t steps_ = 0;
  bool refused_ = false;
};

}  // namespace

void Cycle::look_for_dead() {
  const auto between = [this] { poll(); };
  weak_slots.find_suspects(between);
  watched_white_ = std::max(watched_white_, cleanups.find_suspects(between));
}

bool Cycle::begin_dying() {
  // Grey objects that were dropped for want of memory: only now is nothing grey.
  if (mark_pool.overflowed.load_relaxed()) counters.mark_overflows.fetch_add_relaxed(1);
  while (mark_pool.overflowed.load_relaxed()) {
    mark_pool.overflowed.store_relaxed(false);
    marker_.rescan_heap();
  }
  weak_slots.clear_dead();
  dying_ = cleanups.take_dying();
  if (dying_ != nullptr) return true;
  cleanups.take_dead();
  return false;
}

void Cycle::mark_dying() {
  if (dying_ == nullptr) return;
  CleanupRecord* order = nullptr;
  std::optional<DeadGraph> graph;
  parked([&] { graph.emplace(dying_); });
  const bool traversed = graph->traverse(marker_, [this] { poll(); });
  parked([&] {
    order = graph->order();
    graph.reset();
  });
  if (!traversed) {
    // What was marked and not looked at is found by a walk over the heap.
    for (CleanupRecord* r = order; r != nullptr; r = r->next) {
      marker_.mark_address(address_of(r));
      poll();
    }
    mark_pool.overflowed.store_relaxed(true);
  }
  dying_ = nullptr;
  drain();
  // With objects dropped, what the dying reach is not all marked yet: but kept by them, who are
  // roots from here on, until it is, and nothing is swept before.
  while (order != nullptr) {
    order = cleanups.enqueue(order);
    poll();
  }
}

}  // namespace gort::gc
