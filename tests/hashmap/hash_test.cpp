// What the default hash promises: keys in steps of any power of two spread as well as random ones
// would, in the low bits (buckets) and the high ones (tophash), for every seed; and keys chosen to
// collide in one map do not collide in another.
//
// A seed here is all 64 bits that go into the hash: the random word of the process is taken out
// again, so that every run looks at the same seeds.

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <gort/base/random.h>
#include <gort/tests/hashmap/samples.h>

using namespace gort;
using namespace gort_test;

namespace {

constexpr std::uint64_t kSeeds = 100;
constexpr std::size_t kBuckets = 2048;
constexpr std::uint64_t kKeys = 10000;

struct Spread {
  std::size_t overflow = 0;  ///< overflow buckets that these keys would need
  std::size_t top_peak = 0;  ///< keys with the most frequent tophash
};

template <class KeyOf>
Spread spread(std::uint64_t seed, KeyOf&& key_of) {
  std::vector<std::size_t> buckets(kBuckets);
  std::vector<std::size_t> tops(256);
  for (std::uint64_t i = 0; i < kKeys; ++i) {
    const std::uint64_t hash = hashmap::hash_key(key_of(i), seed ^ hashmap::hash_secret.first);
    ++buckets[hash & (kBuckets - 1)];
    ++tops[hash >> 56];
  }
  Spread out;
  for (const std::size_t n : buckets) out.overflow += n == 0 ? 0 : (n - 1) / 8;
  out.top_peak = *std::max_element(tops.begin(), tops.end());
  return out;
}

template <class Part>
struct PlainPair {
  Part x{}, y{};
  GORT_PLAIN_KEY();
};

// Random keys need 124 overflow buckets here, with a standard deviation of 9 (168 was the most in a
// million tries), and give a tophash 39 keys on average (82 the most).
constexpr std::size_t kOverflowLimit = 190;
constexpr std::size_t kTopLimit = 90;

template <class KeyOf>
void check_spread(KeyOf&& key_of) {
  Random random(1);
  for (std::uint64_t s = 0; s < kSeeds; ++s) {
    const Spread got = spread(random.next(), key_of);
    CHECK(got.overflow <= kOverflowLimit);
    CHECK(got.top_peak <= kTopLimit);
  }
}

}  // namespace

TEST_CASE("integers in steps of every power of two spread", "[hashmap][hash]") {
  for (unsigned shift = 0; shift <= 50; ++shift) {
    INFO("step 2^" << shift);
    check_spread([shift](std::uint64_t i) { return i << shift; });
  }
}

// Found by trying 1.5 million: with one round of folding and a plain multiplication these two need
// 311 and 234 overflow buckets.
TEST_CASE("no seed is unlucky for integers in steps", "[hashmap][hash]") {
  CHECK(spread(0x851072b201bb82d3, [](std::uint64_t i) { return i << 50; }).overflow <=
        kOverflowLimit);
  CHECK(spread(0x32a5148f091ce805, [](std::uint64_t i) { return i << 40; }).overflow <=
        kOverflowLimit);
}

TEST_CASE("integers in decimal steps spread", "[hashmap][hash]") {
  for (std::uint64_t step = 3; step < 100000000000; step *= 10) {
    INFO("step " << step);
    check_spread([step](std::uint64_t i) { return i * step; });
  }
}

TEST_CASE("floating-point keys spread", "[hashmap][hash]") {
  check_spread([](std::uint64_t i) { return static_cast<double>(i); });
  check_spread([](std::uint64_t i) { return static_cast<double>(i) / 100; });
  check_spread([](std::uint64_t i) { return static_cast<float>(i); });
}

TEST_CASE("pairs and arrays spread", "[hashmap][hash]") {
  check_spread([](std::uint64_t i) {
    return std::pair<int, int>(static_cast<int>(i / 100), static_cast<int>(i % 100));
  });
  check_spread([](std::uint64_t i) {
    const int x = static_cast<int>(i);
    return std::array<int, 3>{x % 22, x / 22 % 22, x / 484};
  });
}

TEMPLATE_TEST_CASE("small plain structs are hashed as integers, and spread", "[hashmap][hash]",
                   std::uint8_t, std::uint16_t, std::uint32_t) {
  using Key = PlainPair<TestType>;
  CHECK(hashmap::hash_key(Key{1, 2}, 3) ==
        hashmap::hash_word(1 + (std::uint64_t{2} << 8 * sizeof(TestType)), 3));
  if (sizeof(TestType) == 1) return;  // has not so many values
  check_spread([](std::uint64_t i) {
    return Key{static_cast<TestType>(i / 100), static_cast<TestType>(i % 100)};
  });
  check_spread([](std::uint64_t i) {
    return Key{static_cast<TestType>(i % 256 * 256), static_cast<TestType>(i / 256)};
  });
}

