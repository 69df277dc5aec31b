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

#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

#include <gort/base/atomic.h>
#include <gort/base/bits.h>
#include <gort/base/config.h>
#include <gort/gc/barrier.h>
#include <gort/gc/layout.h>
#include <gort/hashmap/bucket.h>

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

/// Holds what an object that is not in the heap refers to; nothing if `object` is null.
template <class T>
class PinnedReferences {
  static constexpr std::size_t kCount = [] {
    const auto& words = gc::kReferenceBits<T>.bits;
    return bits::count_range(words.data(), 0, sizeof(T) / kWordSize);
  }();

 public:
  explicit PinnedReferences(const T* object) {
    if (object == nullptr) return;
    auto** const words = reinterpret_cast<void**>(const_cast<T*>(object));
    std::size_t n = 0;
    for (std::size_t w = 0; n < kCount; ++w) {
      if (!bits::test(gc::kReferenceBits<T>.bits.data(), w)) continue;
      pins_[n++].hold(AtomicRef<void*>(words[w]).load_relaxed());  // as it was written
    }
  }

 private:
  std::array<Pin, kCount> pins_;
};

/// A view refers to nothing that the heap knows of: whose bytes they are sees to them.
template <>
class PinnedReferences<std::string_view> {
 public:
  explicit PinnedReferences(const std::string_view* /*object*/) {}
};

/// What a write was given, for as long as the map may move chains: a copy, since the original may
/// stand in a bucket of the map itself (m[b] = *m.find(a)), where moving its chain clears it; with
/// pins on what that refers to if `kPinned`. What is too large for a bucket, or has a destructor,
/// stands in none, and is not copied.
template <class T, bool kPinned = true>
class Kept {
 public:
  explicit Kept(const T& original) : object_(original), pins_(kPinned ? &object_ : nullptr) {}
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;
  const T& operator*() const { return object_; }

 private:
  struct NoPins {
    explicit NoPins(const T* /*object*/) {}
  };
  static constexpr bool kCopied =
      !kIndirect<T> && std::is_trivially_destructible_v<T> && std::is_copy_constructible_v<T>;

  const std::conditional_t<kCopied, T, const T&> object_;
  const std::conditional_t<kPinned, PinnedReferences<T>, NoPins> pins_;
};

}  // namespace gort::hashmap
