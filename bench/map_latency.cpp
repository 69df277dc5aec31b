// Latency of single inserts on gort::Map.

#include <gort/gort.h>

#include <gort/bench/workloads/map_latency.h>

namespace {

struct GortMap {
  static constexpr const char* kName = "gort";
  static void start() { gort::start(); }
  static auto make() { return gort::make_map<std::uint64_t, std::uint64_t>(); }
  static void assign(const gort::Map<std::uint64_t, std::uint64_t>& map, std::uint64_t key,
                     std::uint64_t value) {
    map[key] = value;
  }
  static std::uint64_t size(const gort::Map<std::uint64_t, std::uint64_t>& map) {
    return map.size();
  }
};

}  // namespace

int main(int argc, char** argv) { return gort::bench::map_latency_main<GortMap>(argc, argv); }
