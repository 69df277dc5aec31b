// The part of a cycle that deals with what has died: between the moment when nothing is grey and
// the flip of the sweep generation.

#include <gort/base/counters.h>
#include <gort/gc/cycle.h>
#include <gort/gc/weak.h>

namespace gort::gc {

void Cycle::look_for_dead() {
  weak_slots.find_suspects([this] { world.poll(self_); });
}

bool Cycle::begin_dying() {
  // Grey objects that were dropped for want of memory: only now is nothing grey.
  if (mark_pool.overflowed.load_relaxed()) counters.mark_overflows.fetch_add_relaxed(1);
  while (mark_pool.overflowed.load_relaxed()) {
    mark_pool.overflowed.store_relaxed(false);
    marker_.rescan_heap();
  }
  weak_slots.clear_dead();
  return false;
}

void Cycle::mark_dying() {}

}  // namespace gort::gc
