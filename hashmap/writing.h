#pragma once

// The writing flag, by which misuse is found. A writer sets it in the map's header, and everybody
// looks whether it is set: two writers at once, or a reader beside a writer, are thus found now and
// then, as in Go, with Go's messages. It is no lock.

#include <gort/base/config.h>
#include <gort/base/fatal.h>
#include <gort/hashmap/header.h>

namespace gort::hashmap {

inline void check_readable(const Header& map) {
  if (GORT_UNLIKELY((map.load_flags() & kWriting) != 0)) {
    go_fatal("concurrent map read and map write");
  }
}
inline void check_iterable(const Header& map) {
  if (GORT_UNLIKELY((map.load_flags() & kWriting) != 0)) {
    go_fatal("concurrent map iteration and map write");
  }
}
inline void check_writable(const Header& map) {
  if (GORT_UNLIKELY((map.load_flags() & kWriting) != 0)) go_fatal("concurrent map writes");
}

/// The writing flag, for a scope. finish() on the way out; an exception only takes the flag back.
class WritingScope {
 public:
  explicit WritingScope(Header& map) : map_(&map) { map.add_flags(kWriting); }
  ~WritingScope() {
    if (map_ != nullptr) map_->remove_flags(kWriting);
  }
  WritingScope(const WritingScope&) = delete;
  WritingScope& operator=(const WritingScope&) = delete;
  void finish() {
    if (GORT_UNLIKELY((map_->load_flags() & kWriting) == 0)) go_fatal("concurrent map writes");
    map_->remove_flags(kWriting);
    map_ = nullptr;
  }
  /// The flag stays, for a scope that the callee opens.
  void hand_over() { map_ = nullptr; }

 private:
  Header* map_;
};

}  // namespace gort::hashmap
