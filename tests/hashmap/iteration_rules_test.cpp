// Go's rules of iteration, all at once: random steps against a model of the rules.
//
// The model gives every insertion of an absent key a number, its incarnation; deletion and clear
// end it. An iteration may visit only incarnations that exist at that moment, each at most once,
// with the value it has then; and when it ends, it has visited every incarnation that existed from
// its beginning to its end.
//
// NaN. Every insertion of a NaN is a new incarnation: it cannot be found, changed or erased, and
// only clear() ends it. As all values differ, a visited NaN is known by its value.
//
// +0 and -0 are one key, written as the last assignment wrote it.
//
// clear() within an iteration ends what is not visited yet, but for what Go before 1.21 gets wrong:
// clear() then zeroes the current array and nothing else, not the old array of a growth, nor the
// overflow bucket in which an iteration stands. An incarnation that it has ended may come once,
// with the value it had.
//
// So may a NaN that rebuild() leaves out, if the iteration walks another array than the map's, or
// began within a growth.
//
// clear() makes the spare overflow buckets of the array spare again. If the iteration stands in one
// of them, it will be handed out to another chain, and what is inserted into that chain may come
// twice, in Go too: where the iteration stands, and when it comes to the chain.
//
// Nothing else comes twice, however often the map becomes empty and gets another seed.

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
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

/// A double too large for a bucket.
using WideDouble = std::array<double, 17>;

/// The part of a key that may be NaN, or the sign of zero.
template <class K>
inline constexpr bool kFloating = false;
template <>
inline constexpr bool kFloating<double> = true;
template <>
inline constexpr bool kFloating<WideDouble> = true;

double first(double x) { return x; }
double first(const WideDouble& x) { return x[0]; }

constexpr long kWave = 12;  // keys that share a bucket, more than it has cells

// The same in every process, so that a seed repeats a run.
struct FixedHash {
  template <class K>
  std::uint64_t operator()(const K& key, std::uint32_t seed) const {
    if constexpr (kFloating<K>) {
      if (std::isnan(first(key))) return hashmap::random_bits();
    }
    const std::uint64_t number = static_cast<std::uint64_t>(Sample<K>::number(key));
    return mix64(number ^ std::uint64_t{seed} << 32);
  }
};

/// Twelve keys in a row have one bucket.
struct WaveHash {
  template <class K>
  std::uint64_t operator()(const K& key, std::uint32_t seed) const {
    if constexpr (kFloating<K>) {
      if (std::isnan(first(key))) return hashmap::random_bits();
    }
    const std::uint64_t number = static_cast<std::uint64_t>(Sample<K>::number(key));
    return mix64(number / kWave ^ std::uint64_t{seed} << 32) ^ number % kWave << 56;
  }
};

struct Mix {
  bool wipe = false;                    ///< the map wipes eagerly, and walks are rare
  std::uint64_t clear_one_in = 40'000;  ///< steps
  std::uint64_t policy_one_in = 0;      ///< steps; 0: none
  GoVersion rules{};
  long universe = 2000;               ///< keys
  std::uint64_t empty_one_in = 2000;  ///< hundreds of steps: by erasing
};

template <class K, class V, class Hash>
class RuleModel {
  using M = Map<K, V, Hash>;

 public:
  RuleModel(std::uint64_t seed, long universe, const Mix& mix)
      : random_(seed),
        mix_(mix),
        keys_(make_array<K>(static_cast<std::size_t>(universe))),
        universe_(universe),
        map_(make_map<K, V, Hash>()) {
    for (long i = 0; i < universe; ++i) keys_.get()[i] = Sample<K>::make(i);
    wipe_eagerly(map_.get(), mix_.wipe);
  }

