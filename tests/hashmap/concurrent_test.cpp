// The concurrent maps: what each operation does, then all of them from several threads at once,
// with values that say which key they belong to and counters that must add up.

#include <catch2/catch.hpp>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include <gort/base/random.h>
#include <gort/hashmap/locked_map.h>
#include <gort/hashmap/sync_map.h>
#include <gort/tests/hashmap/samples.h>
#include <gort/tests/support/seed.h>

using namespace gort;
using namespace gort_test;

namespace {

const Options kThreaded{.gc_percent = 50};

// Runs `f(number)` on so many attached threads; the caller waits in a blocking region.
template <class F>
void on_threads(int count, F&& f) {
  std::vector<std::thread> threads;
  for (int t = 0; t < count; ++t) {
    threads.emplace_back([t, &f] {
      const AttachThread attach;
      f(t);
    });
  }
  const Blocking blocking;
  for (std::thread& thread : threads) thread.join();
}

// Writers store values that name their key; readers must never see another key's.
template <class M>
void readers_and_writers(M& map) {
  constexpr long kKeys = 200;
  std::atomic<long> wrong{0};
  on_threads(4, [&](int t) {
    Random random(test_seed() + static_cast<std::uint64_t>(t));
    for (int i = 0; i < 4000; ++i) {
      const long key = static_cast<long>(random.below(kKeys));
      const std::uint64_t choice = random.below(100);
      if (choice < 60) {
        const auto value = map.load(key);
        if (value && (*value)->value % kKeys != key) ++wrong;
      } else if (choice < 80) {
        const Ref<Node> node = Sample<Ref<Node>>::make(key + kKeys * i);
        map.store(key, node);
      } else if (choice < 99) {
        map.erase(key);
      } else if (random.below(10) == 0) {
        map.clear();
      }
    }
  });
  CHECK(wrong == 0);
  collect();
  for (long key = 0; key < kKeys; ++key) {
    if (const auto value = map.load(key)) CHECK((*value)->value % kKeys == key);
  }
}

}  // namespace

TEST_CASE("SyncMap: every operation", "[hashmap][concurrent]") {
  const Runtime runtime;
  SyncMap<long, long> map;
  CHECK_FALSE(map.load(1));
  map.store(1, 10);
  CHECK(map.load(1) == 10);
  CHECK(map.swap(1, 11) == 10);
  CHECK_FALSE(map.swap(2, 20));
  CHECK(map.load_or_store(2, 21) == std::pair<long, bool>(20, true));
  CHECK(map.load_or_store(3, 30) == std::pair<long, bool>(30, false));
  CHECK(map.compare_and_swap(3, 30, 31));
  CHECK_FALSE(map.compare_and_swap(3, 30, 32));
  CHECK_FALSE(map.compare_and_swap(9, 0, 1));
  CHECK_FALSE(map.compare_and_delete(3, 30));
  CHECK(map.compare_and_delete(3, 31));
  CHECK(map.load_and_delete(2) == 20);
  CHECK_FALSE(map.load_and_delete(2));
  CHECK(map.erase(1));
  CHECK_FALSE(map.erase(1));
  map.store(1, 12);
  CHECK(map.load(1) == 12);
  map.clear();
  CHECK_FALSE(map.load(1));
}

TEST_CASE("SyncMap: range visits what is there", "[hashmap][concurrent]") {
  const Runtime runtime;
  SyncMap<String, long> map;
  for (long i = 0; i < 100; ++i) map.store(Sample<String>::make(i), i);
  for (long i = 0; i < 100; i += 2) map.erase(Sample<String>::make(i));
  std::set<long> seen;
  map.range([&](const String& key, long value) {
    CHECK(Sample<String>::number(key) == value);
    CHECK(seen.insert(value).second);
    return true;
  });
  CHECK(seen.size() == 50);
  int calls = 0;
  map.range([&](const String&, long) { return ++calls < 7; });
  CHECK(calls == 7);
}

