#pragma once

// The one list of counters. Every format that shows a counter is derived from it.
//
// Counters only ever rise. They are touched on slow paths alone (a refill, a span, a cycle), never
// once per object: numbers of objects come from pointer differences and bit counts. Written and
// read with relaxed order: each counter is true by itself, two of them are not one snapshot.

#include <cstdint>
#include <string_view>

#include <gort/base/config.h>
#include <gort/base/shards.h>

namespace gort {

/// X(name, unit, what is counted)
#define GORT_COUNTERS(X)                                                                          \
  X(refills, "refills", "runs of free slots handed to a thread's cache")                          \
  X(spans_allocated, "spans", "spans made from pages, small and large")                           \
  X(spans_freed, "spans", "spans whose pages went back to the page heap")                         \
  X(spans_swept, "spans", "spans swept")                                                          \
  X(arenas_reserved, "arenas", "64 MiB pieces of address space reserved")                         \
  X(prepared_bytes, "bytes", "heap bytes taken from the reserve")                                 \
  X(scavenged_bytes, "bytes", "heap bytes given back to the operating system, in total")          \
  X(scavenged_goal_bytes, "bytes", "of these: in the background, more than the next cycle needs") \
  X(scavenged_limit_bytes, "bytes", "of these: in the background, to keep the memory limit")      \
  X(scavenged_request_bytes, "bytes", "of these: because the program asked for it")               \
  X(reused_bytes, "bytes", "heap bytes that were given back and then used again, in total")       \
  X(large_allocations, "objects", "objects allocated above the largest size class")               \
  X(os_refusals, "calls", "requests and returns of memory that the operating system refused")     \
  X(cycles, "cycles", "collections finished")                                                     \
  X(forced_cycles, "cycles", "collections that the program asked for")                            \
  X(one_stop_cycles, "cycles", "collections of a small heap, marked within one stop")             \
  X(given_up_cycles, "cycles", "attempts at that which met too much")                             \
  X(helped_scans, "stacks", "stacks that their own threads marked from, within such a stop")      \
  X(objects_marked, "objects", "objects marked, over all cycles")                                 \
  X(bytes_marked, "bytes", "bytes of objects marked, over all cycles")                            \
  X(bytes_scanned, "bytes", "bytes looked at for references, over all cycles")                    \
  X(objects_swept, "objects", "dead objects whose slots were freed")                              \
  X(bytes_swept, "bytes", "bytes of dead objects whose slots were freed")                         \
  X(stop_ns, "ns", "time the world stood still, in total")                                        \
  X(mark_ns, "ns", "time spent marking, in total")                                                \
  X(sweep_ns, "ns", "time spent sweeping, in total")                                              \
  X(emergency_cycles, "cycles", "collections because the operating system refused memory")        \
  X(stop_signals_repeated, "signals", "stop signals sent again because a thread went on")         \
  X(mark_overflows, "cycles", "collections that dropped grey objects for want of memory")         \
  X(cpu_limited, "times", "times that the CPU limiter stepped in")                                \
  X(assist_bytes, "bytes", "bytes marked by allocating threads")                                  \
  X(worker_bytes, "bytes", "bytes marked by threads beside the collector's own")                  \
  X(overwritten_recorded, "references", "references that the write barrier recorded")

struct Counters {
#define GORT_COUNTER_FIELD(name, unit, what) ShardedCounter name;
  GORT_COUNTERS(GORT_COUNTER_FIELD)
#undef GORT_COUNTER_FIELD
};

/// The process's counters.
extern GORT_API Counters counters;

/// Calls `f(name, unit, what, value)` for each counter, in the order of the list.
template <class F>
void for_each_counter(F&& f) {
#define GORT_COUNTER_VISIT(name, unit, what)                                 \
  f(std::string_view(#name), std::string_view(unit), std::string_view(what), \
    counters.name.load_relaxed());
  GORT_COUNTERS(GORT_COUNTER_VISIT)
#undef GORT_COUNTER_VISIT
}

}  // namespace gort
