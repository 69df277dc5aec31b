#pragma once

// An address in words, for messages about misuse.

#include <array>
#include <cstddef>
#include <string_view>

namespace gort::alloc {

/// A line of text in place: made without malloc, which a stopped thread may be in the middle of.
struct AddressLine {
  std::array<char, 160> text;
  std::size_t length = 0;
  std::string_view view() const { return {text.data(), length}; }
};

/// What the allocator knows of an address, in one line that begins with it: its place in the ledger
/// or, in a span, the slot. Any bit pattern. World stopped, or nobody frees spans. Takes the heap
/// lock.
AddressLine describe(const void* address);

}  // namespace gort::alloc