TEST_CASE("SyncMap: misses promote dirty", "[hashmap][concurrent]") {
  const Runtime runtime;
  SyncMap<long, long> map;
  for (long i = 0; i < 10; ++i) map.store(i, i);
  CHECK(map.keys_held() == std::pair<std::size_t, std::size_t>(0, 10));
  for (long i = 0; i < 9; ++i) (void)map.load(i);
  CHECK(map.keys_held() == std::pair<std::size_t, std::size_t>(0, 10));
  (void)map.load(9);
  CHECK(map.keys_held() == std::pair<std::size_t, std::size_t>(10, 0));
}

TEST_CASE("SyncMap: keys of deleted entries go with the next promotion", "[hashmap][concurrent]") {
  const Runtime runtime;
  SyncMap<long, long> map;
  for (long i = 0; i < 1000; ++i) map.store(i, i);
  map.range([](long, long) { return true; });
  for (long i = 0; i < 1000; ++i) map.erase(i);
  CHECK(map.keys_held().first == 1000);
  map.store(-1, -1);  // copies read.map: all entries become expunged
  CHECK(map.keys_held() == std::pair<std::size_t, std::size_t>(1000, 1));
  CHECK(map.swap(5, 50) == std::nullopt);  // an expunged one comes back
  CHECK(map.keys_held().second == 2);
  map.range([](long, long) { return true; });
  CHECK(map.keys_held() == std::pair<std::size_t, std::size_t>(2, 0));
  CHECK(map.load(5) == 50);
}

TEST_CASE("SyncMap: values survive collections", "[hashmap][concurrent]") {
  const Runtime runtime({.gc_percent = -1,
                         .conservative_stacks = false,
                         .collect_every = 3,
                         .verify = true,
                         .poison = true});
  SyncMap<String, Ref<Node>> map;
  for (int round = 0; round < 3; ++round) {
    for (long i = 0; i < 100; ++i) {
      const Root<Node> node(Sample<Ref<Node>>::make(i).get());
      map.store(Sample<String>::make(i), node.get());
    }
    for (long i = 0; i < 100; ++i) {
      const auto value = map.load(Sample<String>::make(i));
      REQUIRE(value);
      CHECK((*value)->value == i);
    }
    for (long i = round; i < 100; i += 3) map.erase(Sample<String>::make(i));
  }
}

TEST_CASE("SyncMap: concurrent additions by compare_and_swap all count", "[hashmap][concurrent]") {
  const Runtime runtime(kThreaded);
  SyncMap<long, long> map;
  on_threads(4, [&](int) {
    for (long i = 0; i < 2000; ++i) {
      const long key = i % 50;
      for (long seen = map.load_or_store(key, 0).first;
           !map.compare_and_swap(key, seen, seen + 1);) {
        seen = *map.load(key);
      }
    }
  });
  long sum = 0;
  map.range([&](long, long value) {
    sum += value;
    return true;
  });
  CHECK(sum == 4 * 2000);
}

TEST_CASE("SyncMap: of several load_and_delete one gets the value", "[hashmap][concurrent]") {
  const Runtime runtime(kThreaded);
  SyncMap<long, long> map;
  std::atomic<long> stored{0};
  std::atomic<long> deleted{0};
  on_threads(4, [&](int t) {
    for (long i = 0; i < 4000; ++i) {
      if (t % 2 == 0) {
        if (!map.load_or_store(i % 97, i).second) ++stored;
      } else if (map.load_and_delete(i % 89)) {
        ++deleted;
      }
    }
  });
  long left = 0;
  map.range([&](long, long) {
    ++left;
    return true;
  });
  CHECK(stored - deleted == left);
}

TEST_CASE("SyncMap: readers and writers", "[hashmap][concurrent]") {
  const Runtime runtime(kThreaded);
  SyncMap<long, Ref<Node>> map;
  readers_and_writers(map);
}

