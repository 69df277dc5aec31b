// A growing map whose k-th allocation is refused, for every k.
//
// What can fail half way is the evacuation of a chain: its new chains need overflow buckets. Then
// the chain is as before, and so is whatever a loop decides by what it finds there. NaN keys are
// where that is at risk: nothing but the lowest bit of their tophash says to which new chain they
// go, and their evacuation draws a new tophash.

#include <catch2/catch.hpp>

#include <array>
#include <cmath>
#include <new>
#include <set>
#include <vector>

#include <gort/base/random.h>
#include <gort/tests/hashmap/refusal.h>
#include <gort/tests/hashmap/samples.h>
#include <gort/tests/support/seed.h>

using namespace gort;
using namespace gort_test;

namespace {

using WideDouble = std::array<double, 17>;  // too large for a bucket

double first(double x) { return x; }
double first(const WideDouble& x) { return x[0]; }
template <class K>
K key_of(double x) {
  K key{};
  if constexpr (std::is_same_v<K, double>) {
    key = x;
  } else {
    key[0] = x;
  }
  return key;
}

constexpr std::uint64_t kCrowded = 3;  // the bucket of all NaNs

/// Numbers name their bucket by the low bits, NaNs begin in one bucket.
struct CrowdedHash {
  template <class K>
  std::uint64_t operator()(const K& key, std::uint32_t /*seed*/) const {
    const std::uint64_t random = hashmap::random_bits();
    if (std::isnan(first(key))) return (random & ~std::uint64_t{7}) | kCrowded | (random >> 3 & 4U);
    return static_cast<std::uint64_t>(first(key)) | std::uint64_t{0x77} << 56;
  }
};

template <class K, class V>
class Life {
  using M = Map<K, V, CrowdedHash>;

 public:
  explicit Life(bool same_size) : map_(make_map<K, V, CrowdedHash>(kRoom)) {
    // Every other pair of the crowded bucket may go again.
    for (long i = 0; i < kRoom / 2; ++i) {
      add(std::nan(""));
      add(static_cast<double>(8 * i) + kCrowded);
    }
    begin_walk(3);
    if (same_size) {
      for (long i = 0; i < kRoom / 2; ++i) erase(static_cast<double>(8 * i) + kCrowded);
      // One overflow bucket more, and there are as many as buckets.
      for (long i = 0; map_->header()->noverflow < 4; ++i) add(static_cast<double>(8 * i));
    }
    add(1);
    add(5);
    REQUIRE(map_->header()->growing());
    REQUIRE(map_->header()->same_size_growth() == same_size);
    REQUIRE_FALSE(
        hashmap::Tops::load(M::type().bucket(map_->header()->oldbuckets, kCrowded)).evacuated());
    for (std::size_t visits = 0; visits < 24; ++visits) begin_walk(visits);
  }

  /// Writes until the map has grown again, with the k-th allocation refused. False if there were
  /// fewer.
  bool live(long k) {
    bool refused = false;
    Refusal::refuse(k);
    for (long i = 0; i < 40; ++i) {
      const double number = static_cast<double>(8 * (100 + i)) + (i % 2 == 0 ? kCrowded : 1);
      try {
        if (i % 3 == 0) {
          add(number);
        } else if (i % 3 == 1) {
          add(std::nan(""));
        } else {
          map_->erase(key_of<K>(7777));
        }
      } catch (const std::bad_alloc&) {
        refused = true;
        check();
      }
    }
    Refusal::allow();
    check();
    for (Walk& walk : walks_) {
      while (walk.at != std::default_sentinel) visit(walk);
      for (const long value : walk.present) {
        INFO("value " << value);
        REQUIRE((walk.seen.count(value) == 1 || (erased_.count(value) == 1)));
      }
    }
    return refused;
  }

 private:
  static constexpr long kRoom = 26;  // of four buckets

  struct Walk {
    typename M::iterator at;
    std::set<long> present;  // from the beginning
    std::set<long> seen;
  };

  void add(double number) {
    map_->insert_or_assign(key_of<K>(number), Sample<V>::make(values_));
    present_.insert(values_++);
  }
  void erase(double number) {
    const long value = Sample<V>::number(*map_->find(key_of<K>(number)));
    REQUIRE(map_->erase(key_of<K>(number)));
    present_.erase(value);
    erased_.insert(value);
  }

  void begin_walk(std::size_t visits) {
    Walk walk{map_->begin(), present_, {}};
    note(walk);
    while (walk.seen.size() <= visits && walk.at != std::default_sentinel) visit(walk);
    walks_.push_back(std::move(walk));
  }
  static void visit(Walk& walk) {
    ++walk.at;
    note(walk);
  }
  static void note(Walk& walk) {
    if (walk.at == std::default_sentinel) return;
    const long value = Sample<V>::number(walk.at.value());
    INFO("value " << value << ", NaN: " << std::isnan(first(walk.at.key())));
    REQUIRE(walk.seen.insert(value).second);
  }

  // A loop sees what is there, all of it and nothing twice.
  void check() {
    Refusal::allow();
    REQUIRE(hashmap::find_inconsistency(map_->header(), M::type()) == nullptr);
    std::multiset<long> seen;
    for (const auto& [key, value] : *map_) seen.insert(Sample<V>::number(value));
    REQUIRE(seen.size() == map_->size());
    REQUIRE(seen == std::multiset<long>(present_.begin(), present_.end()));
  }

  Root<M> map_;
  long values_ = 0;
  std::set<long> present_;
  std::set<long> erased_;
  std::vector<Walk> walks_;
};

template <class K, class V>
void refuse_each(bool same_size) {
  const Runtime runtime({.gc_percent = -1,
                         .conservative_stacks = false,
                         .collect_every = kAsksEveryTime,
                         .poison = true});
  Random random(test_seed());
  set_map_random({[](void* r) { return static_cast<Random*>(r)->next(); }, &random});
  {
    const Refusal refusal;
    for (int round = 0; round < 3; ++round) {
      long k = 1;
      for (bool refused = true; refused; ++k) {
        INFO("allocation " << k);
        refused = Life<K, V>(same_size).live(k);
      }
      CHECK(k > 8);  // there was much to refuse
    }
  }
  set_map_random({});
}

}  // namespace

TEST_CASE("any allocation of a doubling may be refused", "[hashmap][refusal][iteration][nan]") {
  refuse_each<double, long>(false);
  refuse_each<double, Ref<Node>>(false);
  refuse_each<WideDouble, long>(false);
}
TEST_CASE("any allocation of a growth of the same size may be refused",
          "[hashmap][refusal][iteration][nan]") {
  refuse_each<double, long>(true);
  refuse_each<double, Ref<Node>>(true);
  refuse_each<WideDouble, long>(true);
}
