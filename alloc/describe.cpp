#include <gort/alloc/describe.h>

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

#include <gort/alloc/heap.h>
#include <gort/base/ledger.h>

namespace gort::alloc {
namespace {

template <class... Args>
AddressLine line(fmt::format_string<Args...> format, Args&&... args) {
  AddressLine out;
  const auto end =
      fmt::format_to_n(out.text.data(), out.text.size(), format, static_cast<Args&&>(args)...);
  out.length = std::min(end.size, out.text.size());
  return out;
}

std::string_view page_state(const Arena& arena, std::uintptr_t address) {
  const std::size_t page = (address - arena.start) >> kPageShift;
  LockGuard guard(heap.pages.lock);
  if (page >= arena.prepared) return place_name(Place::reserved);
  if (bits::test(arena.returned, page)) return place_name(Place::returned);
  return bits::test(arena.used, page) ? "a page that is taken, but of no span"
                                      : place_name(Place::page_free);
}

}  // namespace

AddressLine describe(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  const Arena* arena = arena_of(address);
  if (arena == nullptr) return line("{:#x}: not in the heap", address);
  const Span* span = span_of(address);
  if (span == nullptr) return line("{:#x}: {}", address, page_state(*arena, address));
  const std::uint32_t slot = span->slot_of_any(address);
  if (slot >= span->slot_count) {
    return line("{:#x}: {}, the tail of the span at {:#x}", address, place_name(Place::span_waste),
                span->start);
  }
  return line("{:#x}: offset {} in slot {} of {} bytes, {}, of the span at {:#x}", address,
              address - span->slot_start(slot), slot, span->elem_size,
              span->is_allocated(slot) ? "allocated" : place_name(Place::span_free), span->start);
}

}  // namespace gort::alloc
