// Misuse that ends the process, with Go's words and Go's exit status 2; and the one that throws.
//
// A key whose operator== does something to the map is the way to be inside an operation on purpose:
// insert and erase compare keys while the map is marked as being written. The value compared also
// stands for "another thread", which in a real race would be there by chance.

#include <catch2/catch.hpp>

#include <functional>
#include <stdexcept>
#include <thread>

#include <gort/hashmap/inspect.h>
#include <gort/hashmap/policies.h>
#include <gort/tests/hashmap/fragile.h>
#include <gort/tests/hashmap/samples.h>
#include <gort/tests/support/child.h>

using namespace gort;
using namespace gort_test;

namespace {

struct NosyKey {
  long number = 0;
  GORT_POINTER_FREE();
  friend bool operator==(const NosyKey& a, const NosyKey& b) {
    if (on_compare) std::exchange(on_compare, nullptr)();
    return a.number == b.number;
  }
  static inline std::function<void()> on_compare;
};
struct NosyHash {
  std::uint64_t operator()(const NosyKey& key, std::uint32_t seed) const {
    return hashmap::hash_word(static_cast<std::uint64_t>(key.number), seed);
  }
};
using NosyMap = Map<NosyKey, long, NosyHash>;

/// Fills a map, and each of its growths is interrupted by exceptions that `countdown` brings about.
/// `looping`: as if loops were under way, for which keys are compared with themselves.
template <class K, class V, class Hash>
void grow_with_exceptions(long& countdown, bool looping = false) {
  const Runtime runtime;
  const Root<Map<K, V, Hash>> map = make_map<K, V, Hash>();
  int thrown = 0;
  for (long i = 0; i < 200; ++i) {
    bool done = false;
    for (long k = 1; !done; ++k) {
      if (looping) (void)map->begin();
      countdown = k;
      try {
        map->insert_or_assign(i, i);
        done = true;
      } catch (const std::runtime_error&) {
        ++thrown;
      }
      countdown = 0;
      REQUIRE((map->header()->load_flags() & hashmap::kWriting) == 0);
      REQUIRE(hashmap::find_inconsistency(map->header(), map->type()) == nullptr);
    }
    for (long j = 0; j < i; ++j) REQUIRE(static_cast<long>(*map->find(j)) == j);
  }
  CHECK(thrown > 100);
}

/// Its operator- divides.
struct Divided {
  long number = 0;
  GORT_POINTER_FREE();
  friend Divided operator-(Divided a, long b) {
    if (b == 0) throw std::domain_error("division by zero");
    return {a.number / b};
  }
};

// Runs `outer`, and within its first comparison of keys `inner`, in a child process.
template <class Outer, class Inner>
ChildResult within(Outer outer, Inner inner) {
  return in_child([&] {
    const Runtime runtime;
    const Root<NosyMap> map = make_map<NosyKey, long, NosyHash>();
    for (long i = 0; i < 5; ++i) (*map)[NosyKey{i}] = i;
    NosyKey::on_compare = [&] { inner(*map); };
    outer(*map);
  });
}

void check_fatal(const ChildResult& result, const std::string& words) {
  CHECK(result.exit_code == 2);
  CHECK(result.errors.substr(0, result.errors.find('\n')) == "fatal error: " + words);
}

void put(const NosyMap& map) { map[NosyKey{1}] = 9; }
void take_out(const NosyMap& map) { map.erase(NosyKey{1}); }
void look_up(const NosyMap& map) { (void)map.find(NosyKey{1}); }
void begin_loop(const NosyMap& map) { (void)map.begin(); }
void loop_over(const NosyMap& map) {
  for (const auto& pair : map) (void)pair;
}
void clear_all(const NosyMap& map) { map.clear(); }

// Gives the other thread a turn within the operation, so that they meet soon on any machine. Each
// thread has a key of its own, and the values have no bytes: nothing but the flag is shared, and
// whatever the threads do until it is noticed is defined.
struct PatientKey {
  long number = 0;
  GORT_POINTER_FREE();
  friend bool operator==(const PatientKey& a, const PatientKey& b) {
    std::this_thread::yield();
    return a.number == b.number;
  }
};
struct PatientHash {
  std::uint64_t operator()(const PatientKey& key, std::uint32_t /*seed*/) const {
    return static_cast<std::uint64_t>(key.number + 100) << 56;
  }
};
using PatientMap = Map<PatientKey, Unit, PatientHash>;

template <class One, class Other>
ChildResult together(One one, Other other) {
  return in_child([&] {
    const Runtime runtime;
    const Root<PatientMap> map = make_map<PatientKey, Unit, PatientHash>();
    map->insert_or_assign(PatientKey{1}, {});
    map->insert_or_assign(PatientKey{2}, {});
    std::thread second([&] {
      const AttachThread attach;
      other(*map, PatientKey{2});
    });
    one(*map, PatientKey{1});
    second.join();
  });
}
void put_over_and_over(const PatientMap& map, const PatientKey& key) {
  for (;;) map.insert_or_assign(key, {});
}
void find_over_and_over(const PatientMap& map, const PatientKey& key) {
  for (;;) (void)map.find(key);
}

}  // namespace

