#pragma once

// Writes of references into heap memory. Every store of a reference into an object goes through one
// of these three functions, whoever makes it (Ref, the map, array helpers): they are the one place
// where the collector can see that the object graph changes.
//
// While the world is stopped for marking no such write can happen, so today the functions are plain
// stores. A concurrent marker will add to each of them, after the store, "if marking, record the
// old value" (snapshot at the beginning); the stores are word-sized and relaxed so that a marker
// may read the slot at the same time.

#include <cstddef>
#include <cstring>

#include <gort/base/atomic.h>

namespace gort::gc {

/// *slot := value, where slot is a reference word of a heap object (or of memory outside the heap).
inline void write_reference(void** slot, void* value) {
  AtomicRef<void*>(*slot).store_relaxed(value);
}

/// The first value of a reference word that was null (freshly allocated memory).
inline void init_reference(void** slot, void* value) {
  AtomicRef<void*>(*slot).store_relaxed(value);
}

/// Zeroes memory that may hold references, all of it or none of an object's words at a time.
inline void clear_references(void* memory, std::size_t bytes) { std::memset(memory, 0, bytes); }

}  // namespace gort::gc