  void step() {
    if (one_in(mix_.clear_one_in)) clear();
    if (mix_.policy_one_in != 0 && one_in(mix_.policy_one_in)) policy();
    switch (random_.below(100)) {
      default:
        std::is_same_v<Hash, WaveHash> ? surge() : drift();
        break;
      case 0:
      case 1:
        if (!mix_.wipe || one_in(100)) begin_walk();
        break;
      case 2:
        if constexpr (kFloating<K>) try_nan();
        break;
      case 3:
        if (one_in(mix_.empty_one_in)) empty_by_erasing();
        break;
      case 4:
        // A map that has its largest array never doubles again.
        if (one_in(30)) remake();
        break;
      case 5:
      case 6:
      case 7:
        if constexpr (kFloating<K>) add_nan();
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
    REQUIRE(map_->size() == model_.size() + nans_.size());
  }

  long finished_walks() const { return finished_; }
  long visits() const { return visits_; }
  long nan_visits() const { return nan_visits_; }
  long stale_visits() const { return stale_visits_; }
  long policies() const { return policies_; }

 private:
  struct Entry {
    long incarnation;
    long value;
    bool minus;  ///< the key is -0
  };
  struct Stale {
    long key;
    long incarnation;
  };
  static constexpr long kNan = -1;

  struct Walk {
    typename M::iterator at;
    std::unordered_set<long> visited;
    std::unordered_set<long> present;         ///< since the beginning
    std::unordered_map<long, Stale> cleared;  ///< may still come; by value
    const void* buckets;
    const void* oldbuckets;
    long twice_from;  ///< incarnations from this number on may come twice
    std::unordered_set<long> came_twice;
    std::uint64_t pace;
  };

  bool one_in(std::uint64_t n) { return random_.below(n) == 0; }
  long some_key() {
    return static_cast<long>(random_.below(static_cast<std::uint64_t>(universe_)));
  }

  // The wanted size wanders, so that growth, stalled growth and shrinkage all happen.
  void drift() {
    if (one_in(2000)) wanted_ = random_.below(static_cast<std::uint64_t>(universe_));
    const long i = some_key();
    const bool insert = random_.below(100) < (model_.size() < wanted_ ? 75U : 30U);
    insert ? set(i) : erase(i);
  }

  // Fills one bucket and one more, and leaves a pair or two.
  void surge() {
    if (wave_at_ == 2 * kWave) {
      wave_ = some_key() / kWave * kWave;
      wave_at_ = 0;
    }
    const long i = wave_ + wave_at_ % kWave;
    if (i < universe_) wave_at_ < kWave ? set(i) : one_in(8) ? void() : erase(i);
    ++wave_at_;
  }

  /// The key of this number; of zero, either sign.
  K key(long i, bool minus) const {
    if constexpr (kFloating<K>) {
      if (i == 0 && minus) return negative(keys_.get()[0]);
    }
    return keys_.get()[i];
  }
  static double negative(double x) { return -x; }
  static WideDouble negative(WideDouble x) {
    for (double& part : x) part = -part;
    return x;
  }
  bool any_minus(long i) { return i == 0 && kFloating<K> && one_in(2); }

  void set(long i) {
    const long value = ++values_;
    const bool minus = any_minus(i);
    map_->insert_or_assign(key(i, minus), Sample<V>::make(value));
    const auto [at, added] = model_.try_emplace(i, Entry{incarnations_, value, minus});
    if (added) ++incarnations_;
    at->second.value = value;
    at->second.minus = minus;
  }
  void erase(long i) { REQUIRE(map_->erase(key(i, any_minus(i))) == (model_.erase(i) == 1)); }
  void empty_by_erasing() {
    while (!model_.empty()) erase(model_.begin()->first);
  }

  K nan() const {
    if constexpr (std::is_same_v<K, WideDouble>) {
      WideDouble out{};
      out[0] = std::nan("");
      return out;
    } else {
      return K(std::nan(""));
    }
  }
  void add_nan() {
    if (nans_.size() >= static_cast<std::size_t>(universe_) / 2) return;
    const long value = ++values_;
    REQUIRE(map_->insert_or_assign(nan(), Sample<V>::make(value)));
    nans_.emplace(value, incarnations_++);
  }
  void try_nan() {
    const std::size_t before = map_->size();
    REQUIRE(map_->find(nan()) == nullptr);
    REQUIRE_FALSE(map_->erase(nan()));
    REQUIRE(map_->size() == before);
  }

  void clear() {
    const hashmap::Header& at = *map_->header();
    const bool all = mix_.rules < GoVersion{1, 21} && (at.growing() || at.noverflow > 0);
    for (const auto& walk : walks_) {
      if (stands_in_spare(*walk)) walk->twice_from = std::min(walk->twice_from, incarnations_);
      if (!all) continue;
      for (const auto& [i, entry] : model_) {
        walk->cleared.emplace(entry.value, Stale{i, entry.incarnation});
      }
      may_still_come(*walk, [](long) { return true; });
    }
    map_->clear();
    forget_all();
  }
  /// The NaNs with these values.
  template <class F>
  void may_still_come(Walk& walk, F&& which) {
    for (const auto& [value, incarnation] : nans_) {
      if (which(value)) walk.cleared.emplace(value, Stale{kNan, incarnation});
    }
  }
  /// In a spare overflow bucket of the array that a clear keeps; where keys and values are objects
  /// of their own, nobody can tell.
  bool stands_in_spare(const Walk& walk) const {
    const hashmap::Header& at = *map_->header();
    if (walk.buckets != at.buckets) return false;
    const hashmap::MapType& type = M::type();
    if (type.indirect_key() && type.indirect_elem()) return true;
    const auto* const cell = type.indirect_elem() ? reinterpret_cast<const char*>(&walk.at.key())
                                                  : reinterpret_cast<const char*>(&walk.at.value());
    return cell >= type.bucket(at.buckets, at.bucket_count()) &&
           cell < static_cast<const char*>(at.buckets) + gc::block_size(at.buckets);
  }
  void forget_all() {
    model_.clear();
    nans_.clear();
  }

  void policy() {
    ++policies_;
    const auto some_room = [this] { return random_.below(static_cast<std::uint64_t>(universe_)); };
    switch (random_.below(13)) {
      case 0:
      case 1:
        rebuild(map_.get(), some_room());
        break;
      case 2:
      case 3:
        rebuild_with(1 + static_cast<long>(random_.below(4)), some_room());
        break;
      case 4:
      case 5:
        shrink_to_fit(map_.get());
        break;
      case 6:
      case 7:
        compact(map_.get());
        break;
      case 8:
      case 9:
      case 10:
        evacuate(map_.get(), random_.below(200));
        break;
      default:
        if (!one_in(4)) break;
        one_in(2) ? clear_sparse(map_.get()) : clear_and_release(map_.get());
        forget_all();
    }
  }
  // Leaves out each pair whose value is a multiple of n + 1.
  void rebuild_with(long n, std::uint64_t hint) {
    const auto leave_out = [n](long value) { return value % (n + 1) == 0; };
    const hashmap::Header& at = *map_->header();
    for (const auto& walk : walks_) {
      const bool seen_to = walk->buckets == at.buckets && walk->oldbuckets == at.buckets;
      if (at.growing() || !seen_to) may_still_come(*walk, leave_out);
    }
    rebuild(map_.get(), hint,
            [&](const K&, const V& value) { return !leave_out(Sample<V>::number(value)); });
    std::erase_if(model_, [&](const auto& pair) { return leave_out(pair.second.value); });
    std::erase_if(nans_, [&](const auto& pair) { return leave_out(pair.first); });
  }

  void remake() {
    finish_walks();
    map_ = make_map<K, V, Hash>();
    wipe_eagerly(map_.get(), mix_.wipe);
    forget_all();
    wanted_ = random_.below(static_cast<std::uint64_t>(universe_));
  }

  void begin_walk() {
    if (walks_.size() >= 4) return;
    auto walk = std::make_unique<Walk>();
    for (const auto& [i, entry] : model_) walk->present.insert(entry.incarnation);
    for (const auto& [value, incarnation] : nans_) walk->present.insert(incarnation);
    walk->twice_from = std::numeric_limits<long>::max();
    walk->pace = 1 + random_.below(8);
    const hashmap::Header& at = *map_->header();
    walk->buckets = at.buckets;
    walk->oldbuckets = at.growing() ? at.oldbuckets : at.buckets;
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
      const auto check = [&walk](long key, long incarnation) {
        if (walk.present.count(incarnation) == 0) return;
        INFO("key " << key << " was there from beginning to end and not visited");
        REQUIRE(walk.visited.count(incarnation) == 1);
      };
      for (const auto& [i, entry] : model_) check(i, entry.incarnation);
      for (const auto& [value, incarnation] : nans_) check(kNan, incarnation);
      return false;
    }
    ++visits_;
    const long incarnation = incarnation_at(walk);
    INFO("visited incarnation " << incarnation);
    if (!walk.visited.insert(incarnation).second) {
      REQUIRE(incarnation >= walk.twice_from);
      REQUIRE(walk.came_twice.insert(incarnation).second);
    }
    return true;
  }

