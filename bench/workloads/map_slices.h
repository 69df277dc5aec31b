#pragma once

// map_slices int64|string KEYS: the operations of the map workload (map.h), a slice whenever it is
// asked for one. Programs that take turns by slices meet the same states of the machine, programs
// of whole seconds do not (scaling.h); bench/slices.pl asks two of them, and divides.
//
//     standard input:   a line "hit", "miss", "iterate", "churn" or "insert"
//     standard output:  "ready", then a line a slice: nanoseconds an operation, and a checksum of
//                       what was done
//
// A slice is kSlice operations. Of a larger map it is the next so many keys, but loops and inserts
// are of all; of a smaller map, all keys as often as it takes. An operation of "churn" is both: a
// key is deleted and another inserted. "insert" is a new map from empty, and the map before goes.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <gort/bench/workloads/random.h>
#include <gort/bench/workloads/report.h>

namespace gort::bench {

/// A map M of implementation B (map.h), and `n` keys in it and `n` others. Made on the stack, where
/// a collector looks for the map.
template <class B, class M, class Key>
class MapSlices {
 public:
  MapSlices(Key* keys, Key* others, std::uint64_t n) : keys_(keys), others_(others), n_(n) {}

  void serve(Random& random) {
    insert_all(map_);
    shuffle(keys_, n_, random);
    B::collect();
    std::puts("ready");
    std::fflush(stdout);
    char line[16];
    while (std::fgets(line, sizeof line, stdin) != nullptr) {
      std::string_view name(line);
      if (name.ends_with('\n')) name.remove_suffix(1);
      if (!slice(name)) {
        std::printf("no such operation: %s\n", line);
        return;
      }
      std::fflush(stdout);
    }
  }

 private:
  static constexpr std::uint64_t kSlice = 400'000;

  bool slice(std::string_view name) {
    const std::uint64_t part = std::min(n_, kSlice);
    const std::uint64_t repetitions = kSlice / part;
    std::uint64_t count = part;
    std::uint64_t sum = 0;
    const std::int64_t start = now_ns();
    const auto for_part = [&](auto f) {
      for (std::uint64_t r = 0; r < repetitions; ++r) {
        for (std::uint64_t i = at_; i < at_ + part; ++i) f(i);
      }
    };
    if (name == "hit") {
      // Of strings a few come twice: one is not there any more when the other has been deleted.
      for_part([&](std::uint64_t i) {
        if (const std::uint64_t* value = B::find(map_, keys_[i])) sum += *value;
      });
    } else if (name == "miss") {
      for_part([&](std::uint64_t i) { sum += B::find(map_, others_[i]) != nullptr; });
    } else if (name == "churn") {
      for_part([&](std::uint64_t i) {
        B::erase(map_, keys_[i]);
        B::assign(map_, others_[i], i);
        std::swap(keys_[i], others_[i]);
      });
      sum = B::size(map_);
    } else if (name == "iterate") {
      count = n_;
      for (std::uint64_t r = 0; r < repetitions; ++r) sum += B::sum(map_);
    } else if (name == "insert") {
      count = n_;
      for (std::uint64_t r = 0; r < repetitions; ++r) {
        M fresh = B::template make<M>();
        insert_all(fresh);
        map_ = std::move(fresh);
      }
      sum = B::size(map_);
    } else {
      return false;
    }
    const auto ns = static_cast<double>(now_ns() - start);
    at_ = at_ + 2 * part <= n_ ? at_ + part : 0;
    std::printf("%.2f %016llx\n", ns / static_cast<double>(count * repetitions),
                static_cast<unsigned long long>(sum));
    return true;
  }

  void insert_all(M& map) {
    for (std::uint64_t i = 0; i < n_; ++i) B::assign(map, keys_[i], i);
  }

  Key* const keys_;
  Key* const others_;
  const std::uint64_t n_;
  M map_ = B::template make<M>();
  std::uint64_t at_ = 0;  // where the next part begins
};

template <class B>
void map_slices(std::string_view kind, std::uint64_t n) {
  Random random(1);
  if (kind == "int64") {
    std::vector<std::uint64_t> keys(n), others(n);
    for (std::uint64_t& k : keys) k = random.next();
    for (std::uint64_t& k : others) k = random.next();
    MapSlices<B, typename B::IntMap, std::uint64_t>(keys.data(), others.data(), n).serve(random);
  } else {
    typename B::Strings keys(n, random), others(n, random);
    using Key = std::remove_reference_t<decltype(*keys.begin())>;
    MapSlices<B, typename B::StringMap, Key>(keys.begin(), others.begin(), n).serve(random);
  }
}

}  // namespace gort::bench
