#include <gort/tools/gortstat/golden_replay.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <gort/gc/root.h>
#include <gort/hashmap/inspect.h>
#include <gort/hashmap/map.h>
#include <gort/hashmap/rules.h>
#include <gort/hashmap/string.h>
#include <gort/runtime/mem_stats.h>
#include <gort/runtime/runtime.h>
#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/golden_keys.h>
#include <gort/tools/gortstat/text.h>

namespace gort::tool {
namespace {

using Kind = GoldenOperation::Kind;

bool has_key(const GoldenOperation& operation) {
  return operation.kind == Kind::set || operation.kind == Kind::del;
}

// Each key's hash at this moment of the trace, by the key's text. A Hash has no state of its own,
// so the table is found through a static member, set as long as a GoldenReplay is there.
using HashTable = std::unordered_map<std::string, std::uint64_t>;

template <class K>
struct RecordedHash {
  static inline const HashTable* table = nullptr;

  std::uint64_t operator()(const K& key, std::uint32_t /*seed*/) const {
    // A map hashes the key of the operation, and during growth keys that were set before.
    return table->at(KeyText<K>::text(key));
  }
};

// Makes the next loop begin where Go's began, for a scope.
class LoopStart {
 public:
  LoopStart(const GoldenOperation& range, std::int64_t log2_buckets)
      : bits_(range.start | range.offset << log2_buckets) {
    set_map_random({[](void* self) { return static_cast<LoopStart*>(self)->bits_; }, this});
  }
  ~LoopStart() { set_map_random({}); }
  LoopStart(const LoopStart&) = delete;
  LoopStart& operator=(const LoopStart&) = delete;

 private:
  std::uint64_t bits_;
};

// --- one map's life ------------------------------------------------------------------------------

template <class K, class V>
class GoldenReplay {
  using M = Map<K, V, RecordedHash<K>>;
  using Iterator = MapIterator<K, V, RecordedHash<K>>;

 public:
  explicit GoldenReplay(const GoldenTrace& trace) : trace_(trace) {
    set_map_rules({trace_.go_major, trace_.go_minor});
    RecordedHash<K>::table = &hashes_;
  }
  ~GoldenReplay() {
    loop_.reset();
    RecordedHash<K>::table = nullptr;
    set_map_rules(rules_before_);
  }
  GoldenReplay(const GoldenReplay&) = delete;
  GoldenReplay& operator=(const GoldenReplay&) = delete;

  GoldenResult run() {
    check_sizes();
    for (const GoldenOperation& operation : trace_.operations) {
      if (has_key(operation)) keys_.prepare(operation.key);
    }
    base_ = heap_bytes();
    for (const GoldenOperation& operation : trace_.operations) {
      try {
        play(operation);
      } catch (const std::bad_alloc&) {
        throw InputError(trace_.path, operation.line, "out of memory");
      } catch (const std::out_of_range&) {  // from RecordedHash: a broken map, or a made-up trace
        throw InputError(trace_.path, operation.line,
                         "the map needs the hash of a key that has none up to here");
      }
    }
    return std::move(result_);
  }

 private:
  void play(const GoldenOperation& operation) {
    switch (operation.kind) {
      case Kind::make:
        map_ = make_map<K, V, RecordedHash<K>>(operation.hint);
        break;
      case Kind::set: {
        const K key = take_hashes(operation);
        // The map keeps key and value alive while it makes room for them; nothing is allocated
        // between here and there.
        map_->insert_or_assign(key, golden_value<V>(operation.key));
        break;
      }
      case Kind::del:
        map_->erase(take_hashes(operation));
        break;
      case Kind::range: {
        const hashmap::Header* header = map_->header();
        const LoopStart start(operation, header == nullptr ? 0 : header->B);
        loop_.emplace(map_->begin());
        entered_ = false;
        walk(operation);
        break;
      }
      case Kind::next:
        walk(operation);
        break;
      case Kind::leave:
        loop_.reset();
        break;
      case Kind::clear:
        map_->clear();
        break;
      case Kind::drop:
        map_ = M();
        break;
      case Kind::snap:
        compare(operation);
        break;
    }
  }

  K take_hashes(const GoldenOperation& operation) {
    hashes_[operation.key] = operation.hash;
    for (const auto& [key, hash] : operation.moved) hashes_[key] = hash;
    return keys_.get(operation.key);
  }

