#pragma once

// map int64|string KEYS OPS: a hash map of KEYS keys to 64-bit numbers; each case is done over all
// keys again and again, OPS operations in all. Keys are random 64-bit numbers, or strings "user:"
// and a random 32-bit number in decimal.
//
//     insert    a new map from empty, growing as it goes; the map before is dropped
//     hit       look up every key, in an order that is not the one of insertion
//     miss      look up as many keys that are not there (of the strings, one in a thousand is)
//     iterate   add up all values
//     churn     delete a key and insert another: the size stays. One operation is both
//     delete    delete every key of full maps, as many of them as there are repetitions
//     clear     empty such maps at once
//
// A line of output a case. The template argument B says whose map it is:
//
//     kName, start(), collect()     as in heap.h
//     IntMap, StringMap             the maps
//     make<M>()                     an empty one
//     find(m, k)                    pointer to the value, or null
//     assign(m, k, v), erase(m, k), clear(m), size(m), sum(m)
//     Many<M>                       n maps: begin() is an array
//     Strings                       n string keys that the map may refer to: begin() is an array

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gort/bench/workloads/map_slices.h>
#include <gort/bench/workloads/random.h>
#include <gort/bench/workloads/report.h>

namespace gort::bench {

template <class B>
class MapCases {
 public:
  MapCases(std::string kind, std::uint64_t keys, std::uint64_t ops)
      : name_(std::move(kind) + '/' + std::to_string(keys)),
        keys_(keys),
        repetitions_(ops < keys ? 1 : ops / keys) {}

  void run_int64() {
    Random random(1);
    std::vector<std::uint64_t> keys(keys_), misses(keys_);
    for (std::uint64_t& k : keys) k = random.next();
    for (std::uint64_t& k : misses) k = random.next();
    typename B::IntMap map = B::template make<typename B::IntMap>();
    insert(map, keys.data(), [&keys](std::uint64_t i) { return keys[i]; });
    shuffle(keys, keys_, random);
    read(map, keys.data(), misses.data());
    each("churn", [&](std::uint64_t& checksum) {
      for (std::uint64_t i = 0; i < keys_; ++i) {
        const std::uint64_t old = keys[i];
        B::erase(map, old);
        keys[i] = old + 1;
        B::assign(map, keys[i], old);
      }
      checksum = B::size(map);
    });
    map = {};
    remove<typename B::IntMap>(keys.data(), [&keys](std::uint64_t i) { return keys[i]; });
  }

  void run_string() {
    Random random(1);
    typename B::Strings key_strings(keys_, random), other_strings(keys_, random);
    auto* const keys = key_strings.begin();
    auto* const others = other_strings.begin();
    typename B::StringMap map = B::template make<typename B::StringMap>();
    insert(map, keys, [](std::uint64_t i) { return i; });
    shuffle(keys, keys_, random);
    read(map, keys, others);
    each("churn", [&](std::uint64_t& checksum) {
      for (std::uint64_t i = 0; i < keys_; ++i) {
        B::erase(map, keys[i]);
        B::assign(map, others[i], i);
        std::swap(keys[i], others[i]);
      }
      checksum = B::size(map);
    });
    map = {};
    remove<typename B::StringMap>(keys, [](std::uint64_t i) { return i; });
  }

 private:
  // Calls f(checksum) as often as this case is repeated, and prints the line.
  template <class F>
  void each(const char* name, F f) {
    once(name, [&](std::uint64_t& checksum) {
      for (std::uint64_t i = 0; i < repetitions_; ++i) f(checksum);
    });
  }
  template <class F>
  void once(const char* name, F f) {
    B::collect();
    std::uint64_t checksum = 0;
    Measurement m;
    f(checksum);
    m.stop();
    Line("map", name_ + '/' + name, B::kName).add(keys_ * repetitions_, m, checksum).print();
  }

  template <class M, class Key, class Value>
  void insert(M& map, const Key* keys, Value value) {
    each("insert", [&](std::uint64_t& checksum) {
      M fresh = B::template make<M>();
      for (std::uint64_t i = 0; i < keys_; ++i) B::assign(fresh, keys[i], value(i));
      map = std::move(fresh);
      checksum = B::size(map);
    });
  }

