#include <catch2/catch.hpp>

#include <map>
#include <set>
#include <vector>

#include <gort/base/random.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/support/seed.h>

// A random graph, changed at random, beside a model of it made of std containers. With exact roots
// the collector's answer can be checked to the object: after a collection exactly the reachable
// nodes exist, and each still has the number it was given.

using namespace gort;
using gort_test::ExactHeap;

namespace {

struct Vertex {
  Ref<Vertex> edges[4];
  Ref<Ref<Vertex>> more;  // an array of 8
  long id = 0;
  GORT_FIELDS(Vertex, edges, more);
};

struct ModelVertex {
  long edges[12] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
};

std::set<long> reachable(const std::map<long, ModelVertex>& model, const std::vector<long>& roots) {
  std::set<long> seen;
  std::vector<long> grey = roots;
  while (!grey.empty()) {
    const long id = grey.back();
    grey.pop_back();
    if (id < 0 || !seen.insert(id).second) continue;
    for (const long edge : model.at(id).edges) grey.push_back(edge);
  }
  return seen;
}

Ref<Vertex>& edge(Vertex* v, std::size_t i) { return i < 4 ? v->edges[i] : v->more.get()[i - 4]; }

void run(std::uint64_t collect_every, int steps) {
  Random random(gort_test::test_seed());
  gc::CollectorOptions options;
  options.collect_every = collect_every;
  ExactHeap heap(options);
  constexpr std::size_t kRoots = 20;
  std::vector<Root<Vertex>> roots(kRoots);
  std::vector<long> root_ids(kRoots, -1);
  std::map<long, ModelVertex> model;
  long next_id = 0;

  // Walks a few random edges from a random root; returns null or a vertex of the graph.
  auto pick = [&]() -> Vertex* {
    Vertex* v = roots[random.below(kRoots)];
    for (std::uint64_t hops = random.below(8); v != nullptr && hops > 0; --hops) {
      Vertex* next = edge(v, random.below(12));
      if (next != nullptr) v = next;
    }
    return v;
  };

  for (int step = 0; step < steps; ++step) {
    const std::uint64_t what = random.below(100);
    if (what < 40) {  // a new vertex, hung on an edge or a root
      Root<Vertex> fresh(make<Vertex>());
      fresh->id = next_id;
      fresh->more = make_array<Ref<Vertex>>(8);
      model[next_id] = {};
      if (Vertex* v = pick(); v != nullptr && random.below(4) != 0) {
        const std::size_t i = random.below(12);
        edge(v, i) = fresh.get();
        model[v->id].edges[i] = next_id;
      } else {
        const std::size_t r = random.below(kRoots);
        roots[r] = fresh;
        root_ids[r] = next_id;
      }
      ++next_id;
    } else if (what < 75) {  // an edge between two vertices
      Vertex* from = pick();
      Vertex* to = pick();
      if (from == nullptr) continue;
      const std::size_t i = random.below(12);
      edge(from, i) = to;
      model[from->id].edges[i] = to == nullptr ? -1 : to->id;
    } else if (what < 90) {  // an edge is cut
      Vertex* from = pick();
      if (from == nullptr) continue;
      const std::size_t i = random.below(12);
      edge(from, i) = nullptr;
      model[from->id].edges[i] = -1;
    } else if (what < 93) {  // a root is cut
      const std::size_t r = random.below(kRoots);
      roots[r] = nullptr;
      root_ids[r] = -1;
    }
    if (step % 2000 == 1999) {
      heap.collect();
      const std::set<long> alive = reachable(model, root_ids);
      REQUIRE(heap.objects() == 2 * alive.size());  // each vertex has an array
      std::erase_if(model, [&](const auto& entry) { return alive.count(entry.first) == 0; });
      for (std::size_t r = 0; r < kRoots; ++r) {
        REQUIRE((roots[r] == nullptr ? -1 : roots[r]->id) == root_ids[r]);
      }
    }
  }
}

}  // namespace

TEST_CASE("a random graph is collected to the object", "[gc][model]") { run(0, 100'000); }

TEST_CASE("a random graph is collected at every 7th allocation", "[gc][model]") { run(7, 10'000); }
