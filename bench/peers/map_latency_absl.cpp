// Latency of single inserts on absl::flat_hash_map.

#include <absl/container/flat_hash_map.h>

#include <gort/bench/workloads/map_latency.h>

namespace {

using Map = absl::flat_hash_map<std::uint64_t, std::uint64_t>;

struct PeerMap {
  static constexpr const char* kName = "absl";
  static void start() {}
  static Map make() { return {}; }
  static void assign(Map& map, std::uint64_t key, std::uint64_t value) { map[key] = value; }
  static std::uint64_t size(const Map& map) { return map.size(); }
};

}  // namespace

int main(int argc, char** argv) { return gort::bench::map_latency_main<PeerMap>(argc, argv); }
