#include <gort/runtime/ledger.h>

#include <algorithm>
#include <new>

#include <gort/alloc/scavenger.h>
#include <gort/base/fatal.h>
#include <gort/base/metadata.h>
#include <gort/base/os.h>
#include <gort/gc/collector.h>
#include <gort/runtime/heap_walk.h>

namespace gort {
namespace {

void add_span(const HeapWalk& walk, const alloc::Span& span, Ledger& out) {
  const HeapWalk::Tally tally = walk.tally(span);
  out[Place::live] += tally.objects * span.elem_size;  // maps are taken out of it afterwards
  out.add(Reason::not_swept, tally.dead * span.elem_size);
  out.add(Reason::cached_by_thread, tally.cached * span.elem_size);
  out.add(span.in_cache ? Reason::span_in_cache : Reason::span_pinned, tally.free * span.elem_size);
  out[Place::span_waste] += span.waste();
}

void check(const Ledger& ledger) {
  GORT_CHECK(ledger.sum() == ledger.mapped, "the places sum to {}, but {} bytes are mapped",
             ledger.sum(), ledger.mapped);
  std::array<std::size_t, kPlaceCount> by_reason{};
  for (std::size_t i = 0; i < kReasonCount; ++i) {
    by_reason[static_cast<std::size_t>(kReasons[i].place)] += ledger.why[i];
  }
  for (const ReasonInfo& reason : kReasons) {  // other places have none
    const Place place = reason.place;
    const std::size_t sum = by_reason[static_cast<std::size_t>(place)];
    GORT_CHECK(sum == ledger[place], "the reasons of {} sum to {}, the place to {}",
               place_name(place), sum, ledger[place]);
  }
}

// False if there is no memory for it.
bool walk_heap(Ledger& out) {
  const HeapWalk walk;
  if (!walk.made()) return false;
  alloc::heap.for_each_span([&](const alloc::Span& span) { add_span(walk, span, out); });
  walk.for_each_map([&](const hashmap::Header* header, const hashmap::MapType& type) {
    hashmap::account(header, type, out);
  });
  out[Place::live] -= out[Place::map_live] + out[Place::map_dead];
  out[Place::live] += alloc::heap.unpublished_bytes();

  {
    // The scavenger does not stop with the world: all page counts at one moment.
    const alloc::PageAllocator& pages = alloc::heap.pages;
    LockGuard guard(pages.lock);
    const std::size_t too_small = pages.idle_too_small();
    const std::size_t can_go = pages.idle() - too_small;
    const std::size_t above_goal = std::min(can_go, alloc::scavenger.excess());
    out.add(Reason::page_too_small, too_small);
    out.add(above_goal_reason(), above_goal);
    out.add(Reason::scavenger_goal, can_go - above_goal);
    out[Place::returned] = pages.returned();
    out[Place::reserved] = pages.reserved();
  }
  // The walk's own table counts too: it exists at this moment.
  out[Place::metadata] = metadata::bytes();
  out.mapped = os::counts().mapped() + out[Place::metadata];  // read once: parked threads free some
  check(out);
  return true;
}

}  // namespace

Ledger ledger() {
  Ledger result;
  gc::require_started("ledger");
  gc::world.attach();
  bool walked = false;
  gc::with_world_stopped([&] { walked = walk_heap(result); });
  if (!walked) throw std::bad_alloc();
  return result;
}

}  // namespace gort
