#pragma once

#include <cstddef>
#include <functional>
#include <type_traits>

#include <gort/gc/barrier.h>

namespace gort {

/// A reference from one heap object to another: one word, a raw pointer with a write barrier.
/// Converts from and to T*. Null by default. May point at a heap object, into the middle of one
/// (the whole object is kept), or outside the heap (the collector does not look there). Not one
/// past the end of an object or array: that is a reference to what comes next, and if there is no
/// object the process ends, as with a reference to one that has been freed. Keep a length instead
/// (Go's compiler lets no pointer past the end live either).
///
/// A Ref keeps its target alive only while it is inside a live heap object (or on a scanned stack).
/// For a global or a member of a std container use Root.
///
/// Of Refs in the heap every store goes through the barrier, so they are not for memcpy, memmove or
/// memset: an object that such a call hides from the markers is freed although it is in use. Copy
/// element by element (std::copy does), or all at once by copy_references().
///
/// Thread safety: as a plain pointer; unsynchronised writes and reads of one Ref are a race of the
/// program.
template <class T>
class Ref {
 public:
  using GortReference = Ref;
  using element_type = T;

  constexpr Ref() : target_(nullptr) {}
  constexpr Ref(std::nullptr_t) : target_(nullptr) {}  // NOLINT(google-explicit-constructor)
  // One store, and an atomic one: a marker may be reading the word.
  Ref(T* target) noexcept {  // NOLINT(google-explicit-constructor)
    gc::init_reference(slot(), raw(target));
  }
  Ref(const Ref& other) noexcept : Ref(other.get()) {}
  template <class U>
  requires std::is_convertible_v<U*, T*> Ref(const Ref<U>& other)
      : Ref(static_cast<T*>(other.get())) {}  // NOLINT(google-explicit-constructor)

  Ref& operator=(const Ref& other) { return *this = other.get(); }
  Ref& operator=(T* target) {
    gc::write_reference(slot(), raw(target));
    return *this;
  }
  ~Ref() = default;

  T* get() const { return target_; }
  operator T*() const { return target_; }  // NOLINT(google-explicit-constructor)
  T* operator->() const { return target_; }
  std::add_lvalue_reference_t<T> operator*() const requires(!std::is_void_v<T>) { return *target_; }

 private:
  void** slot() { return reinterpret_cast<void**>(const_cast<std::remove_const_t<T>**>(&target_)); }
  static void* raw(T* p) { return const_cast<void*>(static_cast<const void*>(p)); }

  T* target_;
};

/// What memmove would do for `count` references: the two arrays may overlap. At memory's speed, and
/// with a barrier for all while markers run. A stop waits for 64 KiB of it at most.
template <class T>
void copy_references(Ref<T>* to, const Ref<T>* from, std::size_t count) {
  gc::copy_references(to, from, count * sizeof(Ref<T>));
}

}  // namespace gort

template <class T>
struct std::hash<gort::Ref<T>> {
  std::size_t operator()(const gort::Ref<T>& r) const noexcept { return std::hash<T*>()(r.get()); }
};
