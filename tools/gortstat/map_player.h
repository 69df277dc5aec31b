#pragma once

// One map variable on a running heap, and the operations of a trace on it.
//
// The map is a Map<String, Ref<std::byte>>, Go's map[string]*T. A set makes its key afresh, as a
// program that reads its keys from somewhere does, and a value object of BYTES pointer-free bytes;
// with BYTES = 0 there is no object and the cell's own 8 bytes are the value. Objects up to 64 MiB
// are written to, since memory that nobody has written is not resident. As in Go, a set of a key
// that is already there takes over the new key string; dels and gets look up without making one.
//
// The heap must have been started by an ExactRun (exact_run.h): nothing but the map variable keeps
// map, keys and values alive.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <gort/base/counters.h>
#include <gort/base/random.h>
#include <gort/gc/ref.h>
#include <gort/gc/root.h>
#include <gort/hashmap/hash.h>
#include <gort/hashmap/map.h>
#include <gort/hashmap/string.h>
#include <gort/tools/gortstat/map_trace.h>
#include <gort/tools/gortstat/snapshot.h>

namespace gort::tool {

/// What the map variable is, as Go would spell it.
inline constexpr std::string_view kMapType = "map[string]*object";

/// Depends on nothing but key and seed, so that a replay can be repeated: DefaultHash takes random
/// words of the process besides.
struct ReplayHash {
  std::uint64_t operator()(std::string_view key, std::uint32_t seed) const {
    return hashmap::hash_bytes(key.data(), key.size(), mix64(seed));
  }
};

class MapPlayer {
 public:
  /// `path` of the trace, for errors.
  explicit MapPlayer(const std::string& path) : path_(path) {}

  /// Does what the operation says; a mark is only counted. Throws InputError with the line of a
  /// `set` or `make` for which there is no memory.
  void play(const TraceOperation& operation);

  // The same for operations that no trace has.
  void gc();
  void release();
  void drop();
  void clear();
  /// m = a new map with the entries of the old one: make(len(m)), then a loop over the old map.
  void remake();
  /// shrink_to_fit(m): the same map, rebuilt; every copy of the variable sees it.
  void shrink();

  bool has_map() const { return map_.get() != nullptr; }
  const OperationCounts& counts() const { return counts_; }
  /// Anything was done since the last step.
  bool anything_new() const { return counts_ != counts_at_step_; }
  /// A full collection (or a release) was done, and the map has not changed since.
  bool collected() const { return collected_; }
  bool released() const { return released_; }
  /// The map that a `drop` of the trace, or one that was played after it, dropped last.
  const std::optional<LastMap>& last_map() const { return last_map_; }

  /// How things are now, and what was done since the last call. A step without a line is none of
  /// the trace's.
  Step take_step(StepKind kind, std::string_view label, std::size_t line = 0);
  /// From now on steps have a picture of the map.
  void take_pictures() { pictures_ = true; }

 private:
  using TraceMap = Map<String, Ref<std::byte>, ReplayHash>;

  static TraceMap new_map(std::uint64_t hint) {
    return make_map<String, Ref<std::byte>, ReplayHash>(hint);
  }

  void begin_map(std::uint64_t hint);
  void make(std::uint64_t hint);
  void set(const TraceOperation& operation);
  void del(const TraceOperation& operation);
  void get(const TraceOperation& operation);

  // Entries removed so far, of all maps.
  std::uint64_t removals() const { return counts_.deleted + counts_.cleared; }
  void changed() {
    collected_ = false;
    released_ = false;
  }
  void removed() {
    changed();
    removal_cycle_ = counters.cycles.load_relaxed();
  }

  const std::string& path_;
  std::string buffer_;  // of a key with %20

  Root<TraceMap> map_;
  std::uint64_t maps_ = 0;              // that the map variable has had
  std::uint64_t removals_at_make_ = 0;  // removals() when the last of them was made
  std::optional<LastMap> last_map_;
  Root<std::byte> value_;
  Root<const char> key_;

  OperationCounts counts_;
  OperationCounts counts_at_step_;
  std::uint64_t cycles_at_step_ = counters.cycles.load_relaxed();
  std::uint64_t forced_at_step_ = counters.forced_cycles.load_relaxed();
  std::uint64_t given_back_at_step_ = counters.scavenged_bytes.load_relaxed();
  std::uint64_t removal_cycle_ = ~std::uint64_t{0};  // cycles finished at the last removal
  // What was asked for since the map last changed.
  bool collected_ = true;
  bool released_ = true;
  bool pictures_ = false;
};

}  // namespace gort::tool
