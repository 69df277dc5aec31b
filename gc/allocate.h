#pragma once

// Allocation of collected objects: the entry for everything above the collector.
//
// Every function returns zeroed memory (or a constructed object) that lives as long as something
// reaches it: a scanned stack, a Root, or a reference word of a live object. A thread that was
// never attached is attached by its first allocation. Any allocation may run a collection.
//
// Errors: std::bad_alloc if the operating system refuses memory even after an emergency collection
// and Options::out_of_memory has given up, or if a size overflows or exceeds the address window.
// The heap is intact afterwards. What attaching throws (AttachThread), where an allocation
// attaches. Thread safety: any thread.

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
/// page above 32 KiB; below 16 bytes without references, to the largest power of two, at most 8,
/// that divides the size. Zero bytes give a distinct address.
GORT_API void* allocate(std::size_t bytes, LayoutId layout);

/// Has `destroy(object)` called once the object is dead; see cleanup.h. Throws std::bad_alloc.
GORT_API void watch_destructor(void* object, void (*destroy)(void*), const char* name);

/// A block for one T that dies alone, not with others in a tiny block.
template <class T>
void* allocate_destructible() {
  if constexpr (!kHasReferences<T> && sizeof(T) < alloc::kTinySize) {
    return allocate(alloc::kTinySize, kNoReferences);
  } else {
    return allocate_object<T>();
  }
}

/// Bytes of the block (slot or pages) that `object` lies in; 0 if it is no heap object.
GORT_API std::size_t block_size(const void* object);

namespace detail {

/// A T in zeroed memory.
template <class T, class... Args>
GORT_ALWAYS_INLINE T* construct(void* memory, Args&&... args) {
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

}  // namespace detail
}  // namespace gort::gc

namespace gort {

/// A new T, constructed from `args`, as the only element of its block, aligned as T asks: to a page
/// (8 KiB) at most. If T has a destructor that does something, it runs once nothing reaches the
/// object any more, on the thread for cleanups (cleanup.h), or in shutdown(). Not if the
/// constructor throws.
template <class T, class... Args>
T* make(Args&&... args) {
  static_assert(alignof(T) <= kPageSize, "gort::make aligns to a page (8192 bytes) at most");
  if constexpr (std::is_trivially_destructible_v<T>) {
    return gc::detail::construct<T>(gc::allocate_object<T>(), std::forward<Args>(args)...);
  } else {
    T* object =
        gc::detail::construct<T>(gc::allocate_destructible<T>(), std::forward<Args>(args)...);
    try {
      gc::watch_destructor(
          object, [](void* p) { static_cast<T*>(p)->~T(); }, gc::type_name<T>());
    } catch (...) {
      object->~T();
      throw;
    }
    return object;
  }
}

/// `count` zeroed elements, aligned likewise. T must be meaningful as zero bytes: arithmetic types,
/// Ref, and structs of such; its default member initialisers do not run. Throws std::bad_alloc if
/// count * sizeof(T) overflows.
template <class T>
T* make_array(std::size_t count) {
  static_assert(std::is_trivially_destructible_v<T>,
                "gort::make_array: element destructors would not run");
  static_assert(alignof(T) <= kPageSize, "gort::make_array aligns to a page (8192 bytes) at most");
  if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) throw std::bad_alloc();
  const std::size_t bytes = alloc::bytes_to_align(count * sizeof(T), alignof(T));
  return static_cast<T*>(gc::allocate(bytes, gc::layout_id<T>()));
}

}  // namespace gort
