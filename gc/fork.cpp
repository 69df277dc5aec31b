// fork: the child has the whole heap and one thread, the one that forked. What it must not find is
// half-done work of threads that are gone.
//
//     before      no cycle is under way (waits for the end of the one that is; a cycle does not
//                 wait for the program, so this takes no longer than marking and sweeping)
//                 the world is stopped, so no attached thread is inside the runtime; then threads
//                 that were in the program's code go on there, but cannot enter (world.h)
//                 locks that threads may take at any time are taken, lowest rank first; those of
//                 the allocator by the scavenger's handler, which comes after this one
//     in parent   all that back, the other way round
//     in child    the records of the other threads go, and what their caches hold goes back to the
//                 heap; there is no collector's and no cleanup thread: the next cycle that is asked
//                 for, and the next cleanup that is due, make new ones
//
// The world cannot stay stopped: a thread that a signal has stopped inside malloc holds the C
// library's lock, and fork takes that lock itself. A thread that goes on may allocate from the run
// it has, so in the child its cache is treated as that of a thread stopped at any instruction. The
// memory of the child is a consistent picture: if it has a thread's store, it has those before it.
//
// In the child, objects that only stacks of the other threads reached are garbage; what these
// threads held in Roots stays. A destructor or cleanup that another thread was just running is not
// run again; one that itself forks goes on in both processes.
//
// Handlers of the program that were registered before these run between them, when their thread has
// the world stopped. If one comes to a place where it would wait for itself, that is a fatal error
// (World::check_not_stopper).
//
// Locks of type tables (layouts, span classes) are not held but freed in the child: what is under
// way there is published by its last store alone.

#include <gort/gc/fork.h>

#include <new>
#include <system_error>

#include <pthread.h>

#include <gort/alloc/scavenger.h>
#include <gort/base/fatal.h>
#include <gort/gc/cleanups.h>
#include <gort/gc/collector.h>
#include <gort/gc/layout.h>
#include <gort/gc/ranges.h>
#include <gort/gc/roots.h>
#include <gort/gc/type_class.h>
#include <gort/gc/weak.h>
#include <gort/gc/world.h>

namespace gort::gc {
namespace {

// Of the fork that is under way. Guard: the collection lock.
struct {
  bool prepared;       ///< the runtime was started
  bool attached_here;  ///< the thread is attached for the fork only
  bool was_blocking;   ///< it forks in a Blocking region
  StackRecord region;  ///< of that region
} fork_state;

Lock* const held[] = {&roots.lock(), &weak_slots.lock(), &ranges.lock(),
                      &cleanups.lock()};  // by rank

void before_fork() GORT_NO_THREAD_SAFETY_ANALYSIS {
  if (!collector.started()) return;
  Thread* self = World::current();
  const bool attached_here = self == nullptr;
  bool was_blocking = false;
  StackRecord region;
  if (attached_here) {
    try {
      self = &world.attach(true);  // it has no roots, so its stack need not be known
    } catch (const std::bad_alloc&) {
      fatal("fork: no memory for a record of the calling thread");
    }
  } else if (self->state.load_relaxed() == Thread::parked) {
    was_blocking = true;
    region = *self;
    world.leave_blocking(*self);
  }
  GORT_CHECK(self->runtime_depth.load_relaxed() == 0, "fork inside a hook of the collector");
  collector.hold_cycles(*self);
  fork_state = {true, attached_here, was_blocking, region};
  world.stop_for_fork();
  for (Lock* lock : held) lock->acquire();
}

void after_fork() GORT_NO_THREAD_SAFETY_ANALYSIS {
  for (std::size_t i = std::size(held); i-- > 0;) held[i]->release();
  world.resume();
  const auto state = fork_state;
  fork_state = {};
  collector.release_cycles();
  // What the region's frames held in registers when it was entered is now in frames of fork() and
  // of this handler, which will be gone: so the record made then stands again.
  if (state.was_blocking) world.return_to_blocking(*World::current(), state.region);
  if (state.attached_here) world.detach();
}

void after_fork_in_parent() {
  if (fork_state.prepared) after_fork();
}

void after_fork_in_child() GORT_NO_THREAD_SAFETY_ANALYSIS {
  if (!fork_state.prepared) return;
  free_layouts_in_child();
  free_span_classes_in_child();
  world.keep_only_current_after_fork();
  cleanups.after_fork_in_child(World::current());
  collector.after_fork_in_child();
  after_fork();
}

}  // namespace

void install_fork_handlers() {
  // The last to be installed is the first to be called before a fork.
  alloc::Scavenger::install_fork_handlers();
  static const int error = ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
  if (error != 0) throw std::system_error(error, std::generic_category(), "gort: pthread_atfork");
}

}  // namespace gort::gc