  // What the walk stands on, if the rules allow it to stand there.
  long incarnation_at(const Walk& walk) {
    const long value = Sample<V>::number(walk.at.value());
    const long number = number_of(walk.at.key());
    INFO("visited key " << number << ", value " << value);
    if (number == kNan) {
      ++nan_visits_;
      if (const auto found = nans_.find(value); found != nans_.end()) return found->second;
    } else if (const auto found = model_.find(number);
               found != model_.end() && found->second.value == value) {
      if constexpr (kFloating<K>) {
        REQUIRE(std::signbit(first(walk.at.key())) == found->second.minus);
      }
      return found->second.incarnation;
    }
    ++stale_visits_;
    const auto found = walk.cleared.find(value);
    REQUIRE(found != walk.cleared.end());
    REQUIRE(found->second.key == number);
    return found->second.incarnation;
  }
  static long number_of(const K& key) {
    if constexpr (kFloating<K>) {
      if (std::isnan(first(key))) return kNan;
    }
    return Sample<K>::number(key);
  }

  Random random_;
  const Mix mix_;
  Root<K> keys_;
  long universe_;
  Root<M> map_;
  std::unordered_map<long, Entry> model_;
  std::unordered_map<long, long> nans_;  // value -> incarnation
  std::vector<std::unique_ptr<Walk>> walks_;
  std::uint64_t wanted_ = 0;
  long wave_ = 0;
  long wave_at_ = 0;
  long incarnations_ = 0;
  long values_ = 0;
  long finished_ = 0;
  long visits_ = 0;
  long nan_visits_ = 0;
  long stale_visits_ = 0;
  long policies_ = 0;
};

