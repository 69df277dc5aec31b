#include <gort/tools/gortstat/golden_replay.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>

#include <fmt/format.h>

#include <gort/gc/allocate.h>
#include <gort/gc/root.h>
#include <gort/hashmap/inspect.h>
#include <gort/hashmap/map.h>
#include <gort/hashmap/rules.h>
#include <gort/hashmap/string.h>
#include <gort/runtime/mem_stats.h>
#include <gort/runtime/runtime.h>
#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/text.h>

namespace gort::tool {
namespace {

using Kind = GoldenOperation::Kind;

// --- keys and values: what a golden trace's text is in C++
// -----------------------------------------

template <class K>
struct KeyText {
  static_assert(std::is_integral_v<K>);
  using TableKey = K;
  static bool parse(std::string_view text, K& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size();
  }
  static TableKey table_key(K key) { return key; }
  static std::string text(K key) { return fmt::format("{}", key); }
};

template <>
struct KeyText<String> {
  using TableKey = std::string_view;
  static bool parse(std::string_view text, String& out) {
    out = String::from_static(text);  // the trace outlives the map
    return true;
  }
  static TableKey table_key(const String& key) { return key.view(); }
  static std::string text(const String& key) { return std::string(key.view()); }
};

// The value that the recorder stores: only its size and its references matter. `number` is that of
// the operation.
template <class V>
struct Value {
  static V make(std::size_t number) {
    if constexpr (std::is_integral_v<V>) {
      return static_cast<V>(number);
    } else {
      return V{};
    }
  }
};

template <class T>
struct Value<Ref<T>> {
  static Ref<T> make(std::size_t) { return gort::make<T>(); }
};

// Each key's hash at this moment of the trace. A Hash has no state of its own, so the table is
// found through a static member, set for the duration of one replay.
template <class K>
struct RecordedHash {
  using Table = std::unordered_map<typename KeyText<K>::TableKey, std::uint64_t>;
  static inline const Table* table = nullptr;

  std::uint64_t operator()(const K& key, std::uint32_t /*seed*/) const {
    // A map hashes the key of the operation, and during growth keys that were set before.
    return table->at(KeyText<K>::table_key(key));
  }
};

// --- one map's life
// ----------------------------------------------------------------------------------

template <class K, class V>
class GoldenReplay {
  using M = Map<K, V, RecordedHash<K>>;
  using Table = typename RecordedHash<K>::Table;

 public:
  explicit GoldenReplay(const GoldenTrace& trace) : trace_(trace) {}

  GoldenResult run() {
    const GoVersion rules_before = map_rules();
    set_map_rules({trace_.go_major, trace_.go_minor});
    RecordedHash<K>::table = &hashes_;
    check_sizes();
    base_ = heap_bytes();
    for (std::size_t i = 0; i < trace_.operations.size(); ++i) {
      try {
        play(trace_.operations[i], i);
      } catch (const std::bad_alloc&) {
        throw InputError(trace_.path, trace_.operations[i].line, "out of memory");
      }
    }
    RecordedHash<K>::table = nullptr;
    set_map_rules(rules_before);
    return std::move(result_);
  }

 private:
  void play(const GoldenOperation& operation, std::size_t number) {
    switch (operation.kind) {
      case Kind::make:
        map_ = make_map<K, V, RecordedHash<K>>(operation.hint);
        break;
      case Kind::set: {
        const K key = take_hash(operation);
        // The map keeps key and value alive while it makes room for them; nothing is allocated
        // between here and there.
        map_->insert_or_assign(key, Value<V>::make(number));
        break;
      }
      case Kind::del:
        map_->erase(take_hash(operation));
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

  K take_hash(const GoldenOperation& operation) {
    K key{};
    KeyText<K>::parse(operation.key, key);
    hashes_[KeyText<K>::table_key(key)] = operation.hash;
    return key;
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
    hashmap::visit_buckets(*header, M::type(), [&out](const hashmap::BucketView& bucket) {
      std::vector<GoldenChain>& chains = bucket.old ? out.old_buckets : out.buckets;
      if (bucket.position == 0) chains.emplace_back();
      chains.back().push_back(contents(bucket));
    });
    return out;
  }

  static GoldenBucket contents(const hashmap::BucketView& bucket) {
    GoldenBucket out;
    for (std::size_t cell = 0; cell < hashmap::kCells; ++cell) {
      out.tophash[cell] = bucket.tophash()[cell];
      if (!hashmap::is_live(out.tophash[cell])) continue;
      const void* key = M::type().key(const_cast<char*>(bucket.address), cell);
      out.keys.push_back(KeyText<K>::text(*static_cast<const K*>(key)));
    }
    return out;
  }

  static std::int64_t heap_bytes() {
    collect();
    return static_cast<std::int64_t>(mem_stats().HeapAlloc);
  }

  const GoldenTrace& trace_;
  Table hashes_;
  Root<M> map_;
  std::int64_t base_ = 0;
  GoldenResult result_;
};

// --- the map types that golden traces have
// -----------------------------------------------------------

struct MapKind {
  std::string_view type;  // as Go spells it
  GoldenResult (*replay)(const GoldenTrace&);
  bool (*is_key)(std::string_view);
};

template <class K, class V>
constexpr MapKind map_kind(std::string_view type) {
  return {type, [](const GoldenTrace& trace) { return GoldenReplay<K, V>(trace).run(); },
          [](std::string_view text) {
            K key{};
            return KeyText<K>::parse(text, key);
          }};
}

constexpr MapKind kMapKinds[] = {
    map_kind<std::int64_t, std::int64_t>("map[int64]int64"),
    map_kind<std::int32_t, Unit>("map[int32]struct{}"),
    map_kind<String, std::int64_t>("map[string]int64"),
    map_kind<std::int64_t, std::array<std::uint8_t, 136>>("map[int64][136]byte"),
    map_kind<std::int64_t, Ref<std::array<std::uint8_t, 32>>>("map[int64]*[32]byte"),
};

// Go itself prints byte as uint8 and struct{} as struct {}.
std::string spelled(std::string type) {
  if (const std::size_t at = type.find("uint8"); at != std::string::npos)
    type.replace(at, 5, "byte");
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
    const bool has_key = operation.kind == Kind::set || operation.kind == Kind::del;
    if (has_key && !kind->is_key(operation.key)) {
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
