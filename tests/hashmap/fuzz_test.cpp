// Random operations on a map and on a std::unordered_map side by side, with a collection at every
// Nth allocation, marks verified, dead memory poisoned, and nothing but roots keeping objects
// alive: whatever map code forgets to link, pin or clear shows as a wrong value or a failed check.

#include <catch2/catch.hpp>

#include <unordered_map>

#include <gort/base/random.h>
#include <gort/tests/hashmap/samples.h>
#include <gort/tests/support/seed.h>

using namespace gort;
using namespace gort_test;

namespace {

template <class K, class V, class Hash = DefaultHash<K>>
class Fuzz {
 public:
  Fuzz(std::uint64_t seed, long universe)
      : random_(seed),
        universe_(universe),
        keys_(make_array<K>(static_cast<std::size_t>(universe))),
        map_(make_map<K, V, Hash>(random_.below(20))) {
    for (long i = 0; i < universe; ++i) keys_.get()[i] = Sample<K>::make(i);
  }

  void step() {
    const long i = static_cast<long>(random_.below(static_cast<std::uint64_t>(universe_)));
    const K& key = keys_.get()[i];
    const std::uint64_t choice = random_.below(1000);
    if (choice == 0 && random_.below(10) == 0) {
      map_->clear();
      model_.clear();
    } else if (choice < 5) {
      // Phases of growing, of shrinking, of standing still.
      inserts_ = 200 + random_.below(600);
    } else if (choice < 100) {
      const V* value = map_->find(key);
      const auto found = model_.find(i);
      REQUIRE((value != nullptr) == (found != model_.end()));
      if (value != nullptr) REQUIRE(Sample<V>::number(*value) == found->second);
    } else if (choice < 100 + inserts_) {
      const V value = Sample<V>::make(++written_);
      REQUIRE(map_->insert_or_assign(key, value) == (model_.count(i) == 0));
      model_[i] = written_;
    } else {
      REQUIRE(map_->erase(key) == (model_.erase(i) == 1));
    }
  }

  void check() const {
    const char* wrong = hashmap::find_inconsistency(map_->header(), map_->type());
    if (wrong != nullptr) FAIL(wrong);
    REQUIRE(map_->size() == model_.size());
    std::size_t visits = 0;
    for (const auto& [key, value] : *map_) {
      const auto found = model_.find(Sample<K>::number(key));
      REQUIRE(found != model_.end());
      REQUIRE(Sample<V>::number(value) == found->second);
      ++visits;
    }
    REQUIRE(visits == model_.size());
  }

 private:
  Random random_;
  long universe_;
  Root<K> keys_;
  Root<Map<K, V, Hash>> map_;
  std::unordered_map<long, long> model_;
  std::uint64_t inserts_ = 600;
  long written_ = 0;
};

template <class K, class V, class Hash = DefaultHash<K>>
void fuzz(long steps) {
  Random random(test_seed());
  hashmap::WriteWay& way = hashmap::Table<K, V, Hash>::write_way;
  for (const std::uint64_t every : {std::uint64_t{1}, 2 + random.below(50)}) {
    const Runtime runtime({.gc_percent = -1,
                           .conservative_stacks = random.below(2) == 0,
                           .collect_every = every,
                           .verify = true,
                           .poison = true});
    const long universe = every == 1 ? 60 : 700;
    Fuzz<K, V, Hash> run(random.next(), universe);
    for (long i = 0; i < (every == 1 ? steps / 10 : steps); ++i) {
      run.step();
      if (i % 512 == 0) {
        run.check();
        way.set_mask_from(way.masks(0) ? hashmap::WriteWay::kNever : 0);
      }
    }
    run.check();
  }
  way.set_mask_from(hashmap::WriteWay::kNever);
}

}  // namespace

TEST_CASE("fuzz: plain keys and values", "[hashmap][fuzz]") { fuzz<long, long>(300000); }
TEST_CASE("fuzz: int keys and values", "[hashmap][fuzz]") { fuzz<int, int>(300000); }
TEST_CASE("fuzz: floating-point keys", "[hashmap][fuzz]") { fuzz<double, int>(200000); }
TEST_CASE("fuzz: String to Ref", "[hashmap][fuzz]") { fuzz<String, Ref<Node>>(30000); }
TEST_CASE("fuzz: Ref to String", "[hashmap][fuzz]") { fuzz<Ref<Node>, String>(30000); }
TEST_CASE("fuzz: values that mix references and data", "[hashmap][fuzz]") {
  fuzz<long, Mixed>(20000);
}
TEST_CASE("fuzz: values of their own", "[hashmap][fuzz]") { fuzz<long, Bytes136>(30000); }
TEST_CASE("fuzz: keys and values of their own, with references", "[hashmap][fuzz]") {
  fuzz<Wide, Wide, SampleHash>(20000);
}

TEST_CASE("fuzz: long runs", "[hashmap][fuzz][.slow]") {
  fuzz<long, long>(10000000);
  fuzz<String, Ref<Node>>(1000000);
  fuzz<Wide, Wide, SampleHash>(300000);
}
