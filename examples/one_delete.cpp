// One delete, followed from a live cell of a map to the operating system. After each step the
// program asks where the deleted value's address is now, and prints what changed in the ledger.
//
// docs/delete.md explains the output.

#include <thread>

#include <fmt/format.h>

#include <gort/gort.h>

namespace {

/// Prints where `address` is, and which places gained or lost bytes since the last call.
class Journey {
 public:
  explicit Journey(const void* address) : address_(address), before_(gort::ledger()) {}

  gort::Place step(const char* what) {
    const gort::Location at = gort::where_is(address_);
    const gort::Ledger now = gort::ledger();
    fmt::print("{}. {}\n  {}\n  ledger:", ++number_, what, at);
    bool changed = false;
    for (const gort::Place place : gort::all_places()) {
      if (now[place] == before_[place]) continue;
      const auto gained = static_cast<long>(now[place]) - static_cast<long>(before_[place]);
      fmt::print(" {} {:+}", gort::place_name(place), gained);
      changed = true;
    }
    fmt::print("{}\n\n", changed ? "" : " unchanged");
    before_ = now;
    return at.place;
  }

 private:
  const void* address_;
  gort::Ledger before_;
  int number_ = 0;
};

/// Allocates something that brings a collection about, and waits until its marking has ended. Other
/// than collect() this leaves the sweeping to later.
void let_a_collection_happen() {
  const std::int64_t percent = gort::set_gc_percent(0);
  const std::uint32_t cycles = gort::mem_stats().NumGC;
  const gort::Root<char> array = gort::make_array<char>(100'000);
  while (gort::mem_stats().NumGC == cycles) std::this_thread::yield();
  gort::set_gc_percent(percent);
}

}  // namespace

int main() {
  // Stacks are not scanned here: the plain pointer to the value below would keep its bucket alive.
  // And nothing goes back to the system before it is asked for, so that every step can be shown.
  gort::Options options = gort::Options::from_environment();
  options.background_sweep = false;  // or it might be over before we have looked
  options.conservative_stacks = false;
  options.background_scavenger = false;
  gort::start(options);

  // Two maps of one bucket each; both buckets lie in one span.
  gort::Root<gort::Map<long, long>> map = gort::make_map<long, long>();
  gort::Root<gort::Map<long, long>> neighbour = gort::make_map<long, long>();
  for (long i = 0; i < 8; ++i) {
    map->insert_or_assign(i, 100 + i);
    neighbour->insert_or_assign(i, 200 + i);
  }

  Journey journey(map->find(5));
  bool as_told = journey.step("a live pair") == gort::Place::map_live;

  map->erase(5);
  as_told &= journey.step("map.erase(5)") == gort::Place::map_dead;

  gort::collect();
  as_told &= journey.step("a full collection") == gort::Place::map_dead;

  map->clear();
  as_told &= journey.step("map.clear()") == gort::Place::map_dead;

  map = nullptr;
  as_told &= journey.step("the map is dropped") == gort::Place::map_dead;

  let_a_collection_happen();
  as_told &= journey.step("allocation brings a collection about") == gort::Place::awaiting_sweep;

  gort::collect();  // sweeps everything before it returns
  as_told &= journey.step("its span is swept") == gort::Place::span_free;

  neighbour = nullptr;
  gort::collect();
  as_told &= journey.step("the neighbour dies, and the span is empty") == gort::Place::page_free;

  gort::release_os_memory();
  as_told &= journey.step("release_os_memory()") == gort::Place::returned;

  gort::shutdown();
  return as_told ? 0 : 1;
}
