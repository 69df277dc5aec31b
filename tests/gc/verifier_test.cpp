// What verify=1 looks for, made by hand: a reference that is overwritten behind the barrier's back
// while markers run. And gcevery=N, the other way to find such a thing.

#include <catch2/catch.hpp>

#include <fmt/format.h>

#include <gort/base/counters.h>
#include <gort/base/fatal.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/gc/phases.h>
#include <gort/tests/support/child.h>

using namespace gort;
using gort_test::at_drained;
using gort_test::at_marking_started;
using gort_test::ExactHeap;
using gort_test::Node;
using gort_test::with_phases;

namespace {

// A store without a barrier.
void hide(Ref<Node>& from) { *reinterpret_cast<void**>(&from) = nullptr; }

// What the child said before, and what it died of.
std::pair<std::string, std::string> expected_and_said(const gort_test::ChildResult& result) {
  const std::size_t end = result.errors.find('\n');
  return {result.errors.substr(0, end + 1), result.errors.substr(end + 1)};
}

}  // namespace

TEST_CASE("verify names the object that is not marked, and what refers to it", "[gc][verify]") {
  const auto result = gort_test::in_child([] {
    const ExactHeap heap(with_phases());
    const Root<Node> old_home(make<Node>());
    old_home->left = make<Node>();
    Root<Node> new_home;
    at_marking_started = [&] {
      new_home = make<Node>();
      new_home->right = old_home->left;
      hide(old_home->left);
      write_line(fmt::format("gort: fatal: verify: object {} ({}) + {} -> {}, which is not marked",
                             fmt::ptr(new_home.get()), gc::type_name<Node>(), sizeof(Ref<Node>),
                             fmt::ptr(new_home->right.get())));
    };
    heap.collect();
  });
  CHECK(result.signal == SIGABRT);
  const auto [expected, said] = expected_and_said(result);
  CHECK(said == expected);
}

TEST_CASE("verify names the object that is not marked, and a root refers to", "[gc][verify]") {
  const auto result = gort_test::in_child([] {
    const ExactHeap heap(with_phases());
    const Root<Node> old_home(make<Node>());
    old_home->left = make<Node>();
    Root<Node> new_home;
    Node* hidden = nullptr;
    at_marking_started = [&] {
      hidden = old_home->left.get();
      hide(old_home->left);
    };
    at_drained = [&] {  // roots are not looked at again
      new_home = hidden;
      write_line(fmt::format("gort: fatal: verify: a root points at {}, which is not marked",
                             fmt::ptr(hidden)));
    };
    heap.collect();
  });
  CHECK(result.signal == SIGABRT);
  const auto [expected, said] = expected_and_said(result);
  CHECK(said == expected);
}

TEST_CASE("gcevery collects at every Nth allocation, of any size", "[gc][verify]") {
  gc::CollectorOptions options;
  options.gc_percent = -1;
  options.collect_every = 7;
  const ExactHeap heap(options);
  constexpr int kRounds = 35;
  const auto count = [&](auto&& allocate) {
    const std::uint64_t before = counters.cycles.load_relaxed();
    for (int i = 0; i < 7 * kRounds; ++i) allocate();
    heap.collect();  // its end comes after the end of all others
    return counters.cycles.load_relaxed() - before - 1;
  };
  CHECK(count([] { make<Node>(); }) == kRounds);
  CHECK(count([] { make_array<char>(5000); }) == kRounds);
  CHECK(count([] { make_array<char>(100'000); }) == kRounds);
  CHECK(gc::collector.last_cycle().reason == gc::CycleReason::forced);
}
