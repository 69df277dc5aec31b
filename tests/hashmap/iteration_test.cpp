// Go's rules of iteration, one by one, and then all of them at once against a model of the rules.
//
// The model gives every insertion of an absent key a number, its incarnation; deletion and clear
// end it. An iteration may visit only incarnations that exist at that moment, each at most once,
// with the value it has then; and when it ends, it has visited every incarnation that existed from
// its beginning to its end.

#include <catch2/catch.hpp>

#include <cmath>
#include <memory>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <gort/base/random.h>
#include <gort/hashmap/policies.h>
#include <gort/tests/hashmap/samples.h>
#include <gort/tests/support/seed.h>

using namespace gort;
using namespace gort_test;

namespace {

// The same in every process, so that a seed repeats a run.
struct FixedHash {
  template <class K>
  std::uint64_t operator()(const K& key, std::uint32_t seed) const {
    return mix64(static_cast<std::uint64_t>(Sample<K>::number(key)) ^ std::uint64_t{seed} << 32);
  }
};

template <class K, class V>
class RuleModel {
  using M = Map<K, V, FixedHash>;

 public:
  /// With `wipe` the map wipes eagerly, and walks are rare: no wipe happens within one.
  RuleModel(std::uint64_t seed, long universe, bool wipe)
      : random_(seed),
        wipe_(wipe),
        keys_(make_array<K>(static_cast<std::size_t>(universe))),
        universe_(universe),
        map_(make_map<K, V, FixedHash>()) {
    for (long i = 0; i < universe; ++i) keys_.get()[i] = Sample<K>::make(i);
    wipe_eagerly(map_.get(), wipe_);
  }

  void step() {
    switch (random_.below(100)) {
      default:
        drift();
        break;
      case 0:
      case 1:
        if (!wipe_ || random_.below(100) == 0) begin_walk();
        break;
      case 2:
        if (random_.below(400) == 0) clear();
        break;
      case 3:
        if (random_.below(2000) == 0) empty_by_erasing();
        break;
      case 4:
        // A map that has its largest array never doubles again.
        if (random_.below(30) == 0) remake();
        break;
    }
    for (std::size_t i = 0; i < walks_.size();) {
      // Some walks run, some stand still through whole growths.
      if (random_.below(8) >= walks_[i]->pace || advance(*walks_[i])) {
        ++i;
      } else {
        std::swap(walks_[i], walks_.back());
        walks_.pop_back();
      }
    }
  }

  void finish_walks() {
    for (const auto& walk : walks_) {
      while (advance(*walk)) {
      }
    }
    walks_.clear();
  }

  void check_map() {
    REQUIRE(hashmap::find_inconsistency(map_->header(), M::type()) == nullptr);
    REQUIRE(map_->size() == model_.size());
  }

  long finished_walks() const { return finished_; }
  long visits() const { return visits_; }

 private:
  struct Entry {
    long incarnation;
    long value;
  };
  struct Walk {
    typename M::iterator at;
    std::unordered_set<long> visited;
    std::unordered_set<long> present;  // since the beginning
    std::uint64_t pace;
  };

  // The wanted size wanders, so that growth, stalled growth and shrinkage all happen.
  void drift() {
    if (random_.below(2000) == 0) wanted_ = random_.below(static_cast<std::uint64_t>(universe_));
    const long i = static_cast<long>(random_.below(static_cast<std::uint64_t>(universe_)));
    const bool insert = random_.below(100) < (model_.size() < wanted_ ? 75U : 30U);
    insert ? set(i) : erase(i);
  }

  void set(long i) {
    const long value = ++values_;
    map_->insert_or_assign(keys_.get()[i], Sample<V>::make(value));
    const auto [at, added] = model_.try_emplace(i, Entry{incarnations_, value});
    if (added) ++incarnations_;
    at->second.value = value;
  }
  void erase(long i) { REQUIRE(map_->erase(keys_.get()[i]) == (model_.erase(i) == 1)); }
  void clear() {
    map_->clear();
    model_.clear();
  }
  void empty_by_erasing() {
    while (!model_.empty()) erase(model_.begin()->first);
  }

  void remake() {
    finish_walks();
    map_ = make_map<K, V, FixedHash>();
    wipe_eagerly(map_.get(), wipe_);
    model_.clear();
    wanted_ = random_.below(static_cast<std::uint64_t>(universe_));
  }

