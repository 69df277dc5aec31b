#pragma once

// From a C++ type to the span class its objects go to, and the inline allocation path.
//
//   no references, below 16 bytes     tiny block
//   no references                     base noscan class, known at compile time
//   references, up to 64 words        a uniform class, shared by all types with the same size class
//                                     and the same reference words; registered at first use
//   references, larger, or if there   base scan class: the slot is described by a tag written at
//   are no uniform classes left       allocation
//
// The class number of a type lives in one static variable. Until it is registered it is 0, a class
// of large objects, whose run is always empty: the fast path then fails by itself and the slow path
// registers the type. If there are no classes left it becomes 1, the other class of large objects:
// the slow path then goes on to the base class. So nothing is asked twice.

#include <cstddef>
#include <cstdint>

#include <gort/alloc/span_class.h>
#include <gort/alloc/thread_cache.h>
#include <gort/base/atomic.h>
#include <gort/base/config.h>
#include <gort/gc/layout.h>

namespace gort::gc {

/// Largest object whose references fit the mask in a span's record.
inline constexpr std::size_t kMaxUniformSize = 64 * kWordSize;

/// `bytes` zeroed bytes with this layout; see allocate.h.
void* allocate(std::size_t bytes, LayoutId layout);

/// In the child of a fork: a thread that is gone may have been registering a class.
void free_span_classes_in_child();

namespace detail {

template <class T>
inline constinit Atomic<std::uint16_t> type_span_class{0};

/// The slow path of a type with references: registers its class at first use. `size` is sizeof(T).
void* allocate_typed_slow(std::size_t size, LayoutId layout, Atomic<std::uint16_t>& span_class);

}  // namespace detail

/// A zeroed block for one T, which may be aligned to a page at most.
template <class T>
GORT_ALWAYS_INLINE void* allocate_object() {
  constexpr std::size_t kSize = alloc::bytes_to_align(sizeof(T), alignof(T));
  if constexpr (kSize > alloc::kMaxSmallSize || (kHasReferences<T> && kSize > kMaxUniformSize)) {
    return allocate(kSize, layout_id<T>());
  } else if constexpr (kHasReferences<T>) {
    constexpr std::size_t kSlot = alloc::kSizeClasses[alloc::size_class_of(kSize)].size;
    const std::uint16_t span_class = detail::type_span_class<T>.load_relaxed();
    if (void* object = alloc::thread_cache->try_allocate(span_class, kSlot)) return object;
    return detail::allocate_typed_slow(kSize, layout_id<T>(), detail::type_span_class<T>);
  } else if constexpr (kSize < alloc::kTinySize) {
    return alloc::thread_cache->allocate_tiny(kSize);
  } else {
    constexpr std::size_t kClass = alloc::size_class_of(kSize);
    return alloc::thread_cache->allocate(alloc::base_span_class(kClass, true),
                                         alloc::kSizeClasses[kClass].size);
  }
}

}  // namespace gort::gc
