// The map workload on std::unordered_map.

#include <unordered_map>

#include <gort/bench/workloads/map.h>

namespace {

template <class K, class V>
using Map = std::unordered_map<K, V>;

struct Maps : gort::bench::StandardMaps<Map> {
  static constexpr const char* kName = "std";
};

}  // namespace

int main(int argc, char** argv) { return gort::bench::map_main<Maps>(argc, argv); }
