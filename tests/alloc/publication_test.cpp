// What threads learn of each other's spans without a lock. The order of the accesses is what counts
// here, so nothing else in these tests orders them: the threads tell each other where they are by
// relaxed atomics. Built with the thread sanitizer the first test fails if a release or acquire is
// missing; the second runs into the wrong order itself.

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>
#include <vector>

#include <gort/tests/alloc/cache_fixture.h>

using namespace gort;
using namespace gort::alloc;
using gort_test::CacheScope;
using gort_test::end_cycle;

namespace {

constexpr std::size_t kSize = 64;
constexpr SpanClass kClass = base_span_class(size_class_of(kSize), true);

struct Black {
  Black() { heap.allocate_black.store_relaxed(true); }
  ~Black() {
    heap.allocate_black.store_relaxed(false);
    heap.run_limit.store_relaxed(kMaxRunBytes);
  }
};

// Looks at the words of a span's bitmaps as a marker does, alloc bit first, until told to end.
class Marker {
 public:
  Marker()
      : thread_([this] {
          while (!end_.load_relaxed()) {
            const Span* span = span_.load_acquire();
            if (span == nullptr) continue;
            for (std::size_t w = 0; w < span->bit_words(); ++w) {
              const std::uint64_t allocated = AtomicRef(span->alloc_bits[w]).load_acquire();
              const std::uint64_t marked = AtomicRef(span->mark_bits[w]).load_relaxed();
              if ((allocated & ~marked) != 0) white_.store_relaxed(true);
            }
            rounds_.owner_add_relaxed(1);
          }
        }) {}
  ~Marker() {
    end_.store_relaxed(true);
    thread_.join();
  }
  void look_at(const Span* span) { span_.store_release(span); }
  /// Returns when it has been through the span once more, at least.
  void await_round() const {
    for (const std::uint64_t now = rounds_.load_relaxed(); rounds_.load_relaxed() < now + 2;) {
      std::this_thread::yield();
    }
  }
  bool saw_white() const { return white_.load_relaxed(); }

 private:
  Atomic<const Span*> span_{nullptr};
  Atomic<bool> end_{false};
  Atomic<bool> white_{false};
  Atomic<std::uint64_t> rounds_{0};
  std::thread thread_;
};

}  // namespace

TEST_CASE("who finds a span by address sees its record", "[alloc][publication]") {
  CacheScope cache;
  Atomic<std::uintptr_t> address{0};
  Atomic<std::size_t> seen{0};
  std::thread reader([&] {
    std::uintptr_t at = 0;
    while ((at = address.load_relaxed()) == 0) std::this_thread::yield();
    const Span* span = span_of(at);
    seen.store_relaxed(span == nullptr ? 0 : span->elem_size + span->slot_of(at));
  });
  address.store_relaxed(reinterpret_cast<std::uintptr_t>(cache->allocate(kClass, kSize)));
  reader.join();
  CHECK(seen.load_relaxed() == kSize);  // in slot 0
}

TEST_CASE("no marker finds a run that is handed out white", "[alloc][publication][black]") {
  CacheScope cache;
  {
    const Black black;
    heap.run_limit.store_relaxed(1);  // a refill for each object
    Marker marker;
    const Span* last = nullptr;
    for (int i = 0; i < 20'000; ++i) {
      const Span* span = span_of(cache->allocate(kClass, kSize));
      if (span != last) marker.look_at(last = span);
    }
    marker.await_round();
    CHECK_FALSE(marker.saw_white());
  }
  end_cycle(cache.cache);  // all were marked; now nothing is
}
