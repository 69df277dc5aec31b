#pragma once

// Allocation of collected objects: the entry for everything above the collector.
//
// Every function returns zeroed memory (or a constructed object) that lives as long as something
// reaches it: a scanned stack, a Root, or a reference word of a live object. A thread that was
// never attached is attached by its first allocation. Any allocation may run a collection.
//
// Errors: std::bad_alloc if the operating system refuses memory even after an emergency collection,
// or if a size overflows or exceeds the address window. The heap is intact afterwards.
// Thread safety: any thread.

#include <cstddef>
#include <limits>
#include <new>
#include <type_traits>
#include <utility>

#include <gort/base/config.h>
#include <gort/gc/layout.h>
#include <gort/gc/type_class.h>

namespace gort::gc {

/// `bytes` zeroed bytes whose elements have this layout (kNoReferences: never scanned). Aligned to
/// 8 bytes, to 16 from 16 bytes on if the slot size allows (sizes that are multiples of 16), to a
/// page above 32 KiB. Zero bytes give a distinct address.
GORT_API void* allocate(std::size_t bytes, LayoutId layout);

/// Bytes of the block (slot or pages) that `object` lies in; 0 if it is no heap object.
GORT_API std::size_t block_size(const void* object);

}  // namespace gort::gc

namespace gort {

/// A new T, constructed from `args`, as the only element of its block.
template <class T, class... Args>
T* make(Args&&... args) {
  static_assert(
      std::is_trivially_destructible_v<T>,
      "gort::make: the collector frees this object without running its destructor, so the "
      "destructor must be trivial");
  static_assert(alignof(T) <= 16, "gort::make aligns to 16 bytes at most");
  void* memory = gc::allocate_object<T>();
  if constexpr (sizeof...(Args) == 0) {
    // The memory is zero, so T() would only zero it once more. Without the parentheses members that
    // no initialiser names keep what is there; the empty asm keeps the compiler from thinking that
    // nothing is.
    T* object = ::new (memory) T;
    asm volatile("" : "+r"(object) : : "memory");
    return object;
  } else {
    return ::new (memory) T(std::forward<Args>(args)...);
  }
}

/// `count` zeroed elements. T must be meaningful as zero bytes: arithmetic types, Ref, and structs
/// of such; its default member initialisers do not run. Throws std::bad_alloc if count * sizeof(T)
/// overflows.
template <class T>
T* make_array(std::size_t count) {
  static_assert(std::is_trivially_destructible_v<T>,
                "gort::make_array: element destructors would not run");
  static_assert(alignof(T) <= 16, "gort::make_array aligns to 16 bytes at most");
  if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) throw std::bad_alloc();
  return static_cast<T*>(gc::allocate(count * sizeof(T), gc::layout_id<T>()));
}

}  // namespace gort
