// Replays what real Go 1.19 maps did (tests/golden/README.md) with the hashes that Go computed, and
// compares header, tophash bytes, live keys and heap bytes at every snapshot.

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <gort/hashmap/map.h>
#include <gort/runtime/mem_stats.h>
#include <gort/runtime/options.h>
#include <gort/runtime/runtime.h>

using nlohmann::json;

namespace {

// The hash of each key as of its last line in the trace.
template <class K>
struct RecordedHash {
  static std::unordered_map<K, std::uint64_t>& table() {
    static std::unordered_map<K, std::uint64_t> hashes;
    return hashes;
  }
  std::uint64_t operator()(const K& key, std::uint32_t /*seed*/) const { return table().at(key); }
};

template <class K>
K key_of(const std::string& text) {
  if constexpr (std::is_same_v<K, gort::String>) {
    return gort::String(text);
  } else {
    return static_cast<K>(std::stoll(text));
  }
}
template <class K>
std::string text_of(const K& key) {
  return fmt::format("{}", key);
}

struct Bytes136 {
  char bytes[136];
  GORT_POINTER_FREE();
};
struct Bytes32 {
  char bytes[32];
  GORT_POINTER_FREE();
};

template <class V>
V value_of(long i) {
  if constexpr (std::is_same_v<V, long>) {
    return i;
  } else if constexpr (std::is_same_v<V, gort::Ref<Bytes32>>) {
    return gort::make<Bytes32>();
  } else {
    return V{};
  }
}

template <class K, class V>
class Replay {
  using Hash = RecordedHash<K>;
  using M = gort::Map<K, V, Hash>;

 public:
  // `lines` but the first. Keys are made before heap bytes are counted, as in the recording.
  explicit Replay(const std::vector<json>& lines) {
    for (const json& line : lines) {
      if (!line.contains("k")) continue;
      const auto text = line["k"].get<std::string>();
      if (keys_.count(text) == 0) keys_.emplace(text, key_of<K>(text));
      if constexpr (std::is_same_v<K, gort::String>) {
        key_roots_.emplace_back(keys_.at(text).data());
      }
    }
    RecordedHash<K>::table().clear();
    const std::size_t before = heap_bytes();
    for (const json& line : lines) run(line, before);
  }
  int snapshots() const { return snapshots_; }

 private:
  static std::size_t heap_bytes() {
    gort::collect();
    return gort::mem_stats().HeapAlloc;
  }

  // The recording process allocated now and then for itself (see the README), at most once each.
  static bool is_noise(long excess) {
    for (const long one_off : {0, 96, 1856, 96 + 1856}) {
      if (std::labs(excess - one_off) <= 64) return true;
    }
    return false;
  }

  void run(const json& line, std::size_t before) {
    const auto op = line["op"].get<std::string>();
    if (line.contains("k")) {
      const K& key = keys_.at(line["k"].get<std::string>());
      RecordedHash<K>::table()[key] =
          std::strtoull(line["h"].get<std::string>().c_str(), nullptr, 16);
      if (op == "set") {
        map_->insert_or_assign(key, value_of<V>(++sets_));
      } else {
        map_->erase(key);
      }
    } else if (op == "make") {
      map_ = gort::make_map<K, V, Hash>(line["hint"].get<std::size_t>());
    } else if (op == "clear") {
      map_->clear();
    } else if (op == "drop") {
      map_ = M();
    } else {
      REQUIRE(op == "snap");
      ++snapshots_;
      INFO("snapshot " << snapshots_);
      compare(line, static_cast<long>(heap_bytes() - before));
    }
  }

  void compare(const json& snap, long bytes) {
    CHECK(is_noise(snap["heap_bytes"].get<long>() - bytes));
    if (!snap.contains("count")) {
      CHECK(*map_ == nullptr);
      return;
    }
    const gort::hashmap::Header* header = map_->header();
    CHECK(header->count == snap["count"].get<long>());
    CHECK(header->flags == snap["flags"].get<int>());
    CHECK(header->B == snap["B"].get<int>());
    CHECK(header->noverflow == snap["noverflow"].get<int>());
    CHECK(header->nevacuate == snap["nevacuate"].get<std::size_t>());
    CHECK(gort::hashmap::find_inconsistency(header, M::type()) == nullptr);
    json buckets = json::array();
    json oldbuckets = json::array();
    gort::hashmap::visit_buckets(*header, M::type(), [&](const gort::hashmap::BucketView& bucket) {
      json one;
      std::string tops;
      for (std::size_t i = 0; i < 8; ++i) {
        tops += fmt::format("{:02x}", bucket.tophash()[i]);
        if (!gort::hashmap::is_live(bucket.tophash()[i])) continue;
        const void* key = M::type().key(const_cast<char*>(bucket.address), i);
        one["keys"].push_back(text_of(*static_cast<const K*>(key)));
      }
      one["top"] = tops;
      json& array = bucket.old ? oldbuckets : buckets;
      if (bucket.position == 0) array.push_back(json::array());
      array.back().push_back(one);
    });
    compare_array(snap, "buckets", buckets);
    compare_array(snap, "oldbuckets", oldbuckets);
  }

  static void compare_array(const json& snap, const char* name, const json& mine) {
    INFO(name);
    if (!snap.contains(name)) {
      CHECK(mine.empty());
      return;
    }
    json theirs = snap[name];
    for (json& chain : theirs) {
      for (json& bucket : chain) {
        if (bucket["keys"].is_null()) bucket.erase("keys");
      }
    }
    REQUIRE(mine.size() == theirs.size());
    for (std::size_t i = 0; i < mine.size(); ++i) {
      INFO("chain " << i);
      CHECK(mine[i].dump() == theirs[i].dump());
    }
  }

  std::map<std::string, K> keys_;
  std::vector<gort::Root<const char>> key_roots_;
  gort::Root<M> map_;
  long sets_ = 0;
  int snapshots_ = 0;
};

int replay(const std::string& type, const std::vector<json>& lines) {
  if (type == "map[int64]int64") return Replay<long, long>(lines).snapshots();
  if (type == "map[int32]struct{}") return Replay<int, gort::Unit>(lines).snapshots();
  if (type == "map[string]int64") return Replay<gort::String, long>(lines).snapshots();
  if (type == "map[int64][136]byte") return Replay<long, Bytes136>(lines).snapshots();
  if (type == "map[int64]*[32]byte") return Replay<long, gort::Ref<Bytes32>>(lines).snapshots();
  FAIL("no replay for " << type);
  return 0;
}

}  // namespace

TEST_CASE("maps do what real Go's maps did, byte for byte", "[hashmap][golden]") {
  gort::start(gort::Options{.conservative_stacks = false});
  gort::set_map_rules({1, 19});
  int files = 0;
  int snapshots = 0;
  const std::filesystem::path directory = std::filesystem::path(GORT_TEST_DATA_DIR) / "golden";
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() != ".jsonl") continue;
    ++files;
    INFO(entry.path().filename().string());
    std::ifstream in(entry.path());
    std::vector<json> lines;
    for (std::string text; std::getline(in, text);) lines.push_back(json::parse(text));
    const json head = lines.at(0);
    lines.erase(lines.begin());
    snapshots += replay(head["type"].get<std::string>(), lines);
  }
  CHECK(files >= 21);
  CHECK(snapshots >= 100);
  gort::set_map_rules({1, 23});
  gort::shutdown();
}