  // Goes on with the loop, as far as Go went, and compares what it comes to.
  void walk(const GoldenOperation& operation) {
    std::vector<std::string> seen;
    bool end = *loop_ == std::default_sentinel;
    while (!end && (operation.pairs == 0 || seen.size() < operation.pairs)) {
      if (entered_) ++*loop_;
      entered_ = true;
      end = *loop_ == std::default_sentinel;
      if (!end) seen.push_back(KeyText<K>::text(loop_->key()));
    }
    if (seen != operation.seen) {
      add(operation.line, {"keys of the loop", keys_text(operation.seen), keys_text(seen)});
    }
    if (end != operation.end) {
      add(operation.line, {"end of the loop", operation.end ? "yes" : "no", end ? "yes" : "no"});
    }
  }

  void compare(const GoldenOperation& operation) {
    const GoldenSnapshot& expected = trace_.snapshots[operation.snapshot];
    for (Difference& difference : compare_states(expected.state, state())) {
      add(operation.line, std::move(difference));
    }
    if (const char* wrong = hashmap::find_inconsistency(map_->header(), M::type())) {
      add(operation.line, {"consistency", "a sound map", wrong});
    }
    const std::int64_t bytes = heap_bytes() - base_;
    const HeapDifference off = heap_difference(expected.heap_bytes, bytes);
    if (off.of_process != 0) ++result_.with_process_bytes;
    if (!off.within_tolerance()) {
      add(operation.line,
          {"heap_bytes", fmt::format("{} within {}", expected.heap_bytes, kHeapTolerance),
           fmt::format("{}", bytes)});
    }
  }

  void add(std::size_t line, Difference difference) {
    result_.mismatches.push_back({line, std::move(difference)});
  }

  void check_sizes() {
    const hashmap::BucketShape& shape = M::type().shape;
    const auto check = [this](std::string_view what, std::int64_t expected, std::uint32_t got) {
      if (expected == got) return;
      add(trace_.type_line,
          {std::string(what), fmt::format("{}", expected), fmt::format("{}", got)});
    };
    check("keysize", trace_.key_size, shape.key_slot);
    check("elemsize", trace_.elem_size, shape.elem_slot);
    check("bucketsize", trace_.bucket_size, shape.bucket_size);
  }

  GoldenState state() const {
    GoldenState out;
    const hashmap::Header* header = map_->header();
    out.nil = header == nullptr;
    if (out.nil) return out;
    const MapStats stats = inspect(map_.get());
    out.count = static_cast<std::int64_t>(stats.count);
    out.flags = stats.flags;
    out.log2_buckets = stats.B;
    out.noverflow = stats.noverflow;
    out.nevacuate = static_cast<std::int64_t>(stats.nevacuate);
    out.extra = extra(*header);
    out.extra->spares = static_cast<std::int64_t>(stats.spare_overflow_buckets);
    hashmap::visit_buckets(*header, M::type(), [&out](const hashmap::BucketView& bucket) {
      std::vector<GoldenChain>& chains = bucket.old ? out.old_buckets : out.buckets;
      if (bucket.position == 0) chains.emplace_back();
      chains.back().push_back(contents(bucket));
    });
    return out;
  }

  static GoldenExtra extra(const hashmap::Header& header) {
    const auto list = [](const hashmap::OverflowList* l) {
      return l == nullptr ? std::nullopt : std::optional(GoldenList{l->length, l->capacity});
    };
    if (header.extra() == nullptr) return {};
    return {list(header.extra()->list()), list(header.extra()->old_list()), 0};
  }

  static GoldenBucket contents(const hashmap::BucketView& bucket) {
    GoldenBucket out;
    for (std::size_t cell = 0; cell < hashmap::kCells; ++cell) {
      out.tophash[cell] = bucket.tophash()[cell];
      const bool live = hashmap::is_live(out.tophash[cell]);
      const char* slot = M::type().key_slot(const_cast<char*>(bucket.address), cell);
      if (!live && !holds_key(slot)) continue;
      const void* key = M::type().key(const_cast<char*>(bucket.address), cell);
      (live ? out.keys : out.was)
          .push_back(key == nullptr ? "null" : KeyText<K>::text(*static_cast<const K*>(key)));
    }
    out.data = data_bits(bucket.address);
    return out;
  }

  // Whether a cell that is not live has a key that can still be read: one that is not zero, and
  // whose reference, if it has one, has not been cleared.
  static bool holds_key(const char* slot) {
    const std::size_t size = hashmap::kSlotHasReferences<K> ? kWordSize : M::type().shape.key_slot;
    return std::any_of(slot, slot + size, [](char byte) { return byte != 0; });
  }