TEST_CASE("LockedMap: every operation", "[hashmap][concurrent]") {
  const Runtime runtime;
  LockedMap<String, long> map;
  CHECK(map.store("a", 1));
  CHECK_FALSE(map.store("a", 2));
  CHECK(map.load("a") == 2);
  CHECK(map.size() == 1);
  map.with_lock([](const Map<String, long>& inside) { inside["b"] += 5; });
  long sum = 0;
  map.range([&](const String&, long value) {
    sum += value;
    return true;
  });
  CHECK(sum == 7);
  CHECK(map.erase("a"));
  CHECK_FALSE(map.erase("a"));
  map.clear();
  CHECK(map.size() == 0);
}

TEST_CASE("LockedMap: readers and writers", "[hashmap][concurrent]") {
  const Runtime runtime(kThreaded);
  LockedMap<long, Ref<Node>> map;
  readers_and_writers(map);
}

TEST_CASE("LockedMap: a thread that waits for the lock does not hold up a collection",
          "[hashmap][concurrent]") {
  const Runtime runtime(kThreaded);
  LockedMap<long, long> map;
  on_threads(4, [&](int) {
    for (int i = 0; i < 20; ++i) {
      map.with_lock([](const Map<long, long>& inside) {
        inside[1] += 1;
        collect();
      });
    }
  });
  CHECK(map.load(1) == 80);
}

TEST_CASE("LockedMap: readers without a gap do not keep a writer out", "[hashmap][concurrent]") {
  const Runtime runtime(kThreaded);
  LockedMap<long, long> map;
  map.store(1, 1);
  std::atomic<bool> written{false};
  std::atomic<bool> gave_up{false};
  std::atomic<long> arrived{0};
  on_threads(3, [&](int t) {
    if (t == 0) {
      while (arrived < 10) safepoint();
      map.store(2, 2);
      written = true;
      return;
    }
    // Each holds the lock until the other has come, and then a little longer.
    for (int round = 0; round < 20000 && !written; ++round) {
      const long mine = ++arrived;
      map.range([&](long, long) {
        for (int i = 0, after = 0; i < 10000 && after < 100; ++i) {
          after += arrived != mine;
          std::this_thread::yield();
          safepoint();
        }
        return false;
      });
    }
    if (!written) gave_up = true;
  });
  CHECK_FALSE(gave_up);
}

TEST_CASE("LockedMap: within range() the map may be read, also while a writer waits",
          "[hashmap][concurrent]") {
  const Runtime runtime(kThreaded);
  LockedMap<long, long> map;
  LockedMap<long, long> other;
  map.store(1, 10);
  std::atomic<bool> writing{false};
  on_threads(2, [&](int t) {
    if (t == 0) {
      while (!writing) safepoint();
      map.store(2, 20);
      return;
    }
    map.range([&](long, long) {
      writing = true;
      for (int i = 0; i < 1000; ++i) {
        if (map.load(1) != 10 || map.size() != 1) return false;
        other.store(i, i);
        std::this_thread::yield();
      }
      return true;
    });
  });
  CHECK(other.size() == 1000);
  CHECK(map.load(2) == 20);
}

TEST_CASE("LockedMap: a write within range() is refused", "[hashmap][concurrent]") {
  const Runtime runtime;
  LockedMap<long, long> map;
  map.store(1, 10);
  const auto write = [&map](long key, long) { return map.erase(key); };
  CHECK_THROWS_AS(map.range(write), std::logic_error);
  CHECK(map.erase(1));
}

