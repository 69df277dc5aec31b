#pragma once

// Span classes: what kind of span an object goes into. Three kinds:
//
//   base noscan  [2c + 1]   size class c, no slot holds references
//   base scan    [2c]       size class c, "described": the span carries one tag per slot, written
//                           at allocation, so objects of any layout may share the span
//   uniform      [136...]   size class c and one tag for the whole span: all its objects have the
//                           same layout, allocation writes nothing, and a marker finds the layout
//                           in the record it has at hand anyway. Registered at run time
//
// The numbering of the first 136 is Go's spanClass; span class 0 (scan) and 1 (noscan) stand for
// large objects. The uniform ones are ours: they buy the speed of a type-segregated heap for the
// types a program allocates most, while their number stays bounded, so that the cost in half-empty
// spans does.
//
// Guard: an entry is written under its registration lock and published by the count (release); it
// never changes.

#include <cstddef>
#include <cstdint>

#include <gort/alloc/config.h>
#include <gort/alloc/size_class.h>
#include <gort/alloc/span.h>

namespace gort::alloc {

using SpanClass = std::uint16_t;

inline constexpr std::size_t kBaseSpanClasses = 2 * kSizeClassCount;
inline constexpr std::size_t kSpanClassCount = kBaseSpanClasses + kMaxUniformClasses;
inline constexpr SpanClass kLargeScan = 0;
inline constexpr SpanClass kLargeNoscan = 1;

struct SpanClassInfo {
  std::uint8_t size_class = 0;
  bool noscan = false;
  bool described = false;            ///< spans carry one tag a slot
  Tag tag = 0;                       ///< of every slot of a uniform span
  std::uint64_t reference_mask = 0;  ///< of a uniform span
};

constexpr SpanClass base_span_class(std::size_t size_class, bool noscan) {
  return static_cast<SpanClass>(2 * size_class + (noscan ? 1 : 0));
}

/// What a span class is. `span_class` < span_class_limit().
const SpanClassInfo& span_class_info(SpanClass span_class);
/// Classes in use: base ones and those registered so far.
std::size_t span_class_limit();

/// A new uniform class, or 0 if there are none left. Any thread.
SpanClass add_uniform_class(std::size_t size_class, Tag tag, std::uint64_t reference_mask);

/// In the child of a fork: a thread that is gone may have been adding one.
void free_span_classes_in_child();

inline const SizeClassInfo& size_class_info(SpanClass span_class) {
  return kSizeClasses[span_class_info(span_class).size_class];
}

}  // namespace gort::alloc
