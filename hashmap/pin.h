#pragma once

// Pin: keeps an object alive for a few instructions of map code.
//
// Any allocation may collect, and without conservative stack scanning a pointer on the stack keeps
// nothing alive. So an object that map code has just allocated and not yet linked into the map, a
// key or value on its way into a map that must grow first, and what an iterator walks on, are held
// by a root each. Root slots cost a lock to get, so every thread keeps a few for its pins.
//
// Like every root a pin is written through the barrier: markers may read roots while threads run.
//
// One Pin is for one thread at a time.

#include <utility>

#include <gort/base/config.h>
#include <gort/gc/barrier.h>

namespace gort::hashmap {

/// A root slot from the thread's stock. Throws std::bad_alloc.
GORT_API void** take_pin_slot();
GORT_API void give_pin_slot(void** slot) noexcept;

class Pin {
 public:
  constexpr Pin() = default;
  explicit Pin(const void* target) { hold(target); }
  Pin(const Pin& other) : Pin(other.target()) {}
  Pin(Pin&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}
  Pin& operator=(Pin other) noexcept {
    std::swap(slot_, other.slot_);
    return *this;
  }
  ~Pin() {
    if (slot_ != nullptr) give_pin_slot(slot_);
  }

  /// Makes sure that hold() cannot fail any more.
  void reserve() {
    if (slot_ == nullptr) slot_ = take_pin_slot();
  }
  void hold(const void* target) {
    if (slot_ == nullptr && target == nullptr) return;
    reserve();
    gc::write_reference(slot_, const_cast<void*>(target));
  }
  void* target() const { return slot_ == nullptr ? nullptr : *slot_; }

 private:
  void** slot_ = nullptr;
};

}  // namespace gort::hashmap