TEST_CASE("LockedMap: within with_lock() reads go through, writes are refused, the lock stays",
          "[hashmap][concurrent]") {
  const Runtime runtime(kThreaded);
  LockedMap<long, long> map;
  std::atomic<bool> asked{false};
  std::atomic<bool> inside{false};
  on_threads(2, [&](int t) {
    if (t == 0) {
      while (!asked) safepoint();
      map.store(2, 20);
      CHECK_FALSE(inside);
      return;
    }
    map.with_lock([&](const Map<long, long>& locked) {
      inside = true;
      locked[1] = 10;
      CHECK(map.size() == 1);
      CHECK(map.load(1) == 10);
      CHECK_THROWS_AS(map.store(3, 30), std::logic_error);
      CHECK_THROWS_AS(map.with_lock([](const auto&) {}), std::logic_error);
      asked = true;
      for (int i = 0; i < 1000; ++i) {
        std::this_thread::yield();
        safepoint();
      }
      CHECK(locked.size() == 1);
      inside = false;
    });
  });
  CHECK(map.load(2) == 20);
}

TEST_CASE("a thread that waits for the lock of a map keeps what it brought",
          "[hashmap][concurrent]") {
  const Runtime runtime({.gc_percent = -1, .conservative_stacks = false, .poison = true});
  const auto store_while_collecting = [](auto& map, auto&& hold) {
    std::atomic<bool> held{false};
    on_threads(2, [&](int t) {
      if (t == 0) {
        while (!held) safepoint();
        map.store(Sample<String>::make(1), Sample<Ref<Node>>::make(7));
        return;
      }
      hold([&] {
        held = true;
        for (int i = 0; i < 100; ++i) {
          const Blocking blocking;
          std::this_thread::yield();
        }
        collect();
      });
    });
    const auto value = map.load(Sample<String>::make(1));
    REQUIRE(value);
    CHECK((*value)->value == 7);
  };
  LockedMap<String, Ref<Node>> locked;
  store_while_collecting(locked, [&](auto&& f) { locked.with_lock([&](const auto&) { f(); }); });
  SnapshotMap<String, Ref<Node>> snapshots;
  store_while_collecting(snapshots, [&](auto&& f) { snapshots.update([&](const auto&) { f(); }); });
}

TEST_CASE("SnapshotMap: a snapshot does not change", "[hashmap][concurrent]") {
  const Runtime runtime;
  SnapshotMap<long, long> map;
  map.store(1, 10);
  const Root<Map<long, long>> before = map.snapshot();
  map.store(1, 11);
  map.store(2, 20);
  CHECK(before->size() == 1);
  CHECK(before->get(1) == 10);
  CHECK(map.load(1) == 11);
  CHECK(map.erase(1));
  CHECK_FALSE(map.erase(1));
  map.update([](const Map<long, long>& copy) {
    copy[3] = 30;
    copy[4] = 40;
  });
  CHECK(map.size() == 3);
  CHECK_THROWS(map.update([](const Map<long, long>& copy) {
    copy[5] = 50;
    throw std::runtime_error("stop");
  }));
  CHECK_FALSE(map.contains(5));
  map.clear();
  CHECK(map.size() == 0);
}

TEST_CASE("SnapshotMap: readers see all of an update or nothing", "[hashmap][concurrent]") {
  const Runtime runtime(kThreaded);
  SnapshotMap<long, long> map;
  map.update([](const Map<long, long>& copy) {
    for (long k = 0; k < 50; ++k) copy[k] = 0;
  });
  std::atomic<long> torn{0};
  std::atomic<bool> done{false};
  on_threads(3, [&](int t) {
    if (t == 0) {
      for (long i = 1; i <= 500; ++i) {
        map.update([i](const Map<long, long>& copy) {
          for (long k = 0; k < 50; ++k) copy[k] = i;
        });
      }
      done = true;
      return;
    }
    while (!done) {
      const Map<long, long> seen = map.snapshot();
      const long first = seen.get(0);
      for (const auto& [key, value] : seen) torn += value != first;
      safepoint();
    }
  });
  CHECK(torn == 0);
  CHECK(map.load(7) == 500);
}

TEST_CASE("SnapshotMap: readers and writers", "[hashmap][concurrent]") {
  const Runtime runtime(kThreaded);
  SnapshotMap<long, Ref<Node>> map;
  readers_and_writers(map);
}