  void begin_walk() {
    if (walks_.size() >= 4) return;
    auto walk = std::make_unique<Walk>();
    for (const auto& [key, entry] : model_) walk->present.insert(entry.incarnation);
    walk->pace = 1 + random_.below(8);
    walk->at = map_->begin();
    if (take(*walk)) walks_.push_back(std::move(walk));
  }

  bool advance(Walk& walk) {
    ++walk.at;
    return take(walk);
  }

  // Checks what the walk stands on, or at its end, that nothing was left out.
  bool take(Walk& walk) {
    if (walk.at == std::default_sentinel) {
      ++finished_;
      for (const auto& [key, entry] : model_) {
        if (walk.present.count(entry.incarnation) == 0) continue;
        INFO("key " << key << " was there from beginning to end and not visited");
        REQUIRE(walk.visited.count(entry.incarnation) == 1);
      }
      return false;
    }
    ++visits_;
    const long key = Sample<K>::number(walk.at.key());
    INFO("visited key " << key);
    const auto found = model_.find(key);
    REQUIRE(found != model_.end());
    REQUIRE(Sample<V>::number(walk.at.value()) == found->second.value);
    REQUIRE(walk.visited.insert(found->second.incarnation).second);
    return true;
  }

  Random random_;
  bool wipe_;
  Root<K> keys_;
  long universe_;
  Root<M> map_;
  std::unordered_map<long, Entry> model_;
  std::vector<std::unique_ptr<Walk>> walks_;
  std::uint64_t wanted_ = 0;
  long incarnations_ = 0;
  long values_ = 0;
  long finished_ = 0;
  long visits_ = 0;
};

template <class K, class V>
void follow_the_rules(long steps, std::uint64_t collect_every, bool wipe = false) {
  const std::uint64_t seed = test_seed();
  INFO("GORT_TEST_SEED=" << seed);
  const Runtime runtime({.gc_percent = -1,
                         .conservative_stacks = false,
                         .collect_every = collect_every,
                         .poison = true});
  Random map_random(seed + 1);
  set_map_random({[](void* random) { return static_cast<Random*>(random)->next(); }, &map_random});
  RuleModel<K, V> model(seed, 2000, wipe);
  for (long i = 0; i < steps; ++i) {
    model.step();
    if (i % 4096 == 0) model.check_map();
  }
  model.finish_walks();
  model.check_map();
  CHECK(model.finished_walks() > steps / 20000);
  CHECK(model.visits() > steps / (wipe ? 100 : 10));
  set_map_random({});
}

}  // namespace

TEST_CASE("rules of iteration: random steps, pointer-free buckets", "[hashmap][iteration]") {
  follow_the_rules<long, long>(1000000, 97);
}
TEST_CASE("rules of iteration: random steps, buckets with references", "[hashmap][iteration]") {
  follow_the_rules<String, Ref<Node>>(400000, 4001);
}
TEST_CASE("rules of iteration: random steps, eager wipe", "[hashmap][iteration][policy]") {
  follow_the_rules<long, long>(500000, 97, true);
  follow_the_rules<String, Ref<Node>>(200000, 4001, true);
}
TEST_CASE("rules of iteration: millions of steps", "[hashmap][iteration][.slow]") {
  follow_the_rules<long, long>(20000000, 997);
  follow_the_rules<String, Ref<Node>>(5000000, 9973);
  follow_the_rules<Bytes136, Bytes136>(2000000, 9973);
}

TEST_CASE("an empty map has no first pair", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(0);
  CHECK(map->begin() == map->end());
  (*map)[1] = 1;
  map->erase(1);
  CHECK(map->begin() == map->end());
}

TEST_CASE("iteration starts at a random pair", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(100);
  std::set<long> first;
  for (int i = 0; i < 200; ++i) first.insert(map->begin().key());
  CHECK(first.size() > 20);
}

TEST_CASE("all pairs may be erased in the loop", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(1000);
  long visits = 0;
  for (const auto& [key, value] : *map) {
    CHECK(map->erase(key));
    ++visits;
  }
  CHECK(visits == 1000);
  CHECK(map->empty());
}

TEST_CASE("a pair that is erased before its turn is not visited", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(1000);
  std::set<long> erased;
  for (const auto& [key, value] : *map) {
    CHECK(erased.count(key) == 0);
    const long other = key ^ 1;
    if (map->erase(other)) erased.insert(other);
  }
}

TEST_CASE("growth in the loop: nothing missed, nothing twice", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(1000);
  std::set<long> seen;
  long added = 1000;
  for (const auto& [key, value] : *map) {
    CHECK(seen.insert(key).second);
    if (added < 9000) {
      for (int i = 0; i < 10; ++i, ++added) (*map)[added] = added;
    }
  }
  for (long i = 0; i < 1000; ++i) CHECK(seen.count(i) == 1);
}

