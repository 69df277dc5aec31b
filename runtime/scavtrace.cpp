#include <gort/runtime/scavtrace.h>

#include <fmt/format.h>

#include <gort/alloc/heap.h>
#include <gort/alloc/scavenger.h>

namespace gort {
namespace {

Atomic<std::uint64_t> reported{0};  // of the scavenger's released_bytes

}  // namespace

std::string scavtrace_line(std::size_t released, std::size_t returned, std::size_t in_use,
                           std::size_t resident, bool forced) {
  const std::size_t percent = resident == 0 ? 0 : in_use * 100 / resident;
  return fmt::format("scav {} KiB work, {} KiB total, {}% util{}", released >> 10, returned >> 10,
                     percent, forced ? " (forced)" : "");
}

std::string scavtrace_line(std::size_t released, bool forced) {
  const alloc::PageAllocator& pages = alloc::heap.pages;
  return scavtrace_line(released, pages.returned(), alloc::heap.span_bytes(), pages.resident(),
                        forced);
}

std::size_t take_background_work() {
  const std::uint64_t now = alloc::scavenger.figures().released_bytes;
  return now - reported.exchange_acq_rel(now);
}

}  // namespace gort
