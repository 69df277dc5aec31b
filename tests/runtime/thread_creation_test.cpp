// Making a thread takes locks of the C library (its cache of stacks, malloc's arenas). A thread of
// the program that is stopped by signal may hold one of them. So a stop of the world must come to
// its end while the runtime is in the middle of making a thread of its own: here that is held up
// until a stop beside it is over.

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>

#include <gort/base/os.h>
#include <gort/gc/collector.h>
#include <gort/tests/runtime/fixture.h>
#include <gort/tests/support/eventually.h>

using namespace gort;
using gort_test::exact;
using gort_test::make_list;
using gort_test::Runtime;

namespace {

using namespace std::chrono_literals;

template <class F>
bool eventually(F&& f) {
  return gort_test::eventually(20s, f);
}

// Whoever makes the thread of that name is held up, until release(), or for 20 s: then given_up().
class HeldCreation {
 public:
  explicit HeldCreation(const char* name) {
    name_ = name;
    entered_ = released_ = given_up_ = false;
    os::before_thread_for_test(hold);
  }
  ~HeldCreation() {
    release();
    os::before_thread_for_test(nullptr);
  }
  static void release() { released_ = true; }
  static bool given_up() { return given_up_; }
  static bool wait_until_entered() {
    return eventually([] { return entered_.load(); });
  }

 private:
  static void hold(const char* name) {
    if (std::strcmp(name, name_) != 0) return;
    entered_ = true;
    given_up_ = !eventually([] { return released_.load(); });
  }

  static inline const char* name_ = nullptr;
  static inline std::atomic<bool> entered_{false};
  static inline std::atomic<bool> released_{false};
  static inline std::atomic<bool> given_up_{false};
};

// `work` makes the thread of that name be made; `beside` is done while it is being made.
template <class Work, class Beside>
void while_made(const char* name, const Options& options, Work work, Beside beside) {
  const Runtime runtime(options);
  HeldCreation held(name);
  std::thread worker([&] {
    const AttachThread attached;
    work();
  });
  {
    const Blocking blocking;  // work() may need a collection
    CHECK(HeldCreation::wait_until_entered());
  }
  beside();
  CHECK_FALSE(HeldCreation::given_up());
  HeldCreation::release();
  const Blocking blocking;
  worker.join();
}

void stop_the_world() {
  bool stood = false;
  gc::with_world_stopped([&] { stood = true; });
  CHECK(stood);
}

}  // namespace

TEST_CASE("a stop does not wait for the collector's thread to be made", "[runtime][stop]") {
  while_made(
      "gort-collector", exact(), [] { collect(); }, stop_the_world);
}

TEST_CASE("a stop does not wait for a marker to be made", "[runtime][stop]") {
  Options options = exact();
  options.markers = 2;
  while_made(
      "gort-marker", options,
      [] {
        const auto list = make_list(300'000);
        collect();
      },
      stop_the_world);
}

TEST_CASE("a stop does not wait for the thread of cleanups to be made", "[runtime][stop]") {
  std::atomic<bool> ran{false};
  while_made(
      "gort-cleanup", exact(),
      [&] {
        add_cleanup(make_list(1).get(), [&ran] { ran = true; });
        collect();
      },
      stop_the_world);
  CHECK(ran);
}

TEST_CASE("neither a stop nor a release waits for the scavenger to be made", "[runtime][stop]") {
  const auto set_limit = [] { set_memory_limit(1 << 30); };
  while_made("gort-scavenger", exact(), set_limit, [] {
    stop_the_world();
    release_os_memory();
    set_memory_limit(2U << 30);
  });
}

TEST_CASE("a blocking region in which a thread of the runtime is made goes on", "[runtime][stop]") {
  const Runtime runtime(exact());
  std::atomic<bool> made{false};
  std::atomic<bool> stopped{false};
  std::atomic<bool> in_time{false};
  std::thread worker([&] {
    const AttachThread attached;
    const Blocking blocking;
    set_memory_limit(1 << 30);  // makes the scavenger's thread
    made = true;
    in_time = eventually([&] { return stopped.load(); });
  });
  {
    const Blocking blocking;
    CHECK(eventually([&] { return made.load(); }));
  }
  stop_the_world();
  stopped = true;
  const Blocking blocking;
  worker.join();
  CHECK(in_time);
}