TEST_CASE("two writers at once", "[hashmap][misuse]") {
  check_fatal(within(put, put), "concurrent map writes");
  check_fatal(within(put, take_out), "concurrent map writes");
  check_fatal(within(take_out, put), "concurrent map writes");
  check_fatal(within(take_out, clear_all), "concurrent map writes");
}

TEST_CASE("a reader beside a writer", "[hashmap][misuse]") {
  check_fatal(within(put, look_up), "concurrent map read and map write");
  check_fatal(within(take_out, look_up), "concurrent map read and map write");
}

TEST_CASE("a loop beside a writer", "[hashmap][misuse]") {
  check_fatal(within(put, loop_over), "concurrent map iteration and map write");
  check_fatal(within(put, begin_loop), "concurrent map iteration and map write");
}

TEST_CASE("a writer finds at its end that another one has been there", "[hashmap][misuse]") {
  const auto other_writer_ends = [](const NosyMap& map) {
    map.header()->remove_flags(hashmap::kWriting);
  };
  check_fatal(within(put, other_writer_ends), "concurrent map writes");
  check_fatal(within(take_out, other_writer_ends), "concurrent map writes");
}

TEST_CASE("a policy beside a writer", "[hashmap][misuse][policy]") {
  const auto rebuild_it = [](const NosyMap& map) { rebuild(map, 100); };
  const auto rebuild_around_a_write = [](const NosyMap& map) {
    rebuild(map, 0, [&map](const NosyKey&, long) { return put(map), true; });
  };
  const auto evacuate_it = [](const NosyMap& map) { (void)evacuate(map); };
  const auto clear_it = [](const NosyMap& map) { clear_sparse(map); };
  const auto release_it = [](const NosyMap& map) { clear_and_release(map); };
  const auto nothing = [](const NosyMap&) {};
  check_fatal(within(put, rebuild_it), "concurrent map writes");
  check_fatal(within(rebuild_around_a_write, nothing), "concurrent map writes");
  check_fatal(within(put, evacuate_it), "concurrent map writes");
  check_fatal(within(put, clear_it), "concurrent map writes");
  check_fatal(within(put, release_it), "concurrent map writes");
}

TEST_CASE("two threads that write without a lock", "[hashmap][misuse][threads]") {
  check_fatal(together(put_over_and_over, put_over_and_over), "concurrent map writes");
}

TEST_CASE("a thread that reads beside one that writes", "[hashmap][misuse][threads]") {
  check_fatal(together(put_over_and_over, find_over_and_over), "concurrent map read and map write");
}

TEST_CASE("readers may be many, and size() is never checked", "[hashmap][misuse]") {
  CHECK(within(look_up, look_up).exit_code == 0);
  CHECK(within(look_up, loop_over).exit_code == 0);
  CHECK(within(put, [](const NosyMap& map) { (void)map.size(); }).exit_code == 0);
}