  template <class M, class Key, class Value>
  void remove(const Key* keys, Value value) {
    on_full_maps<M>("delete", keys, value, [&](M& map) {
      for (std::uint64_t i = 0; i < keys_; ++i) B::erase(map, keys[i]);
    });
    on_full_maps<M>("clear", keys, value, [](M& map) { B::clear(map); });
  }

  template <class M, class Key, class Value, class F>
  void on_full_maps(const char* name, const Key* keys, Value value, F f) {
    typename B::template Many<M> maps(repetitions_);
    const auto count = static_cast<std::ptrdiff_t>(repetitions_);
    for (std::ptrdiff_t n = 0; n < count; ++n) {
      M map = B::template make<M>();
      for (std::uint64_t i = 0; i < keys_; ++i) B::assign(map, keys[i], value(i));
      maps.begin()[n] = std::move(map);
    }
    once(name, [&](std::uint64_t& checksum) {
      for (std::ptrdiff_t n = 0; n < count; ++n) {
        f(maps.begin()[n]);
        checksum += keys_ - B::size(maps.begin()[n]);
      }
    });
  }

  template <class M, class Key>
  void read(const M& map, const Key* keys, const Key* misses) {
    each("hit", [&](std::uint64_t& checksum) {
      std::uint64_t sum = 0;
      for (std::uint64_t i = 0; i < keys_; ++i) sum += *B::find(map, keys[i]);
      checksum += sum;
    });
    each("miss", [&](std::uint64_t& checksum) {
      std::uint64_t found = 0;
      for (std::uint64_t i = 0; i < keys_; ++i) found += B::find(map, misses[i]) != nullptr;
      checksum += found;
    });
    each("iterate", [&](std::uint64_t& checksum) { checksum += B::sum(map); });
  }

  std::string name_;
  std::uint64_t keys_;
  std::uint64_t repetitions_;
};

/// One string key of the workload.
inline std::string string_key(Random& random) {
  return "user:" + std::to_string(random.next() >> 32);
}

/// Maps with the interface of std::unordered_map, and strings outside of them.
template <template <class, class> class Map>
struct StandardMaps {
  using IntMap = Map<std::uint64_t, std::uint64_t>;
  using StringMap = Map<std::string_view, std::uint64_t>;

  static void start() {}
  static void collect() {}
  template <class M>
  static M make() {
    return M();
  }
  template <class M, class Key>
  static const std::uint64_t* find(const M& map, const Key& key) {
    const auto found = map.find(key);
    return found == map.end() ? nullptr : &found->second;
  }
  template <class M, class Key>
  static void assign(M& map, const Key& key, std::uint64_t value) {
    map[key] = value;
  }
  template <class M, class Key>
  static void erase(M& map, const Key& key) {
    map.erase(key);
  }
  template <class M>
  static void clear(M& map) {
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

  template <class M>
  using Many = std::vector<M>;

  class Strings {
   public:
    Strings(std::uint64_t n, Random& random) {
      for (std::uint64_t i = 0; i < n; ++i) bytes_.push_back(string_key(random));
      views_.assign(bytes_.begin(), bytes_.end());
    }
    std::string_view* begin() { return views_.data(); }

   private:
    std::vector<std::string> bytes_;
    std::vector<std::string_view> views_;
  };
};

template <class B>
int map_main(int argc, char** argv) {
  const auto number = [argv](int i) { return std::strtoull(argv[i], nullptr, 10); };
  const std::string_view workload = argc > 3 ? argv[1] : "";
  const std::string_view kind = argc > 3 ? argv[2] : "";
  const bool all = workload == "map" && argc == 5 && number(4) != 0;
  const bool slices = workload == "map_slices" && argc == 4;
  if ((!all && !slices) || (kind != "int64" && kind != "string") || number(3) == 0) {
    std::fprintf(stderr, "usage: %s map int64|string KEYS OPS | map_slices int64|string KEYS\n",
                 argv[0]);
    return 2;
  }
  B::start();
  if (slices) {
    map_slices<B>(kind, number(3));
    return 0;
  }
  MapCases<B> cases(std::string(kind), number(3), number(4));
  if (kind == "int64") {
    cases.run_int64();
  } else {
    cases.run_string();
  }
  return 0;
}

}  // namespace gort::bench
