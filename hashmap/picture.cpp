#include <gort/hashmap/picture.h>

#include <algorithm>
#include <iterator>
#include <string_view>

#include <fmt/format.h>

#include <gort/gc/allocate.h>

namespace gort::hashmap {
namespace {

ArrayPicture array_picture(const Header& map, const MapType& type, bool old, std::size_t buckets) {
  const ArrayView view(map, type, old);
  const std::size_t bucket_size = type.shape.bucket_size;
  ArrayPicture out;
  out.buckets = view.count();
  out.bytes = out.rest_bytes = view.block_bytes();
  out.all.reserve(buckets);
  view.for_each_bucket([&](const BucketView& bucket) {
    BucketPicture& b = out.all.emplace_back();
    b.chain = static_cast<std::uint32_t>(bucket.number);
    b.position = static_cast<std::uint32_t>(bucket.position);
    b.in_array = bucket.in_array;
    std::copy_n(bucket.tophash(), kCells, b.tophash.begin());
    const std::size_t live = live_bytes_of_bucket(type.shape, bucket.tops());
    const std::size_t bytes = bucket.in_array ? bucket_size : gc::block_size(bucket.address);
    b.live_bytes = static_cast<std::uint16_t>(live);
    b.dead_bytes = static_cast<std::uint16_t>(bytes - live);
    if (bucket.in_array) out.rest_bytes -= bucket_size;
  });
  return out;
}

// States in the order of their tophash bytes; all live ones are one.
using StateCounts = std::array<std::size_t, kMinTop + 1>;

void count_states(const BucketPicture& bucket, StateCounts& counts) {
  for (const std::uint8_t top : bucket.tophash) ++counts[std::min(top, kMinTop)];
}

// "3 live; 5 empty, nothing behind it": live cells first, nothing of what there is none of.
std::string states_text(const StateCounts& counts) {
  std::string out;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const std::size_t state = (i + kMinTop) % counts.size();
    if (counts[state] == 0) continue;
    fmt::format_to(std::back_inserter(out), "{}{} {}", out.empty() ? "" : "; ", counts[state],
                   cell_state_name(static_cast<std::uint8_t>(state)));
  }
  return out;
}

void add_header(std::string& out, const MapPicture& picture) {
  const MapStats& s = picture.stats;
  auto to = std::back_inserter(out);
  fmt::format_to(to, "count {}  B {}  noverflow {}  flags", s.count, s.B, s.noverflow);
  struct Flag {
    unsigned bit;
    std::string_view name;
  };
  constexpr std::array kFlags = {Flag{kIterator, "iterator"}, Flag{kOldIterator, "old iterator"},
                                 Flag{kWriting, "writing"}, Flag{kSameSize, "same size"},
                                 Flag{kEagerWipe, "eager wipe"}};
  std::string names;
  for (const Flag& flag : kFlags) {
    if ((s.flags & flag.bit) != 0) names += (names.empty() ? " (" : ", ") + std::string(flag.name);
  }
  fmt::format_to(to, " {}{}{}\n", s.flags, names, names.empty() ? "" : ")");
  if (s.growing) {
    fmt::format_to(to, "growing to {}: the first {} of {} old chains are moved, others perhaps\n",
                   s.same_size_growth ? "an array of the same size" : "twice the size", s.nevacuate,
                   s.old_buckets);
  }
  fmt::format_to(to, "{} bytes: {} live, {} dead; {} of the live ones in no bucket\n", s.bytes,
                 s.live_bytes, s.dead_bytes, picture.other_bytes);
  fmt::format_to(to, "a bucket: {} bytes, slots of {} for keys and {} for values\n", s.bucket_size,
                 s.key_slot, s.elem_slot);
  StateCounts cells{};
  for (const ArrayPicture* array : {&picture.current, &picture.old}) {
    for (const BucketPicture& bucket : array->all) count_states(bucket, cells);
  }
  const std::string states = states_text(cells);
  fmt::format_to(to, "cells: {}\n", states.empty() ? "none" : states);
}

void add_array(std::string& out, std::string_view name, const ArrayPicture& array) {
  auto to = std::back_inserter(out);
  fmt::format_to(to,
                 "\n{}: {} buckets, {} more on their chains, {} spare; {} bytes, {} in no bucket\n",
                 name, array.buckets, array.all.size() - array.buckets, array.spare_buckets,
                 array.bytes, array.rest_bytes);
  for (const BucketPicture& bucket : array.all) {
    const std::string label = bucket.position == 0 ? fmt::format("{}", bucket.chain)
                                                   : fmt::format("+{}", bucket.position);
    StateCounts cells{};
    count_states(bucket, cells);
    fmt::format_to(to, "{:>8}  {:02x}  {}\n", label, fmt::join(bucket.tophash, " "),
                   states_text(cells));
  }
}

}  // namespace

MapPicture picture(const Header* map, const MapType& type) {
  MapPicture out;
  if (map == nullptr) return out;
  out.stats = inspect(map, type);
  const MapStats& s = out.stats;
  out.current = array_picture(*map, type, false, s.buckets + s.overflow_buckets);
  out.current.spare_buckets = s.spare_overflow_buckets;
  out.old = array_picture(*map, type, true, s.old_buckets + s.old_overflow_buckets);
  out.other_bytes = gc::block_size(map);
  if (const Extra* const extra = map->extra(); extra != nullptr) {
    out.other_bytes += gc::block_size(extra);
    for (const OverflowList* list : {extra->list(), extra->old_list()}) {
      if (list == nullptr) continue;
      out.other_bytes += gc::block_size(list);
      if (list->array != nullptr) out.other_bytes += gc::block_size(list->array);
    }
  }
  return out;
}

}  // namespace gort::hashmap

namespace gort {

std::string text(const MapPicture& picture) {
  if (picture.stats.bytes == 0) return "nil map\n";
  std::string out;
  hashmap::add_header(out, picture);
  if (picture.current.bytes > 0) hashmap::add_array(out, "current array", picture.current);
  if (picture.old.bytes > 0) hashmap::add_array(out, "old array", picture.old);
  return out;
}

}  // namespace gort
