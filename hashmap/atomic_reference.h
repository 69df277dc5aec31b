#pragma once

// AtomicReference<T>: a reference word of a heap object that several threads read and change at
// once. Everything else in a heap object that threads share needs a lock.
//
// The barrier (gc/barrier.h) wants the overwritten value recorded after the store, and offers that
// together with a plain store. A compare-and-swap is therefore followed by a barrier store to a
// local word that holds the old value: it records the same thing, at the same point of the order.
// A thread that is stopped between the two has the old value in its frame.

#include <gort/base/atomic.h>
#include <gort/gc/barrier.h>

namespace gort::hashmap {

template <class T>
class AtomicReference {
 public:
  using GortReference = AtomicReference;

  AtomicReference() = default;
  AtomicReference(const AtomicReference&) = delete;
  AtomicReference& operator=(const AtomicReference&) = delete;

  /// Whatever the thread that stored this did before is visible afterwards.
  T* load() const { return static_cast<T*>(AtomicRef<void*>(word_).load_acquire()); }
  /// The first value, before others can see the object.
  void init(T* value) { gc::init_reference(&word_, value); }
  /// True if the word was `expected`; else puts what it is into `expected`.
  bool cas(T*& expected, T* desired) {
    void* old = expected;
    if (!AtomicRef<void*>(word_).cas_acq_rel(old, desired)) {
      expected = static_cast<T*>(old);
      return false;
    }
    gc::write_reference(&old, nullptr);
    return true;
  }
  /// Returns the value before.
  T* exchange(T* value) {
    T* old = load();
    while (!cas(old, value)) {
    }
    return old;
  }

 private:
  mutable void* word_ = nullptr;
};

}  // namespace gort::hashmap
