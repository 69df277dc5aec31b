#include <gort/runtime/mem_stats.h>

#include <gort/alloc/heap.h>
#include <gort/base/metadata.h>
#include <gort/gc/collector.h>

namespace gort {
namespace {

// Objects and bytes of every class, from the books and the runs that are still being used.
void add_objects(MemStats& out) {
  std::array<std::uint64_t, alloc::kSizeClassCount> allocated{};
  std::array<std::uint64_t, alloc::kSizeClassCount> freed{};
  const std::size_t limit = alloc::span_class_limit();
  for (std::size_t c = 2; c < limit; ++c) {
    const auto span_class = static_cast<alloc::SpanClass>(c);
    const std::size_t size_class = alloc::span_class_info(span_class).size_class;
    allocated[size_class] += alloc::heap.allocated_objects(span_class);
    freed[size_class] += alloc::heap.freed_objects(span_class);
    alloc::heap.for_each_cache([&](const alloc::ThreadCache& cache) {
      allocated[size_class] += cache.uncounted(span_class);
    });
  }
  std::uint64_t tiny = alloc::heap.tiny_allocations();
  alloc::heap.for_each_cache(
      [&tiny](const alloc::ThreadCache& cache) { tiny += cache.tiny_allocations(); });

  std::uint64_t freed_bytes = alloc::heap.large_freed_bytes();
  out.TotalAlloc = alloc::heap.large_allocated_bytes();
  for (const alloc::SpanClass large : {alloc::kLargeScan, alloc::kLargeNoscan}) {
    out.Mallocs += alloc::heap.allocated_objects(large);
    out.Frees += alloc::heap.freed_objects(large);
  }
  for (std::size_t c = 1; c < alloc::kSizeClassCount; ++c) {
    const std::size_t size = alloc::kSizeClasses[c].size;
    out.TotalAlloc += allocated[c] * size;
    freed_bytes += freed[c] * size;
    out.Mallocs += allocated[c];
    out.Frees += freed[c];
    if (c < out.BySize.size()) {
      out.BySize[c] = {static_cast<std::uint32_t>(size), allocated[c], freed[c]};
    }
  }
  // Go counts tiny objects as allocated and freed, and the blocks that hold them as objects.
  out.Mallocs += tiny;
  out.Frees += tiny;
  out.HeapAlloc = out.TotalAlloc - freed_bytes;
  out.Alloc = out.HeapAlloc;
  out.HeapObjects = out.Mallocs - out.Frees;
}

void add_memory(MemStats& out) {
  const alloc::PageAllocator& pages = alloc::heap.pages;
  LockGuard guard(pages.lock);  // the scavenger does not stop with the world
  out.HeapInuse = alloc::heap.span_bytes();
  out.HeapReleased = pages.returned();
  out.HeapSys = pages.used() + pages.idle() + pages.returned();
  out.HeapIdle = out.HeapSys - out.HeapInuse;
  out.OtherSys = metadata::bytes();
  out.Sys = out.HeapSys + out.OtherSys;
}

}  // namespace

MemStats mem_stats() {
  MemStats out;
  gc::require_started("mem_stats");
  gc::world.attach();
  gc::with_world_stopped([&out] {
    add_objects(out);
    add_memory(out);
  });
  const gc::CycleHistory history = gc::collector.history();
  out.NextGC = gc::collector.goal();
  out.LastGC = static_cast<std::uint64_t>(history.last.end_wall_ns);
  out.NumGC = static_cast<std::uint32_t>(history.cycles);
  out.NumForcedGC = static_cast<std::uint32_t>(history.forced_cycles);
  out.PauseTotalNs = history.stop_ns;
  out.PauseNs = history.pause_ns;
  out.PauseEnd = history.pause_end;
  out.GCCPUFraction = gc::collector.cpu_share();
  return out;
}

}  // namespace gort
