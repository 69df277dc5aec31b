#include <gort/runtime/where_is.h>

#include <new>

#include <gort/alloc/scavenger.h>
#include <gort/base/os.h>
#include <gort/gc/collector.h>
#include <gort/runtime/heap_walk.h>

namespace gort {
namespace {

void set_reason(Location& out, Reason reason) {
  out.reason = reason;
  out.place = kReasons[static_cast<std::size_t>(reason)].place;
}

// True if the whole page of the operating system that holds this one is idle and resident.
bool can_be_given_back(const alloc::Arena& arena, std::size_t page) {
  const std::size_t group = os::page_size() > kPageSize ? os::page_size() / kPageSize : 1;
  const std::size_t first = bits::align_down(page, group);
  return bits::count_range(arena.used, first, group) == 0 &&
         bits::count_range(arena.returned, first, group) == 0;
}

void locate_page(const alloc::Arena& arena, Location& out) {
  const std::size_t page = (out.address - arena.start) >> kPageShift;
  LockGuard guard(alloc::heap.pages.lock);  // the scavenger does not stop with the world
  if (page >= arena.prepared) {
    out.place = Place::reserved;
  } else if (bits::test(arena.returned, page)) {
    out.place = Place::returned;
  } else {
    set_reason(out, !can_be_given_back(arena, page) ? Reason::page_too_small
                    : alloc::heap.pages.releasable_above(out.address) >= alloc::scavenger.excess()
                        ? Reason::scavenger_goal
                        : above_goal_reason());
  }
}

// The place of a byte of a map's memory, by the rules of hashmap/inspect.h: the same as account()
// books it in.
void place_in_map(const hashmap::CellLocation& at, Location& out) {
  using hashmap::MapPart;
  const bool is_live = at.part == MapPart::header || at.part == MapPart::extra ||
                       at.part == MapPart::overflow_list || at.live() ||
                       (at.part == MapPart::overflow_word && at.live_in_bucket > 0);
  if (is_live) {
    out.place = Place::map_live;
  } else if (at.old_array) {
    set_reason(out, Reason::growth_stalled);
  } else if (at.part == MapPart::spare) {
    set_reason(out, Reason::spare_overflow);
  } else if (at.part == MapPart::rounding) {
    set_reason(out, Reason::array_rounding);
  } else if (at.position > 0 && at.live_in_bucket == 0) {
    set_reason(out, Reason::empty_overflow);
  } else {
    set_reason(out, Reason::dead_cells);
  }
}

void locate_in_maps(const HeapWalk& walk, Location& out) {
  const auto* address = reinterpret_cast<const void*>(out.address);
  walk.for_each_map([&](const hashmap::Header* header, const hashmap::MapType& type) {
    hashmap::CellLocation cell;
    if (!out.cell && hashmap::locate(header, type, address, cell)) out.cell = cell;
  });
  if (out.cell) place_in_map(*out.cell, out);
}

// The type's name goes to `type`, not into a string: with the world stopped a thread may be in the
// middle of malloc. False if there is no memory for a walk.
bool locate_in_span(const alloc::Span& span, Location& out, const char*& type) {
  const HeapWalk walk;
  if (!walk.made()) return false;
  const HeapWalk::Tally tally = walk.tally(span);
  out.span_start = span.start;
  out.span_pages = span.page_count;
  out.slot_size = span.elem_size;
  out.size_class = alloc::span_class_info(span.span_class).size_class;
  out.noscan = span.noscan;
  out.live_in_span = tally.objects;
  out.slots_in_span = span.slot_count;
  out.slot = span.slot_of_any(out.address);
  if (out.slot >= span.slot_count) {
    out.place = Place::span_waste;
    return true;
  }
  out.in_slot = true;
  out.slot_start = span.slot_start(static_cast<std::uint32_t>(out.slot));
  switch (walk.state(span, out.slot)) {
    case SlotState::free:
      set_reason(out, span.in_cache ? Reason::span_in_cache : Reason::span_pinned);
      return true;
    case SlotState::cached_by_thread:
      set_reason(out, Reason::cached_by_thread);
      return true;
    case SlotState::dead:
      set_reason(out, Reason::not_swept);
      break;
    case SlotState::object:
      out.place = Place::live;
      break;
  }
  const gc::LayoutId id = span.tag_of(static_cast<std::uint32_t>(out.slot));
  if (id != gc::kNoReferences) type = gc::layout(id).name;
  if (out.place == Place::live) locate_in_maps(walk, out);
  return true;
}

}  // namespace

Location where_is(const void* address) {
  Location out;
  out.address = reinterpret_cast<std::uintptr_t>(address);
  const char* type = "";
  gc::require_started("where_is");
  gc::world.attach();
  bool walked = true;
  gc::with_world_stopped([&] {
    const alloc::Arena* arena = alloc::arena_of(out.address);
    if (arena == nullptr) return;
    out.in_heap = true;
    const alloc::Span* span = alloc::span_of(out.address);
    if (span == nullptr) {
      locate_page(*arena, out);
    } else {
      walked = locate_in_span(*span, out, type);
    }
  });
  if (!walked) throw std::bad_alloc();
  out.type = type;
  return out;
}

std::string Location::text() const {
  if (!in_heap) return fmt::format("{:#x}: not in the heap", address);
  std::string out = fmt::format("{:#x}: {}", address, place_name(place));
  if (reason) {
    const ReasonInfo& info = kReasons[static_cast<std::size_t>(*reason)];
    out += fmt::format(" ({})\n  why: {}\n  what would move it: {}", info.name, info.what,
                       info.remedy);
  }
  if (span_start != 0) {
    const std::string kind =
        size_class == 0 ? std::string("large object") : fmt::format("size class {}", size_class);
    out += fmt::format("\n  span: {:#x}, {} pages, {}, {}, {} of {} slots hold objects", span_start,
                       span_pages, kind, noscan ? "no references" : "scanned", live_in_span,
                       slots_in_span);
  }
  if (in_slot) {
    out += fmt::format("\n  slot: {} at {:#x}, {} bytes, offset {}", slot, slot_start, slot_size,
                       address - slot_start);
  }
  if (!type.empty()) out += fmt::format("\n  type: {}, or one with the same layout", type);
  if (cell) out += fmt::format("\n  map: {}", cell->text());
  return out;
}

}  // namespace gort