struct Seen {
  long nan_visits;
  long stale_visits;
};

struct DefaultSettings {
  ~DefaultSettings() {
    set_map_rules({});
    set_map_random({});
  }
};

template <class K, class V, class Hash = FixedHash>
Seen follow_the_rules(long steps, std::uint64_t collect_every, const Mix& mix = {}) {
  const std::uint64_t seed = test_seed();
  const Runtime runtime({.gc_percent = -1,
                         .conservative_stacks = false,
                         .collect_every = collect_every,
                         .poison = true});
  const DefaultSettings restore;
  Random map_random(seed + 1);
  set_map_random({[](void* random) { return static_cast<Random*>(random)->next(); }, &map_random});
  set_map_rules(mix.rules);
  RuleModel<K, V, Hash> model(seed, mix.universe, mix);
  for (long i = 0; i < steps; ++i) {
    model.step();
    if (i % 4096 == 0) model.check_map();
  }
  model.finish_walks();
  model.check_map();
  CHECK(model.finished_walks() > steps / 20000);
  CHECK(model.visits() > steps / (mix.wipe ? 100 : 10));
  if (mix.policy_one_in != 0) {
    CHECK(model.policies() > steps / static_cast<long>(2 * mix.policy_one_in));
  }
  return {model.nan_visits(), model.stale_visits()};
}

constexpr Mix kWipe{.wipe = true};
constexpr Mix kClears{.clear_one_in = 500};
constexpr Mix kPolicies{.policy_one_in = 300};
constexpr Mix kPoliciesAndClears{.wipe = true, .clear_one_in = 2000, .policy_one_in = 300};
constexpr Mix kEmptied{.clear_one_in = 500, .universe = 150, .empty_one_in = 1};
constexpr Mix kClears119{.clear_one_in = 500, .rules = {1, 19}};

}  // namespace

