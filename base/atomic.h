#pragma once

// Atomics whose verb names the memory order, so that a reader sees which orders a protocol uses and
// a search finds every release store (the habit is mimalloc's, include/mimalloc/atomic.h).
//
// There are no fences: ThreadSanitizer does not understand them. An order always sits on an access.

#include <atomic>
#include <type_traits>

namespace gort {

template <class T>
class Atomic {
 public:
  constexpr Atomic() = default;
  constexpr explicit Atomic(T value) : value_(value) {}
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;

  T load_relaxed() const { return value_.load(std::memory_order_relaxed); }
  T load_acquire() const { return value_.load(std::memory_order_acquire); }
  T load_seq_cst() const { return value_.load(std::memory_order_seq_cst); }

  void store_relaxed(T v) { value_.store(v, std::memory_order_relaxed); }
  void store_release(T v) { value_.store(v, std::memory_order_release); }
  void store_seq_cst(T v) { value_.store(v, std::memory_order_seq_cst); }

  T exchange_acquire(T v) { return value_.exchange(v, std::memory_order_acquire); }
  T exchange_acq_rel(T v) { return value_.exchange(v, std::memory_order_acq_rel); }

  bool cas_relaxed(T& expected, T desired) {
    return value_.compare_exchange_strong(expected, desired, std::memory_order_relaxed);
  }
  bool cas_acquire(T& expected, T desired) {
    return value_.compare_exchange_strong(expected, desired, std::memory_order_acquire,
                                          std::memory_order_relaxed);
  }
  bool cas_acq_rel(T& expected, T desired) {
    return value_.compare_exchange_strong(expected, desired, std::memory_order_acq_rel,
                                          std::memory_order_acquire);
  }
  bool cas_seq_cst(T& expected, T desired) {
    return value_.compare_exchange_strong(expected, desired, std::memory_order_seq_cst);
  }
  bool cas_weak_acq_rel(T& expected, T desired) {
    return value_.compare_exchange_weak(expected, desired, std::memory_order_acq_rel,
                                        std::memory_order_acquire);
  }

  T fetch_add_relaxed(T v) { return value_.fetch_add(v, std::memory_order_relaxed); }
  T fetch_add_acq_rel(T v) { return value_.fetch_add(v, std::memory_order_acq_rel); }
  T fetch_add_seq_cst(T v) { return value_.fetch_add(v, std::memory_order_seq_cst); }
  T fetch_sub_relaxed(T v) { return value_.fetch_sub(v, std::memory_order_relaxed); }
  T fetch_sub_acq_rel(T v) { return value_.fetch_sub(v, std::memory_order_acq_rel); }
  T fetch_sub_seq_cst(T v) { return value_.fetch_sub(v, std::memory_order_seq_cst); }
  T fetch_or_acq_rel(T v) { return value_.fetch_or(v, std::memory_order_acq_rel); }
  T fetch_or_relaxed(T v) { return value_.fetch_or(v, std::memory_order_relaxed); }
  T fetch_and_relaxed(T v) { return value_.fetch_and(v, std::memory_order_relaxed); }
  T fetch_and_acq_rel(T v) { return value_.fetch_and(v, std::memory_order_acq_rel); }

  /// For a field that only one thread writes and others read: no locked instruction.
  void owner_add_relaxed(T v) { store_relaxed(static_cast<T>(load_relaxed() + v)); }

  /// The address a futex call needs. Nothing else may use it.
  void* address() { return static_cast<void*>(&value_); }

 private:
  std::atomic<T> value_{};
};

/// The same verbs on a plain word that lives in an array or in an object of the heap, where the
/// word's type cannot be Atomic<T>.
template <class T>
class AtomicRef {
 public:
  explicit AtomicRef(T& word) : ref_(word) {}

  T load_relaxed() const { return ref_.load(std::memory_order_relaxed); }
  T load_acquire() const { return ref_.load(std::memory_order_acquire); }
  void store_relaxed(T v) const { ref_.store(v, std::memory_order_relaxed); }
  void store_release(T v) const { ref_.store(v, std::memory_order_release); }
  T fetch_or_relaxed(T v) const { return ref_.fetch_or(v, std::memory_order_relaxed); }
  T fetch_or_acq_rel(T v) const { return ref_.fetch_or(v, std::memory_order_acq_rel); }
  T fetch_and_relaxed(T v) const { return ref_.fetch_and(v, std::memory_order_relaxed); }
  bool cas_acq_rel(T& expected, T desired) const {
    return ref_.compare_exchange_strong(expected, desired, std::memory_order_acq_rel,
                                        std::memory_order_acquire);
  }

 private:
  std::atomic_ref<T> ref_;
};

/// Keeps the compiler, not the processor, from moving memory accesses across: for what a thread and
/// its own signal handler, or whoever has stopped it, must see in the program's order.
inline void compiler_barrier() { std::atomic_signal_fence(std::memory_order_seq_cst); }

}  // namespace gort
