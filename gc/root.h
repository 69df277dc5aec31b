#pragma once

// Root<T>: a reference from outside the heap. The slot table behind it is in roots.h.

#include <cstddef>
#include <utility>

#include <gort/base/config.h>
#include <gort/gc/barrier.h>

namespace gort::gc {

/// Takes a root slot holding `target`. Throws std::bad_alloc. Any thread.
GORT_API void** acquire_root(void* target);
/// *slot := target. Any thread, also after shutdown.
GORT_API void set_root(void** slot, void* target) noexcept;
/// Gives a slot back. Any thread, also after shutdown.
GORT_API void release_root(void** slot) noexcept;

}  // namespace gort::gc

namespace gort {

/// A root: keeps its target, and everything reachable from it, alive while it exists. For places
/// the collector does not look at by itself: globals, members of ordinary C++ objects, std
/// containers; and for stacks when conservative stack scanning is off. One word; a null Root costs
/// nothing else. For a map: Root<Map<K, V>>, see hashmap/map.h.
///
/// Thread safety: as a plain pointer (one Root is for one thread at a time; different Roots are
/// independent). A thread that is not attached may make, set and drop Roots too, and waits for a
/// stop of the world to pass when it sets or drops one.
template <class T>
class Root {
 public:
  constexpr Root() = default;
  constexpr Root(std::nullptr_t) {}  // NOLINT(google-explicit-constructor)
  Root(T* target)                    // NOLINT(google-explicit-constructor)
      : slot_(target == nullptr ? nullptr : gc::acquire_root(raw(target))) {}
  Root(const Root& other) : Root(other.get()) {}
  Root(Root&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}
  Root& operator=(const Root& other) { return *this = other.get(); }
  Root& operator=(Root&& other) noexcept {
    std::swap(slot_, other.slot_);
    return *this;
  }
  Root& operator=(T* target) {
    if (slot_ == nullptr) {
      if (target != nullptr) slot_ = gc::acquire_root(raw(target));
    } else {
      gc::set_root(slot_, raw(target));
    }
    return *this;
  }
  ~Root() {
    if (slot_ != nullptr) gc::release_root(slot_);
  }

  T* get() const { return slot_ == nullptr ? nullptr : static_cast<T*>(*slot_); }
  operator T*() const { return get(); }  // NOLINT(google-explicit-constructor)
  // Of a null Root these fault, like a null pointer's.
  T* operator->() const { return static_cast<T*>(*slot_); }
  T& operator*() const { return *static_cast<T*>(*slot_); }

 private:
  static void* raw(T* p) { return const_cast<void*>(static_cast<const void*>(p)); }

  void** slot_ = nullptr;
};

}  // namespace gort