// Like every key: else whoever knows the program could choose keys that collide.
TEST_CASE("the hash of a large plain struct depends on the process's random word",
          "[hashmap][hash]") {
  using Key = PlainPair<std::uint64_t>;
  const Key key{1, 2};
  CHECK(hashmap::hash_key(key, 3) != hashmap::hash_bytes(&key, sizeof key, 3));
  CHECK(hashmap::hash_key(key, 3 ^ hashmap::hash_secret.first) ==
        hashmap::hash_bytes(&key, sizeof key, 3));
}

TEST_CASE("strings spread", "[hashmap][hash]") {
  const Runtime runtime({.gc_percent = -1});
  check_spread([](std::uint64_t i) {
    thread_local std::string text;
    text = "user:" + std::to_string(i);
    return String::from_static(text);
  });
}

TEST_CASE("strings of every length spread", "[hashmap][hash]") {
  const Runtime runtime({.gc_percent = -1});
  // Numbers in `width` digits, before and behind bytes that are all the same.
  for (std::size_t width = 4; width <= 20; ++width) {
    for (const bool before : {false, true}) {
      INFO("width " << width << (before ? ", before" : ", behind"));
      check_spread([width, before](std::uint64_t i) {
        thread_local std::string text;
        text.assign(width, 'x');
        for (std::size_t at = 0; at < 4; ++at, i /= 10) {
          text[before ? 3 - at : width - 1 - at] = static_cast<char>('0' + i % 10);
        }
        return String::from_static(text);
      });
    }
  }
}

TEST_CASE("the length of a string counts", "[hashmap][hash]") {
  std::set<std::uint64_t> hashes;
  const std::string zeros(40, '\0');
  for (std::size_t n = 0; n <= zeros.size(); ++n) {
    hashes.insert(hashmap::hash_key(std::string_view(zeros).substr(0, n), 1));
  }
  CHECK(hashes.size() == zeros.size() + 1);
}

TEST_CASE("every byte of a string counts", "[hashmap][hash]") {
  for (std::size_t size = 1; size <= 40; ++size) {
    std::string text(size, 'a');
    const std::uint64_t hash = hashmap::hash_key(std::string_view(text), 1);
    for (char& byte : text) {
      byte = 'b';
      CHECK(hashmap::hash_key(std::string_view(text), 1) != hash);
      byte = 'a';
    }
  }
}

// 60 keys of one bucket, found by somebody who can ask for the hashes of the map that he attacks.
TEMPLATE_TEST_CASE("a hostile key set is hostile to one map only", "[hashmap][hash]", long,
                   String) {
  const Runtime runtime({.gc_percent = -1});
  constexpr std::uint32_t kAttacked = 12345;
  const Root<TestType> keys = make_array<TestType>(60);
  for (long candidate = 0, found = 0; found < 60; ++candidate) {
    const TestType key = Sample<TestType>::make(candidate);
    if ((DefaultHash<TestType>{}(key, kAttacked) & 1023) == 7) keys.get()[found++] = key;
  }
  const auto longest_chain = [&keys](std::uint32_t seed) {
    const Root<Map<TestType, long>> map = make_map<TestType, long>(6000);  // 1024 buckets
    map->header()->hash0 = seed;
    for (long i = 0; i < 60; ++i) (*map)[keys.get()[i]] = 1;
    return inspect(*map).longest_chain;
  };
  CHECK(longest_chain(kAttacked) == 8);
  Random random(2);
  for (int i = 0; i < 100; ++i) {
    CHECK(longest_chain(static_cast<std::uint32_t>(random.next())) <= 2);
  }
}

TEST_CASE("two maps with the same keys have them in different order", "[hashmap][hash]") {
  const Runtime runtime;
  std::vector<std::vector<std::uint8_t>> tops;
  for (int i = 0; i < 2; ++i) {
    const Root<Map<long, long>> map = make_map<long, long>(100);
    for (long k = 0; k < 100; ++k) (*map)[k] = k;
    std::vector<std::uint8_t>& mine = tops.emplace_back();
    hashmap::visit_buckets(*map->header(), map->type(), [&mine](const hashmap::BucketView& bucket) {
      mine.insert(mine.end(), bucket.tophash(), bucket.tophash() + hashmap::kCells);
    });
  }
  CHECK(tops[0] != tops[1]);
}
