// The map workload on absl::flat_hash_map.

#include <absl/container/flat_hash_map.h>

#include <gort/bench/workloads/map.h>

namespace {

template <class K, class V>
using Map = absl::flat_hash_map<K, V>;

struct Maps : gort::bench::StandardMaps<Map> {
  static constexpr const char* kName = "absl";
};

}  // namespace

int main(int argc, char** argv) { return gort::bench::map_main<Maps>(argc, argv); }