TEST_CASE("reading an empty map is not checked, as in Go", "[hashmap][misuse]") {
  const Runtime runtime;
  const Root<Map<long, long>> map = make_map<long, long>();
  map->header()->add_flags(hashmap::kWriting);
  CHECK(map->find(1) == nullptr);
  CHECK(map->begin() == map->end());
  CHECK_FALSE(map->erase(1));
  map->clear();
  map->header()->remove_flags(hashmap::kWriting);
}

TEST_CASE("a nil map reads as empty", "[hashmap][nil]") {
  const Runtime runtime;
  const Map<long, String> map;
  CHECK(map == nullptr);
  CHECK_FALSE(map);
  CHECK(map.empty());
  CHECK(map.find(1) == nullptr);
  CHECK_FALSE(map.contains(1));
  CHECK(map.get(1) == "");
  CHECK(String(map[1]) == "");
  CHECK_FALSE(map.erase(1));
  CHECK(map.begin() == map.end());
  map.clear();
  CHECK(inspect(map).bytes == 0);
  CHECK(map == Map<long, String>(nullptr));
}

TEST_CASE("writing to a nil map throws Go's words", "[hashmap][nil]") {
  const Runtime runtime;
  const Map<String, long> map;
  const auto text_of = [](auto&& f) -> std::string {
    try {
      f();
    } catch (const std::logic_error& error) {
      return error.what();
    }
    return "no exception";
  };
  const std::string words = "assignment to entry in nil map";
  CHECK(text_of([&] { map["a"] = 1; }) == words);
  CHECK(text_of([&] { map["a"] += 1; }) == words);
  CHECK(text_of([&] { map.insert_or_assign(String("a"), 1); }) == words);
}

TEST_CASE("an exception out of a key's comparison leaves no writing flag behind",
          "[hashmap][misuse]") {
  const Runtime runtime;
  const Root<NosyMap> map = make_map<NosyKey, long, NosyHash>();
  (*map)[NosyKey{1}] = 1;
  NosyKey::on_compare = [] { throw std::runtime_error("stop"); };
  CHECK_THROWS_AS((*map)[NosyKey{1}] = 2, std::runtime_error);
  CHECK(map->header()->load_flags() == 0);
  (*map)[NosyKey{1}] = 3;
  CHECK(map->get(NosyKey{1}) == 3);
}

TEST_CASE("an exception out of a hash or a copy while a chain moves changes nothing",
          "[hashmap][misuse]") {
  grow_with_exceptions<long, long, FragileHash>(FragileHash::countdown);
  grow_with_exceptions<Fragile, long, SteadyHash>(Fragile::countdown);
  grow_with_exceptions<long, Fragile, SteadyHash>(Fragile::countdown);
}

TEST_CASE("an exception out of a comparison while a chain moves changes nothing",
          "[hashmap][misuse]") {
  grow_with_exceptions<RemoteKey, long, LocalHash>(RemoteKey::countdown, true);
}

TEST_CASE("a chain is moved back although comparisons throw then too", "[hashmap][misuse]") {
  grow_with_exceptions<RemoteKey, long, RemoteHash>(RemoteKey::countdown);
  grow_with_exceptions<RemoteKey, long, RemoteHash>(RemoteKey::countdown, true);
}

TEST_CASE("an operation that throws does not add the key it was for", "[hashmap][misuse]") {
  const Runtime runtime;
  const Root<Map<long, Divided>> map = make_map<long, Divided>();
  CHECK_THROWS_AS((*map)[7] -= 0, std::domain_error);
  CHECK(map->empty());
  (*map)[7] = Divided{10};
  CHECK_THROWS_AS((*map)[7] -= 0, std::domain_error);
  CHECK(map->get(7).number == 10);
  (*map)[7] -= 2;
  CHECK(map->get(7).number == 5);
}
