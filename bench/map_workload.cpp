// The map workload on gort::Map.

#include <gort/gort.h>

#include <gort/bench/workloads/map.h>

namespace gort::bench {
namespace {

struct GortMaps {
  static constexpr const char* kName = "gort";
  using IntMap = gort::Map<std::uint64_t, std::uint64_t>;
  using StringMap = gort::Map<gort::String, std::uint64_t>;

  static void start() { gort::start(); }
  static void collect() { gort::collect(); }
  template <class M>
  static M make() {
    return gort::make_map<typename M::key_type, typename M::mapped_type>();
  }
  template <class M>
  static const std::uint64_t* find(const M& map, const typename M::key_type& key) {
    return map.find(key);
  }
  template <class M>
  static void assign(const M& map, const typename M::key_type& key, std::uint64_t value) {
    map[key] = value;
  }
  template <class M>
  static void erase(const M& map, const typename M::key_type& key) {
    map.erase(key);
  }
  template <class M>
  static void clear(const M& map) {
    map.clear();
  }
  template <class M>
  static std::uint64_t size(const M& map) {
    return map.size();
  }
  template <class M>
  static std::uint64_t sum(const M& map) {
    std::uint64_t sum = 0;
    for (const auto& [key, value] : map) sum += value;
    return sum;
  }

  // On the stack, where the collector looks.
  template <class M>
  class Many {
   public:
    explicit Many(std::uint64_t n) : maps_(gort::make_array<M>(n)) {}
    M* begin() { return maps_; }

   private:
    M* maps_;
  };

  class Strings {
   public:
    Strings(std::uint64_t n, Random& random) : strings_(gort::make_array<gort::String>(n)) {
      gort::String* const strings = strings_;
      for (std::uint64_t i = 0; i < n; ++i) strings[i] = gort::String(string_key(random));
    }
    gort::String* begin() { return strings_; }

   private:
    gort::Root<gort::String> strings_;
  };
};

}  // namespace
}  // namespace gort::bench

int main(int argc, char** argv) { return gort::bench::map_main<gort::bench::GortMaps>(argc, argv); }