TEST_CASE("a value written in the loop is the one that is visited", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(416);  // one more grows
  bool first = true;
  for (const auto& [key, value] : *map) {
    if (first) {
      first = false;
      for (long i = 0; i < 1000; ++i) (*map)[i] = i + 5;
      continue;
    }
    CHECK(value == key + 5);
  }
}

TEST_CASE("what the loop variable holds is a copy", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(10);
  for (auto [key, value] : *map) {
    const long kept = value;
    (*map)[key] = -1;
    CHECK(value == kept);
    value = 77;
  }
  for (long i = 0; i < 10; ++i) CHECK(map->get(i) == -1);
}

TEST_CASE("dropping or remaking the map does not stop the loop", "[hashmap][iteration]") {
  const Runtime runtime({.gc_percent = -1, .conservative_stacks = false, .poison = true});
  Root<LongMap> map = filled(1000);
  long visits = 0;
  for (const auto& [key, value] : *map) {
    if (visits == 0) map = nullptr;
    if (visits == 500) map = filled(3);
    if (visits % 100 == 0) collect();
    CHECK(key == value);
    ++visits;
  }
  CHECK(visits == 1000);
}

TEST_CASE("NaN keys are visited once each, through growths", "[hashmap][iteration][nan]") {
  const Runtime runtime;
  const Root<Map<double, long>> map = make_map<double, long>();
  for (long i = 0; i < 300; ++i) (*map)[std::nan("")] = i;
  for (const bool in_growth : {false, true}) {
    if (in_growth) {
      while (!inspect(*map).growing) (*map)[std::nan("")] = -1;
    }
    std::set<long> seen;
    long added = 0;
    for (const auto& [key, value] : *map) {
      if (value >= 0) CHECK(seen.insert(value).second);
      if (added++ < 2000) (*map)[std::nan("")] = -1;
    }
    CHECK(seen.size() == 300);
  }
}

TEST_CASE("a loop begun within a stalled growth sees everything once", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(417);
  REQUIRE(inspect(*map).growing);
  std::set<long> seen;
  for (const auto& [key, value] : *map) CHECK(seen.insert(key).second);
  CHECK(seen.size() == 417);
  CHECK(inspect(*map).growing);  // reading never advances a growth
}

TEST_CASE("a loop within an old chain survives the end of the growth", "[hashmap][iteration]") {
  const Runtime runtime({.gc_percent = -1, .conservative_stacks = false, .poison = true});
  for (int round = 0; round < 10; ++round) {
    // Of pointer-free buckets the lists keep spare ones, and with them the whole old array.
    const Root<Map<long, Ref<Node>>> map = make_map<long, Ref<Node>>();
    for (long i = 0; i < 417; ++i) (*map)[i] = nullptr;
    REQUIRE(inspect(*map).growing);
    std::set<long> seen;
    for (const auto& [key, value] : *map) {
      CHECK(seen.insert(key).second);
      if (seen.size() != static_cast<std::size_t>(round + 1)) continue;
      while (inspect(*map).growing) map->erase(-1);
      collect();
    }
    CHECK(seen.size() == 417);
  }
}

TEST_CASE("several loops over one map do not disturb each other", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(100);
  long pairs = 0;
  for (const auto& [a, x] : *map) {
    for (const auto& [b, y] : *map) pairs += a == b;
  }
  CHECK(pairs == 100);
}

TEST_CASE("a copy of an iterator goes its own way", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(50);
  auto one = map->begin();
  for (int i = 0; i < 20; ++i) ++one;
  auto two = one;
  std::vector<long> rest_one;
  std::vector<long> rest_two;
  for (; one != map->end(); ++one) rest_one.push_back(one.key());
  for (; two != map->end(); ++two) rest_two.push_back(two.key());
  CHECK(rest_one == rest_two);
  CHECK(rest_one.size() == 30);
}

TEST_CASE("iteration leaves its flags until the next growth", "[hashmap][iteration]") {
  const Runtime runtime;
  const Root<LongMap> map = filled(416);
  CHECK(inspect(*map).flags == 0);
  for (const auto& pair : *map) (void)pair;
  CHECK(inspect(*map).flags == (hashmap::kIterator | hashmap::kOldIterator));
  (*map)[416] = 0;
  CHECK(inspect(*map).growing);
  CHECK(inspect(*map).flags == hashmap::kOldIterator);
}
