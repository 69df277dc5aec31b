#pragma once

// Memory of the runtime itself: span records, bitmaps, mark queues, tables. It comes from mimalloc
// through this one door, so that every byte of it is counted in the ledger's `metadata` place, and
// so that nothing of the runtime's own lives in the heap that it manages.
//
// How mimalloc comes in. Debian ships it only as a shared library that also defines malloc, free
// and operator new. A program that lists it among its libraries therefore has its malloc replaced,
// whether it wanted that or not. gort must not do this to its embedder, so the library is opened at
// run time with a scope of its own (dlopen, RTLD_LOCAL): its names are then visible to nobody else,
// and the program's malloc stays the one it had. tests/base/metadata_test.cpp holds this to be
// true.
//
// Under AddressSanitizer and ThreadSanitizer the door opens onto the C library's malloc instead:
// the sanitizers then see every overrun and every race in the runtime's own memory, which they
// could not in mimalloc's.
//
//     bytes() == sum over all blocks handed out and not yet released of their usable size
//
// All functions may be called from any thread, except from a signal handler.

#include <cstddef>
#include <limits>
#include <new>
#include <utility>
#include <vector>

namespace gort::metadata {

/// A zeroed block, aligned to `alignment` (a power of two). Null if there is no memory.
void* try_allocate(std::size_t bytes, std::size_t alignment = 16) noexcept;
/// The same, throwing std::bad_alloc.
void* allocate(std::size_t bytes, std::size_t alignment = 16);
void release(void* block) noexcept;

/// Gives memory that is not handed out, as far as the calling thread can, back to the operating
/// system. Takes its time.
void give_back_unused() noexcept;

/// Bytes handed out and not yet released.
std::size_t bytes() noexcept;

/// The name of the allocator behind the door and its version, such as "mimalloc 2.0.9".
const char* backend() noexcept;

/// Lets the k-th allocation from now fail (1 = the next), and then every following one too if
/// `and_all_later`; 0 switches it off.
void fail_allocation_for_test(std::size_t k, bool and_all_later = false) noexcept;
/// Whether that allocation has not come yet.
bool refusal_pending_for_test() noexcept;

template <class T, class... Args>
T* create(Args&&... args) {
  void* const block = allocate(sizeof(T), alignof(T) > 16 ? alignof(T) : 16);
  try {
    return ::new (block) T(std::forward<Args>(args)...);
  } catch (...) {
    release(block);
    throw;
  }
}
/// The same, null if there is no memory. For T whose constructor does not throw.
template <class T>
T* try_create() noexcept {
  void* const block = try_allocate(sizeof(T), alignof(T) > 16 ? alignof(T) : 16);
  return block == nullptr ? nullptr : ::new (block) T();
}
template <class T>
void destroy(T* object) noexcept {
  if (object == nullptr) return;
  object->~T();
  release(object);
}

/// For standard containers of the runtime.
template <class T>
class Allocator {
 public:
  using value_type = T;
  Allocator() = default;
  template <class U>
  Allocator(const Allocator<U>&) noexcept {}  // NOLINT(google-explicit-constructor)

  T* allocate(std::size_t n) {
    if (n > std::numeric_limits<std::size_t>::max() / sizeof(T)) throw std::bad_alloc();
    return static_cast<T*>(metadata::allocate(n * sizeof(T), alignof(T) > 16 ? alignof(T) : 16));
  }
  void deallocate(T* p, std::size_t) noexcept { metadata::release(p); }

  template <class U>
  bool operator==(const Allocator<U>&) const noexcept {
    return true;
  }
};

template <class T>
using Vector = std::vector<T, Allocator<T>>;

}  // namespace gort::metadata
