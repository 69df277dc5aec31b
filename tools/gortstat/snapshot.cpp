#include <gort/tools/gortstat/snapshot.h>

#include <fmt/format.h>

#include <gort/tools/gortstat/text.h>

namespace gort::tool {

std::optional<std::string> broken_identity(const Ledger& ledger) {
  const auto differ = [](std::string_view sum, std::size_t a, std::string_view whole,
                         std::size_t b) {
    return fmt::format("{} {}, but {} {} ({} {})", sum, with_commas(a), whole, with_commas(b),
                       with_commas(a > b ? a - b : b - a), a > b ? "too many" : "missing");
  };
  if (ledger.sum() != ledger.mapped) {
    return differ("the places sum to", ledger.sum(), "mapped is", ledger.mapped);
  }
  std::array<std::size_t, kPlaceCount> by_reason{};
  std::array<bool, kPlaceCount> has_reasons{};
  for (std::size_t i = 0; i < kReasonCount; ++i) {
    const auto place = static_cast<std::size_t>(kReasons[i].place);
    by_reason[place] += ledger.why[i];
    has_reasons[place] = true;
  }
  for (std::size_t i = 0; i < kPlaceCount; ++i) {
    if (!has_reasons[i] || by_reason[i] == ledger.bytes[i]) continue;
    const std::string_view name = place_name(static_cast<Place>(i));
    return differ(fmt::format("the reasons of {} sum to", name), by_reason[i], "the place is",
                  ledger.bytes[i]);
  }
  return std::nullopt;
}

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
