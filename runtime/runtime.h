#pragma once

// The front door: start and stop, collect, release, settings, threads.
//
// Thread safety: every function from any thread, but start() and shutdown(), which must not run
// while another thread uses the heap.

#include <cstddef>
#include <cstdint>

#include <gort/base/config.h>
#include <gort/runtime/options.h>

namespace gort {

/// Starts the runtime and attaches the calling thread. Without options it takes those of the
/// environment (options.h), and throws std::invalid_argument if they are unusable. A second start()
/// without a shutdown() between is a std::logic_error. Opens mimalloc (base/metadata.h) for its own
/// memory. Throws std::system_error where attaching does, and if the system refuses the stop
/// signal.
GORT_API void start();
GORT_API void start(const Options& options);
/// Runs all destructors and cleanups that are left (gc/cleanup.h), frees every object and gives all
/// idle memory back. Every other thread must be detached before; otherwise std::logic_error. All
/// references dangle afterwards. start() may follow.
GORT_API void shutdown();

/// A full collection, finished and swept on return. Go's runtime.GC().
GORT_API void collect();
/// A full collection, and then every idle page goes back to the operating system. Go's
/// debug.FreeOSMemory(). Returns the bytes given back.
GORT_API std::size_t release_os_memory();

/// Go's debug.SetGCPercent: the new value applies at once; returns the old one. Negative: off.
/// Without effect before start(), which takes the value of its options.
GORT_API std::int64_t set_gc_percent(std::int64_t percent);
/// Go's debug.SetMemoryLimit, in bytes; returns the old one. kNoMemoryLimit: off. Likewise.
GORT_API std::size_t set_memory_limit(std::size_t bytes);

/// Attaches the calling thread for a scope: its stack is scanned, and it stops for collections. A
/// thread that allocates without being attached is attached until it ends. Throws std::bad_alloc,
/// and std::system_error if the system does not tell where the thread's stack is: for the first
/// thread of a process it takes a file descriptor, and /proc. `conservative_stacks = false` does
/// without. Within another one, or on a thread that is attached already, it does nothing.
class GORT_API AttachThread {
 public:
  AttachThread();
  ~AttachThread();
  AttachThread(const AttachThread&) = delete;
  AttachThread& operator=(const AttachThread&) = delete;

 private:
  bool attached_here_;
};

/// For a scope in which the calling thread touches no heap reference: a system call, a wait for a
/// lock. A collection need not wait for it. Does not nest. collect(), release_os_memory(),
/// run_cleanups(), safepoint(), mem_stats(), ledger() and where_is() may be called in it: the
/// thread is out of the region meanwhile. Of a thread that is not attached it does nothing.
class GORT_API Blocking {
 public:
  Blocking();
  ~Blocking();
  Blocking(const Blocking&) = delete;
  Blocking& operator=(const Blocking&) = delete;
};

/// Lets a collection stop this thread here, if it is attached. For long loops that do not allocate.
GORT_API void safepoint();

}  // namespace gort
