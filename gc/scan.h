#pragma once

// The reference words of one object, by the layout of its span or slot. The marker and the verifier
// look at objects through this one function.

#include <bit>
#include <cstddef>
#include <cstdint>

#include <gort/alloc/arena.h>
#include <gort/alloc/span.h>
#include <gort/base/atomic.h>
#include <gort/base/bits.h>
#include <gort/gc/layout.h>

namespace gort::gc {

namespace detail {

template <class F>
GORT_ALWAYS_INLINE void for_each_word(std::uintptr_t* words, std::uint64_t mask, F&& f) {
  while (mask != 0) {
    f(words[std::countr_zero(mask)]);
    mask &= mask - 1;
  }
}

}  // namespace detail

/// An object, by where it lies.
struct ObjectSlot {
  const alloc::Span* span = nullptr;  ///< null: there is none
  std::uint32_t slot = 0;
};

/// The allocated object that `address` points into, if it does. Any bit pattern.
inline ObjectSlot object_at(std::uintptr_t address) {
  const alloc::Span* span = alloc::span_of(address);
  if (span == nullptr) return {};
  const std::uint32_t slot = span->slot_of_any(address);
  if (slot >= span->slot_count || !span->is_allocated(slot)) return {};
  return {span, slot};
}

/// True if `address` points into an allocated object that is not marked.
inline bool is_white(std::uintptr_t address) {
  const ObjectSlot object = object_at(address);
  return object.span != nullptr && !object.span->is_marked(object.slot);
}

/// Calls `f(word)` with each reference word (std::uintptr_t&) of `count` elements of this layout.
template <class F>
GORT_ALWAYS_INLINE void for_each_reference_of(const Layout& element, std::uintptr_t start,
                                              std::size_t count, F&& f) {
  auto* words = reinterpret_cast<std::uintptr_t*>(start);
  if (element.references == element.words) {  // nothing but references: an array of them, mostly
    std::uintptr_t* const end = words + count * element.words;
    for (; words != end; ++words) f(*words);
    return;
  }
  for (std::size_t e = 0; e < count; ++e, words += element.words) {
    for (std::size_t w = 0; w < element.words; w += bits::kWordBits) {
      detail::for_each_word(words + w, element.bitmap[w / bits::kWordBits], f);
    }
  }
}

/// The same for the object that starts at `start` in `span`. Words that the object does not fill
/// are null. The caller reads the word atomically if mutators run.
template <class F>
GORT_ALWAYS_INLINE void for_each_reference(const alloc::Span& span, std::uintptr_t start, F&& f) {
  if (span.reference_mask != 0) {
    detail::for_each_word(reinterpret_cast<std::uintptr_t*>(start), span.reference_mask, f);
    return;
  }
  const LayoutId id = span.is_large() ? span.tag : span.tag_of(span.slot_of(start));
  if (id == kNoReferences) return;  // allocated, but its tag was never written: still all zero
  const Layout& element = layout(id);
  for_each_reference_of(element, start, span.elem_size / element.size, f);
}

}  // namespace gort::gc
