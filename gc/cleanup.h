#pragma once

// What happens when an object dies: destructors, cleanups, and how to put the moment off.
//
// A destructor (of an object from make<T>, if T's does something) finds its object as it was, with
// everything that it reaches, and with weak references to it cleared. Of objects that die together,
// those that reach others are destroyed first; in a ring of objects with destructors there is no
// such order, and somebody finds a neighbour destroyed (its memory is still there). A cleanup
// (add_cleanup) does not see the object: when it runs the object's memory is about to be used
// again.
//
// They run one at a time, on the thread `gort-cleanup` or in run_cleanups() (Options::
// cleanup_thread), never on a thread that allocates, and so beside the program: what they share
// with it needs a lock. They may allocate, store references anywhere, and take their time. An
// exception that leaves one ends the process with a message that names it.
//
// When is not certain: after the collection that finds the object dead, soon. shutdown() runs all
// that are left, destructors first, the newest object's first, whether the objects are reachable or
// not; then cleanups, the newest first.

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <gort/base/config.h>
#include <gort/base/metadata.h>
#include <gort/gc/allocate.h>

namespace gort::gc {

struct CleanupRecord;

/// Has `run(callable)` and then `drop(callable)` called once the object is dead; `drop` alone by
/// stop_cleanup(). Throws std::bad_alloc.
GORT_API CleanupRecord& watch_cleanup(void* object, void (*run)(void*), void (*drop)(void*),
                                      void* callable, const char* name, std::uint64_t& id);
GORT_API bool stop_cleanup(CleanupRecord& record, std::uint64_t id, void (*drop)(void*));

/// Throws std::invalid_argument, which says what is at the address, if no object is.
GORT_API void require_object(const void* address, const char* who);

}  // namespace gort::gc

namespace gort {

/// A handle of a cleanup; may be copied, dropped, and used at any time, also after the cleanup ran.
class Cleanup {
 public:
  constexpr Cleanup() = default;

  /// Takes the cleanup back; its callable is destroyed here. False if it has begun to run, has run,
  /// or was taken back before. Any thread.
  bool stop() { return record_ != nullptr && gc::stop_cleanup(*record_, id_, drop_); }

 private:
  template <class T, class F>
  friend Cleanup add_cleanup(T* object, F&& f);

  gc::CleanupRecord* record_ = nullptr;
  std::uint64_t id_ = 0;
  void (*drop_)(void*) = nullptr;
};

/// Has `f()` called once, after `object` (an address in a collected object) is dead. `f` must not
/// hold a Root of the object, or it never dies; and what `f` holds of other collected objects, it
/// must hold in Roots, for the collector does not look into it. An object may have any number of
/// cleanups. Pointer-free objects below 16 bytes share a block and die with it. Throws
/// std::invalid_argument if `object` is in no collected object, std::bad_alloc.
template <class T, class F>
Cleanup add_cleanup(T* object, F&& f) {
  using Callable = std::decay_t<F>;
  static_assert(std::is_invocable_v<Callable&>, "gort::add_cleanup: call it with f()");
  static_assert(alignof(Callable) <= 16, "gort::add_cleanup: alignment of 16 at most");
  void* const address = const_cast<void*>(static_cast<const void*>(object));
  gc::require_object(address, "gort::add_cleanup");
  void* const memory = metadata::allocate(sizeof(Callable));
  Callable* callable = nullptr;
  Cleanup handle;
  handle.drop_ = [](void* p) { metadata::destroy(static_cast<Callable*>(p)); };
  try {
    callable = ::new (memory) Callable(std::forward<F>(f));
    handle.record_ = &gc::watch_cleanup(
        address, [](void* p) { (*static_cast<Callable*>(p))(); }, handle.drop_, callable,
        gc::type_name<Callable>(), handle.id_);
  } catch (...) {
    if (callable != nullptr) callable->~Callable();
    metadata::release(memory);
    throw;
  }
  return handle;
}

/// Runs the destructors and cleanups that are due, on this thread, and waits for one that another
/// thread is running; returns how many ran here. Inside a cleanup it does nothing. The thread must
/// be ready to be where they run: it holds no lock that they take. std::logic_error before start().
GORT_API std::size_t run_cleanups();

/// The object is reachable, by this thread's stack, up to here: where a pointer is not used any
/// more, the compiler forgets it, and its object may die before the scope ends.
template <class T>
GORT_ALWAYS_INLINE void keep_alive(const T& pointer) {
  asm volatile("" : : "m"(pointer) : "memory");
}

}  // namespace gort
