#pragma once

// How the runtime is set up: by a struct, or by the environment with Go's variable names.
//
//   GOGC=100 | off           heap growth between collections, percent
//   GOMEMLIMIT=512MiB | off  soft limit on memory, bytes with B, KiB, MiB, GiB, TiB
//   GORT_DEBUG=key=value,... gctrace=1      one line a collection on standard error, Go's format
//                            scavtrace=1    one line a collection about what the scavenger did
//                            scavenger=0    give idle memory back only when asked to
//                            gcevery=N      collect at every Nth allocation
//                            verify=1       check the marks of every collection
//                            poison=1       fill freed slots with a pattern
//                            stacks=0       do not scan stacks: roots and root ranges alone count
//                            markers=N      threads that may mark at the same time
//                            bgsweep=0      sweep only what allocation needs
//                            stopsignal=N   signal that stops threads; 0: stop at safepoints alone
//                            Of a key that is none of these standard error is told, no more.

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include <gort/base/config.h>
#include <gort/gc/cycle_event.h>

namespace gort {

using GcEvent = gc::CycleEvent;

inline constexpr std::size_t kNoMemoryLimit = std::numeric_limits<std::size_t>::max();

/// Go's choice: ignored by default, hardly ever used. Under the address sanitizer the runtime's own
/// memory comes from the sanitizer's malloc, in which a thread must not be stopped.
inline constexpr int kDefaultStopSignal = GORT_ASAN || GORT_TSAN ? 0 : SIGURG;

struct Options {
  /// Percent of the live heap that may be allocated before the next collection; negative: only the
  /// memory limit starts one.
  std::int64_t gc_percent = 100;
  /// Bytes; the collector runs more often to stay below. Soft: it is passed rather than refused.
  std::size_t memory_limit = kNoMemoryLimit;
  /// Treat every word of the stacks of attached threads as a possible reference. Without it, only
  /// Root<T> and add_root_range() keep objects alive, and a raw pointer on the stack dangles after
  /// a collection.
  bool conservative_stacks = true;
  /// The signal that stops a thread wherever it is (SA_RESTART; a handler that is there already
  /// gets every signal that is not ours). 0: threads stop at allocations, in safepoint() and in
  /// Blocking alone, so a thread that does none of these delays every collection. Off in builds
  /// with the address sanitizer, unless set, and always off with the thread sanitizer and without
  /// conservative stacks.
  int stop_signal = kDefaultStopSignal;
  /// Give idle memory back in the background (alloc/scavenger.h). Without it only
  /// release_os_memory() does: for runs whose ledger must not depend on time.
  bool background_scavenger = true;
  /// Run destructors and cleanups on a thread of their own, made when the first one is due. Without
  /// it they run in run_cleanups() and shutdown() alone.
  bool cleanup_thread = true;
  /// Threads that may mark at the same time, the collector's own among them. 0: a quarter of the
  /// processors, and each that no thread of the program is running on (gc/mark_workers.h).
  std::size_t markers = 0;
  /// Collect at every Nth allocation; 0: off. For tests.
  std::uint64_t collect_every = 0;
  /// After every collection, with the world still stopped, check that nothing reachable is
  /// unmarked; abort naming parent and child otherwise.
  bool verify = false;
  /// Fill the slots of dead objects with kPoison when they are swept, so that a use after free
  /// shows.
  bool poison = false;
  /// Sweep in the background after each collection on the collector's thread. A small heap is swept
  /// by who allocates, whatever this says, and collect() sweeps everything.
  bool background_sweep = true;
  /// Called when the operating system refuses memory and a collection has not helped, with the
  /// bytes that are asked for and the context. It lets go of what the program can do without
  /// (caches, Roots), or raises a limit, and returns true: then there is another collection and
  /// another try, and if that fails, another call. False: the allocation throws std::bad_alloc. An
  /// exception from it leaves the allocation instead.
  ///
  /// It runs on the allocating thread, with no lock of the runtime held, as if called in the place
  /// of the allocation: it may use the heap and be stopped. An allocation inside it that fails
  /// throws std::bad_alloc at once. Several threads may be in it at a time.
  bool (*out_of_memory)(std::size_t bytes, void* context) = nullptr;
  void* out_of_memory_context = nullptr;
  /// Called at the events of every collection (gc/cycle_event.h); nothing is called in between. It
  /// runs on the thread that runs the cycle: the collector's, or, of a small heap or if the system
  /// gives no thread, one that allocates. Never while the world is stopped. The time it takes makes
  /// the collection longer. It must not
  /// allocate from the heap, store references, ask for a collection or throw, nor wait for a lock
  /// that a thread may hold while it allocates: that thread may be waiting for this collection.
  void (*on_gc_event)(const GcEvent& event, void* context) = nullptr;
  void* on_gc_event_context = nullptr;
  /// One line a collection on standard error.
  bool gctrace = false;
  /// One line a collection on standard error about what the scavenger has done since the last one.
  bool scavtrace = false;

  /// The defaults, changed by the environment. An unusable value is a std::invalid_argument that
  /// names the variable and the value.
  GORT_API static Options from_environment();
};

/// Parses Go's GOMEMLIMIT syntax: a number with an optional unit B, KiB, MiB, GiB or TiB, or "off".
/// Throws std::invalid_argument.
GORT_API std::size_t parse_memory_limit(std::string_view text);

}  // namespace gort
