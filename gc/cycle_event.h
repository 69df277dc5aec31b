#pragma once

// What a cycle reports: a record of numbers, which gctrace, MemStats and the listener share, and
// the events at which a listener is told about it. Plain data.

#include <cstddef>
#include <cstdint>

namespace gort::gc {

enum class CycleReason : std::uint8_t { heap_goal, forced, emergency, every_nth };

/// What one cycle did. Times in nanoseconds, sizes in bytes.
struct CycleRecord {
  std::uint64_t number = 0;  ///< 1 for the first
  CycleReason reason = CycleReason::heap_goal;
  std::int64_t start_ns = 0;         ///< monotonic
  std::int64_t end_wall_ns = 0;      ///< calendar time when marking had ended
  std::int64_t sweep_ns = 0;         ///< finishing the sweep before
  std::int64_t first_stop_ns = 0;    ///< from the wish to stop to the world's going on
  std::int64_t mark_ns = 0;          ///< between the first and the last stop
  std::int64_t last_stop_ns = 0;     ///< the stop that ended marking
  std::int64_t longest_stop_ns = 0;  ///< of all stops
  std::int64_t stops_ns = 0;         ///< all stops together
  std::uint32_t stops = 0;           ///< 1 (small heap), 2, or more: marking was not over
  std::size_t heap_start = 0;        ///< heap_live at the first stop
  std::size_t heap_end = 0;          ///< heap_live at the last stop
  std::size_t marked = 0;            ///< live bytes, with what was allocated during marking
  std::size_t scanned = 0;           ///< bytes looked at for references
  std::size_t assisted = 0;          ///< bytes that allocating threads scanned
  std::int64_t assist_ns = 0;        ///< processor time of allocating threads that helped
  std::int64_t mark_cpu_ns = 0;      ///< of the cycle's own thread and dedicated workers in mark_ns
  std::int64_t idle_ns = 0;          ///< of workers on processors that nobody used
  std::size_t goal = 0;              ///< goal that this cycle kept to
  std::size_t next_goal = 0;
  std::size_t stack_bytes = 0;  ///< stack scanned
  std::size_t root_bytes = 0;   ///< root slots scanned
};

/// Something happened in a cycle. In this order, the two of a stop at least twice:
///
///     cycle_begun  stop_begun  stop_ended  marking_started  (stop_begun  stop_ended)...
///     marking_ended  swept
///
/// A small heap is collected in one stop (small_cycle.cpp), and swept when its memory is needed:
///
///     cycle_begun  stop_begun  stop_ended  marking_ended
///
/// or, if it is not so small any more, given up after the stop; cycle_begun comes again then.
struct CycleEvent {
  enum Kind : std::uint8_t {
    cycle_begun,      ///< the rest of the last sweep comes first
    stop_begun,       ///< threads are about to be stopped
    stop_ended,       ///< they run again
    marking_started,  ///< markers run beside the program
    marking_ended,    ///< what is dead is known
    swept,            ///< and free; only if the cycle itself sweeps
  };
  Kind kind = cycle_begun;
  std::int64_t at_ns = 0;  ///< monotonic
  /// What is known so far; complete from marking_ended on. Valid during the call.
  const CycleRecord& cycle;
};

}  // namespace gort::gc