TEST_CASE("rules of iteration: random steps, pointer-free buckets", "[hashmap][iteration]") {
  CHECK(follow_the_rules<long, long>(1000000, 97).stale_visits == 0);
}
TEST_CASE("rules of iteration: random steps, buckets with references", "[hashmap][iteration]") {
  CHECK(follow_the_rules<String, Ref<Node>>(400000, 4001).stale_visits == 0);
}
TEST_CASE("rules of iteration: random steps, eager wipe", "[hashmap][iteration][policy]") {
  follow_the_rules<long, long>(500000, 97, kWipe);
  follow_the_rules<String, Ref<Node>>(200000, 4001, kWipe);
}
TEST_CASE("rules of iteration: random steps, clear in loops", "[hashmap][iteration][clear]") {
  CHECK(follow_the_rules<long, long>(300000, 97, kClears).stale_visits == 0);
  CHECK(follow_the_rules<long, long>(300000, 97, kClears119).stale_visits > 0);
  CHECK(follow_the_rules<String, Ref<Node>>(100000, 997, kClears).stale_visits == 0);
  CHECK(follow_the_rules<String, Ref<Node>>(300000, 997, kClears119).stale_visits > 0);
}
TEST_CASE("rules of iteration: random steps, maps that become empty",
          "[hashmap][iteration][clear]") {
  follow_the_rules<long, long>(200000, 97, kEmptied);
  follow_the_rules<long, Ref<Node>>(200000, 4001, kEmptied);
  follow_the_rules<double, long>(100000, 97, kEmptied);
  follow_the_rules<long, long, WaveHash>(100000, 97, kEmptied);
}
TEST_CASE("rules of iteration: random steps, growths of the same size", "[hashmap][iteration]") {
  follow_the_rules<long, long, WaveHash>(300000, 97);
  follow_the_rules<long, Ref<Node>, WaveHash>(300000, 4001);
  follow_the_rules<long, long, WaveHash>(300000, 97, kClears);
  follow_the_rules<long, Ref<Node>, WaveHash>(300000, 4001, kClears119);
}
TEST_CASE("rules of iteration: random steps, NaN keys", "[hashmap][iteration][nan]") {
  CHECK(follow_the_rules<double, long>(300000, 97).nan_visits > 10000);
  CHECK(follow_the_rules<double, Ref<Node>>(200000, 4001).nan_visits > 10000);
  follow_the_rules<double, long>(200000, 97, kWipe);
  const Seen seen = follow_the_rules<double, long>(300000, 97, kClears);
  const Seen before = follow_the_rules<double, long>(300000, 97, kClears119);
  CHECK(seen.stale_visits == 0);
  CHECK(before.stale_visits > 0);
}
TEST_CASE("rules of iteration: random steps, policies", "[hashmap][iteration][policy]") {
  CHECK(follow_the_rules<long, long>(300000, 97, kPolicies).stale_visits == 0);
  CHECK(follow_the_rules<String, Ref<Node>>(100000, 4001, kPolicies).stale_visits == 0);
  CHECK(follow_the_rules<long, long>(200000, 97, kPoliciesAndClears).stale_visits == 0);
  follow_the_rules<long, Ref<Node>, WaveHash>(200000, 4001, kPolicies);
}
TEST_CASE("rules of iteration: random steps, policies, NaN", "[hashmap][iteration][policy][nan]") {
  CHECK(follow_the_rules<double, long>(300000, 97, kPolicies).nan_visits > 10000);
  CHECK(follow_the_rules<double, Ref<Node>>(100000, 4001, kPolicies).nan_visits > 3000);
  follow_the_rules<double, long, WaveHash>(100000, 97, kPolicies);
}
TEST_CASE("rules of iteration: millions of steps", "[hashmap][iteration][.slow]") {
  follow_the_rules<long, long>(20000000, 997);
  follow_the_rules<String, Ref<Node>>(5000000, 9973);
  follow_the_rules<Bytes136, Bytes136>(2000000, 9973);
}
TEST_CASE("rules of iteration: millions of steps, NaN keys", "[hashmap][iteration][nan][.slow]") {
  for (const Mix& mix : {Mix{}, kWipe, kClears, kClears119, kPolicies, kPoliciesAndClears}) {
    follow_the_rules<double, long>(5000000, 997, mix);
    follow_the_rules<double, Ref<Node>>(2000000, 9973, mix);
    follow_the_rules<WideDouble, long>(1000000, 9973, mix);
    follow_the_rules<long, long>(5000000, 997, mix);
  }
}
TEST_CASE("rules of iteration: millions of steps, maps that become empty",
          "[hashmap][iteration][clear][.slow]") {
  for (Mix mix : {kEmptied, kWipe, kClears119, kPolicies, kPoliciesAndClears}) {
    mix.empty_one_in = 1;
    for (const long universe : {12L, 40L, 150L, 600L}) {
      mix.universe = universe;
      follow_the_rules<long, long>(1000000, 997, mix);
      follow_the_rules<long, Ref<Node>>(500000, 9973, mix);
      follow_the_rules<double, long>(1000000, 997, mix);
      follow_the_rules<long, long, WaveHash>(1000000, 997, mix);
      follow_the_rules<double, Ref<Node>, WaveHash>(500000, 9973, mix);
    }
  }
}
