#include <gort/tools/gortstat/snapshot.h>

namespace gort::tool {

BroughtBack brought_back(const Ledger& before, const Ledger& after) {
  const auto gained = [&](std::initializer_list<Place> places) {
    std::int64_t sum = 0;
    for (const Place place : places) {
      sum += static_cast<std::int64_t>(after[place]) - static_cast<std::int64_t>(before[place]);
    }
    return sum;
  };
  return {.freed = -gained({Place::live, Place::map_live, Place::map_dead}),
          .returned = gained({Place::returned}),
          .free = gained({Place::span_free, Place::page_free}),
          .awaiting = gained({Place::awaiting_sweep})};
}

}  // namespace gort::tool
