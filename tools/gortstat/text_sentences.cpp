#include <gort/tools/gortstat/text_sentences.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

#include <fmt/format.h>

#include <gort/tools/gortstat/text.h>
#include <gort/tools/gortstat/text_style.h>

namespace gort::tool {
namespace {

// How the map's array changed since the step before; empty if it did not.
std::string growth_text(const Step* before, const Step& now) {
  if (!now.map || now.map->buckets == 0) return {};
  const std::uint64_t old = before != nullptr && before->map ? before->map->buckets : 0;
  if (now.map->buckets == old) return {};
  if (now.since.make > 0) return {};  // another map
  if (old == 0) return fmt::format("The map got {}.", counted(now.map->buckets, "bucket"));
  return fmt::format("The map grew from {} to {}.", with_commas(old),
                     counted(now.map->buckets, "bucket"));
}

std::string collections_text(const Step& step) {
  const std::uint64_t own = step.collections - step.forced_collections;
  if (own == 0) return {};
  return fmt::format("{} ran by {}.", counted(own, "collection"),
                     own == 1 ? "itself" : "themselves");
}

// The one or two largest reasons why bytes that could move on have not.
std::string stuck_text(const Ledger& ledger) {
  std::array<std::size_t, kReasonCount> order{};
  for (std::size_t i = 0; i < kReasonCount; ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return ledger.why[a] > ledger.why[b]; });
  std::string out;
  for (const std::size_t i : {order[0], order[1]}) {
    // The second is worth a mention only if it is of the same kind of size.
    if (ledger.why[i] == 0 || ledger.why[i] < ledger.why[order[0]] / 4) break;
    out += fmt::format("{}{} {} {}", out.empty() ? "" : "; ", human_bytes(ledger.why[i]),
                       ledger.why[i] == 1 ? "is" : "are", kReasons[i].what);
  }
  return out;
}

// Bytes that only changed sides inside the map.
std::string moved_text(const Step* before, const Step& now) {
  if (before == nullptr) return {};
  const std::size_t live = before->ledger[Place::map_live];
  const std::size_t dead = before->ledger[Place::map_dead];
  const std::size_t live_now = now.ledger[Place::map_live];
  const std::size_t dead_now = now.ledger[Place::map_dead];
  if (live == live_now || live + dead != live_now + dead_now) return {};
  return live > live_now
             ? fmt::format("{} moved from map_live to map_dead.", human_bytes(live - live_now))
             : fmt::format("{} moved from map_dead to map_live.", human_bytes(live_now - live));
}

// What a collection could not free of a map that is still there.
std::string kept_text(const Step& now) {
  if (!now.map || now.since.gc + now.since.release == 0 || now.removal_uncollected) return {};
  const std::size_t dead = now.ledger[Place::map_dead];
  if (dead == 0) return {};
  return fmt::format(
      "The map keeps all of its {}: no collection looks for empty cells in it, and {} of it hold "
      "no entry.",
      human_bytes(now.ledger[Place::map_live] + dead), human_bytes(dead));
}

bool frees_something(const OperationCounts& n) {
  return n.deleted > 0 || n.cleared > 0 || n.drop > 0 || n.gc > 0 || n.release > 0 || n.make > 1;
}

// What came of it for the operating system.
std::string returned_text(const Step* before, const Step& now) {
  std::string out;
  if (now.given_back > 0) {
    out = fmt::format("{} went back to the operating system", human_bytes(now.given_back));
    if (before != nullptr && now.rss != 0 && now.rss < before->rss) {
      out += fmt::format(": resident memory fell by {}", human_bytes(before->rss - now.rss));
    }
    return out + ".";
  }
  if (!frees_something(now.since)) return {};
  out = "Nothing went back to the operating system";
  if (now.removal_uncollected) {
    return out + (now.map ? ": no collection has run since, so the keys and values removed still "
                            "count as live."
                          : ": only a collection can find that nothing reaches the map any more.");
  }
  const std::string stuck = stuck_text(now.ledger);
  return stuck.empty() ? out + "." : fmt::format("{}: {}.", out, stuck);
}

}  // namespace

std::string operations_text(const OperationCounts& n) {
  std::vector<std::string> parts;
  if (n.make > 0) parts.push_back(n.make == 1 ? "a new map" : with_commas(n.make) + " new maps");
  if (n.set > 0) {
    parts.push_back(
        fmt::format("{} ({} of new keys)", counted(n.set, "set"), with_commas(n.inserted)));
  }
  if (n.del > 0) {
    parts.push_back(counted(n.del, "delete") +
                    (n.deleted == n.del
                         ? std::string()
                         : fmt::format(" ({} of absent keys)", with_commas(n.del - n.deleted))));
  }
  if (n.get > 0) {
    parts.push_back(fmt::format("{} ({} found)", counted(n.get, "lookup"), with_commas(n.found)));
  }
  if (n.clear > 0) {
    parts.push_back(
        fmt::format("{} ({} removed)", counted(n.clear, "clear"), entries_text(n.cleared)));
  }
  if (n.drop > 0) {
    parts.push_back(n.drop == 1 ? "a drop of the map (m = nil)"
                                : with_commas(n.drop) + " drops of the map (m = nil)");
  }
  if (n.gc > 0)
    parts.push_back(n.gc == 1 ? "a full collection" : with_commas(n.gc) + " full collections");
  if (n.release > 0) {
    parts.push_back("a collection and release of all free memory");
    if (n.release > 1) parts.back() += fmt::format(", {} times", with_commas(n.release));
  }
  return joined(parts);
}

std::string entries_text(std::uint64_t n) {
  return n == 1 ? "1 entry" : with_commas(n) + " entries";
}

std::string map_text(const MapStats& map) {
  std::string out =
      fmt::format("{} in {}", entries_text(map.count), counted(map.buckets, "bucket"));
  if (map.overflow_buckets > 0) {
    out += fmt::format(" and {}", counted(map.overflow_buckets, "overflow bucket"));
  }
  if (map.growing) {
    out += fmt::format("; growing: {} of {} old buckets moved", with_commas(map.nevacuate),
                       with_commas(map.old_buckets));
  }
  return out;
}

bool nothing_moved(const Step* before, const Step& now) {
  return before != nullptr && before->ledger.bytes == now.ledger.bytes &&
         before->ledger.why == now.ledger.why;
}

std::string sentence(const Step* before, const Step& now) {
  std::string out = operations_text(now.since);
  if (out.empty()) out = "Nothing was done since the step before";
  out += ".";
  if (nothing_moved(before, now)) out += " No byte has moved.";
  for (const std::string& more :
       {growth_text(before, now), moved_text(before, now), collections_text(now), kept_text(now),
        returned_text(before, now)}) {
    if (!more.empty()) out += " " + more;
  }
  out.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(out.front())));
  return out;
}

}  // namespace gort::tool
