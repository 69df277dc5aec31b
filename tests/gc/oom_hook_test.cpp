#include <catch2/catch.hpp>

#include <new>
#include <stdexcept>
#include <vector>

#include <gort/base/counters.h>
#include <gort/base/os.h>
#include <gort/tests/gc/heap_fixture.h>

// The system refuses and everything is reachable: then the program's hook decides.

using namespace gort;
using gort_test::ExactHeap;
using gort_test::Node;

namespace {

struct Program {
  std::vector<Root<char>> keep;  ///< what it cannot do without
  Root<char> cache;              ///< what it can
  int calls = 0;
  std::size_t bytes = 0;
  bool (*act)(Program&) = nullptr;
};

gc::CollectorOptions hooked(Program& program) {
  gc::CollectorOptions options;
  options.gc_percent = -1;
  options.out_of_memory_context = &program;
  options.out_of_memory = [](std::size_t bytes, void* context) {
    auto& p = *static_cast<Program*>(context);
    ++p.calls;
    p.bytes = bytes;
    return p.act(p);
  };
  return options;
}

/// Everything that the system has given is in use, 8 MiB of it in program.cache.
void exhaust(Program& program) {
  program.cache = make_array<char>(8_MiB);
  os::fail_call_for_test(1, true);
  auto* const act = program.act;
  program.act = [](Program&) { return false; };
  for (const std::size_t size : {1_MiB, 64_KiB}) {  // larger than any small object's span
    try {
      for (;;) program.keep.emplace_back(make_array<char>(size));
    } catch (const std::bad_alloc&) {
    }
  }
  program.act = act;
  program.calls = 0;
}

struct Willing {  // the system, afterwards
  ~Willing() { os::fail_call_for_test(0); }
};

}  // namespace

TEST_CASE("the hook lets something go, and the allocation succeeds", "[gc][oom]") {
  Program program;
  ExactHeap heap(hooked(program));
  const Willing willing;
  program.act = [](Program& p) {
    p.cache = nullptr;
    return true;
  };
  exhaust(program);
  const std::uint64_t emergencies = counters.emergency_cycles.load_relaxed();
  Root<char> got(make_array<char>(2_MiB));
  CHECK(got.get() != nullptr);
  CHECK(program.calls == 1);
  CHECK(program.bytes == 2_MiB);
  CHECK(counters.emergency_cycles.load_relaxed() == emergencies + 2);  // before it and after
  program.keep.clear();
}

TEST_CASE("the hook for want of memory is asked until it gives up", "[gc][oom]") {
  Program program;
  ExactHeap heap(hooked(program));
  const Willing willing;
  program.act = [](Program& p) { return p.calls < 4; };
  exhaust(program);
  CHECK_THROWS_AS(make_array<char>(2_MiB), std::bad_alloc);
  CHECK(program.calls == 4);
  // Small objects too. What was free in spans is used up first.
  program.calls = 0;
  std::vector<Root<Node>> nodes;
  CHECK_THROWS_AS(
      [&] {
        for (;;) nodes.emplace_back(make<Node>());
      }(),
      std::bad_alloc);
  CHECK(program.calls == 4);
  os::fail_call_for_test(0);
  CHECK(make<Node>() != nullptr);
  program.keep.clear();
  program.cache = nullptr;
}

TEST_CASE("the hook may raise the system's limit", "[gc][oom]") {
  Program program;
  ExactHeap heap(hooked(program));
  const Willing willing;
  program.act = [](Program&) {
    os::fail_call_for_test(0);
    return true;
  };
  exhaust(program);
  CHECK(make_array<char>(2_MiB) != nullptr);
  CHECK(program.calls == 1);
  program.keep.clear();
  program.cache = nullptr;
}

TEST_CASE("the hook for want of memory may allocate; if that fails, it is not called again",
          "[gc][oom]") {
  Program program;
  ExactHeap heap(hooked(program));
  const Willing willing;
  program.act = [](Program& p) {
    CHECK_THROWS_AS(make_array<char>(2_MiB), std::bad_alloc);
    p.cache = nullptr;
    ExactHeap::collect();
    CHECK(make_array<char>(1_MiB) != nullptr);
    return true;
  };
  exhaust(program);
  CHECK(make_array<char>(2_MiB) != nullptr);
  CHECK(program.calls == 1);
  program.keep.clear();
}

TEST_CASE("an exception from the hook leaves the allocation", "[gc][oom]") {
  Program program;
  ExactHeap heap(hooked(program));
  const Willing willing;
  program.act = [](Program&) -> bool { throw std::runtime_error("enough"); };
  exhaust(program);
  CHECK_THROWS_WITH(make_array<char>(2_MiB), "enough");
  CHECK_THROWS_WITH(make_array<char>(2_MiB), "enough");  // it is called again
  CHECK(program.calls == 2);
  os::fail_call_for_test(0);
  heap.collect();
  CHECK(make_array<char>(2_MiB) != nullptr);
  program.keep.clear();
  program.cache = nullptr;
}

TEST_CASE("the world can be stopped while the hook runs", "[gc][oom]") {
  Program program;
  ExactHeap heap(hooked(program));
  const Willing willing;
  program.act = [](Program& p) {
    ExactHeap::objects();  // stops it
    gc::collector.collect(gc::CycleReason::forced, false);
    CHECK(gc::World::current()->runtime_depth.load_relaxed() == 0);
    p.cache = nullptr;
    return true;
  };
  exhaust(program);
  CHECK(make_array<char>(2_MiB) != nullptr);
  CHECK(program.calls == 1);
  program.keep.clear();
}