  // Which units between the tophash bytes and the overflow word are not zero, as the recorder
  // writes it (docs/formats.md).
  static std::string data_bits(const char* bucket) {
    const hashmap::BucketShape& shape = M::type().shape;
    std::size_t unit = kWordSize;
    while (shape.key_slot % unit != 0 || shape.elem_slot % unit != 0) unit /= 2;
    std::string out;
    for (std::size_t at = hashmap::kDataOffset; at < shape.overflow_offset(); at += 8 * unit) {
      unsigned byte = 0;
      for (std::size_t bit = 0; bit < 8; ++bit) {
        const char* first = bucket + at + bit * unit;
        if (std::any_of(first, first + unit, [](char c) { return c != 0; })) byte |= 1U << bit;
      }
      out += fmt::format("{:02x}", byte);
    }
    return out;
  }

  static std::int64_t heap_bytes() {
    collect();
    return static_cast<std::int64_t>(mem_stats().HeapAlloc);
  }

  const GoldenTrace& trace_;
  const GoVersion rules_before_ = map_rules();
  HashTable hashes_;
  GoldenKeys<K> keys_;
  Root<M> map_;
  std::optional<Iterator> loop_;
  bool entered_ = false;  // the loop has given its first pair
  std::int64_t base_ = 0;
  GoldenResult result_;
};

// --- the map types that golden traces have -------------------------------------------------------

struct MapKind {
  std::string_view type;  // as Go spells it
  GoldenResult (*replay)(const GoldenTrace&);
  bool (*is_key)(std::string_view);
};

template <class K, class V>
constexpr MapKind map_kind(std::string_view type) {
  return {type, [](const GoldenTrace& trace) { return GoldenReplay<K, V>(trace).run(); },
          is_key_text<K>};
}

constexpr MapKind kMapKinds[] = {
    map_kind<std::int64_t, std::int64_t>("map[int64]int64"),
    map_kind<std::int32_t, Unit>("map[int32]struct{}"),
    map_kind<std::uint16_t, std::uint8_t>("map[uint16]byte"),
    map_kind<std::uint8_t, std::uint16_t>("map[byte]uint16"),
    map_kind<double, std::int64_t>("map[float64]int64"),
    map_kind<String, std::int64_t>("map[string]int64"),
    map_kind<String, String>("map[string]string"),
    map_kind<String, Bytes136>("map[string][136]byte"),
    map_kind<Point, std::uint16_t>("map[struct{X, Y int32}]uint16"),
    map_kind<std::array<std::int64_t, 2>, std::int32_t>("map[[2]int64]int32"),
    map_kind<std::int64_t, Bytes136>("map[int64][136]byte"),
    map_kind<std::int64_t, Ref<Bytes32>>("map[int64]*[32]byte"),
    map_kind<Bytes136, std::int64_t>("map[[136]byte]int64"),
    map_kind<Ref<Bytes32>, Unit>("map[*[32]byte]struct{}"),
};

// Go itself prints byte as uint8 and struct{} as struct {}.
std::string spelled(std::string type) {
  for (std::size_t at = 0; (at = type.find("uint8")) != std::string::npos;) {
    type.replace(at, 5, "byte");
  }
  if (const std::size_t at = type.find("struct {}"); at != std::string::npos) type.erase(at + 6, 1);
  return type;
}

const MapKind* find_kind(const GoldenTrace& trace) {
  const std::string type = spelled(trace.type);
  for (const MapKind& kind : kMapKinds) {
    if (kind.type == type) return &kind;
  }
  return nullptr;
}

}  // namespace

HeapDifference heap_difference(std::int64_t recorded, std::int64_t ours) {
  constexpr std::int64_t kWaiter = 96;
  constexpr std::int64_t kThread = 1856;
  constexpr std::int64_t kNoise = 16;  // tighter than the tolerance: these are sums of known blocks
  const std::int64_t off = recorded - ours;
  if (off >= -kHeapTolerance && off <= kHeapTolerance) return {off, 0};
  for (const std::int64_t own : {kWaiter, kThread, kThread + kWaiter}) {
    if (off >= own - kNoise && off <= own + kNoise) return {off - own, own};
  }
  return {off, 0};
}

void check_golden_trace(const GoldenTrace& trace) {
  const MapKind* kind = find_kind(trace);
  if (kind == nullptr) {
    std::string known;
    for (const MapKind& k : kMapKinds)
      known += fmt::format("{}{}", known.empty() ? "" : ", ", k.type);
    throw InputError(
        trace.path, trace.type_line,
        fmt::format("type: no map of type {}; known are {}", in_quotes(trace.type), known));
  }
  for (const GoldenOperation& operation : trace.operations) {
    if (has_key(operation) && !kind->is_key(operation.key)) {
      throw InputError(
          trace.path, operation.line,
          fmt::format("field \"k\": {} is no key of a {}", in_quotes(operation.key), kind->type));
    }
  }
}

GoldenResult replay_golden_trace(const GoldenTrace& trace) {
  return find_kind(trace)->replay(trace);
}

}  // namespace gort::tool
