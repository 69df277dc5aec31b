#include <gort/hashmap/inspect.h>

#include <fmt/format.h>

#include <gort/gc/allocate.h>

namespace gort::hashmap {
namespace {

bool within(const void* block, const void* p) {
  const auto* begin = static_cast<const char*>(block);
  return p >= begin && p < begin + gc::block_size(block);
}

// Which part of a bucket the byte at `offset` belongs to.
void locate_in_bucket(const BucketShape& shape, std::size_t offset, CellLocation& out) {
  if (offset < kDataOffset) {
    out.part = MapPart::tophash;
    out.cell = offset;
  } else if (offset < shape.elem_offset()) {
    out.part = MapPart::key;
    out.cell = (offset - kDataOffset) / shape.key_slot;
  } else if (offset < shape.overflow_offset()) {
    out.part = MapPart::elem;
    out.cell = (offset - shape.elem_offset()) / shape.elem_slot;
  } else {
    out.part = MapPart::overflow_word;
    return;
  }
  out.in_cell = true;
}

}  // namespace

std::string_view map_part_name(MapPart part) {
  switch (part) {
    case MapPart::header:
      return "header";
    case MapPart::extra:
      return "extra";
    case MapPart::overflow_list:
      return "list of overflow buckets";
    case MapPart::tophash:
      return "tophash";
    case MapPart::key:
      return "key";
    case MapPart::elem:
      return "value";
    case MapPart::overflow_word:
      return "overflow word";
    case MapPart::spare:
      return "spare overflow bucket";
    case MapPart::rounding:
      return "rounding";
  }
  return "?";
}

std::string_view cell_state_name(std::uint8_t top) {
  switch (top) {
    case kEmptyRest:
      return "empty, nothing behind it";
    case kEmptyOne:
      return "empty";
    case kEvacuatedX:
      return "moved to the same bucket";
    case kEvacuatedY:
      return "moved to the upper half";
    case kEvacuatedEmpty:
      return "empty, chain moved";
    default:
      return "live";
  }
}

bool locate(const Header* map, const MapType& type, const void* p, CellLocation& out) {
  if (map == nullptr) return false;
  CellLocation at;
  at.map = reinterpret_cast<std::uintptr_t>(map);
  at.type_name = type.name;

  auto small_block = [&](const void* block, MapPart part) {
    if (block == nullptr || !within(block, p)) return false;
    at.part = part;
    return true;
  };
  bool found = small_block(map, MapPart::header);
  if (const Extra* const extra = map->extra(); !found && extra != nullptr) {
    found = small_block(extra, MapPart::extra);
    for (const OverflowList* list : {extra->list(), extra->old_list()}) {
      if (found || list == nullptr) continue;
      found = small_block(list, MapPart::overflow_list) ||
              small_block(list->array, MapPart::overflow_list);
    }
  }

  for (const bool old : {false, true}) {
    if (found) break;
    const ArrayView array(*map, type, old);
    array.for_each_bucket([&](const BucketView& bucket) {
      if (found) return;
      const std::size_t bytes =
          bucket.in_array ? type.shape.bucket_size : gc::block_size(bucket.address);
      if (p < bucket.address || p >= bucket.address + bytes) return;
      found = true;
      at.old_array = old;
      at.in_bucket = true;
      at.bucket = bucket.number;
      at.position = bucket.position;
      at.live_in_bucket = bucket.tops().live().count();
      const auto offset = static_cast<std::size_t>(static_cast<const char*>(p) - bucket.address);
      if (offset >= type.shape.bucket_size) {
        at.part = MapPart::rounding;
        return;
      }
      locate_in_bucket(type.shape, offset, at);
      if (at.in_cell) at.tophash = bucket.tophash()[at.cell];
    });
    if (!found && array.contains(p)) {
      found = true;
      at.old_array = old;
      const auto* const spare =
          map->extra() == nullptr ? nullptr : static_cast<const char*>(map->extra()->next_overflow);
      const auto offset = static_cast<std::size_t>(static_cast<const char*>(p) - array.begin());
      const std::size_t whole =
          array.block_bytes() / type.shape.bucket_size * type.shape.bucket_size;
      at.part = spare != nullptr && array.contains(spare) && p >= spare && offset < whole
                    ? MapPart::spare
                    : MapPart::rounding;
    }
  }
  if (found) out = at;
  return found;
}

std::string_view CellLocation::array_name() const {
  return old_array ? "old array" : "current array";
}

std::string CellLocation::text() const {
  std::string line = fmt::format("map {:#x}: ", map);
  auto out = std::back_inserter(line);
  if (!in_bucket) {
    fmt::format_to(out, "{}", map_part_name(part));
    if (part == MapPart::spare || part == MapPart::rounding) {
      fmt::format_to(out, " of the {}", array_name());
    }
    return line;
  }
  fmt::format_to(out, "{}, bucket {}", array_name(), bucket);
  if (position > 0) fmt::format_to(out, ", overflow bucket {} of its chain", position);
  if (in_cell) fmt::format_to(out, ", cell {} ({})", cell, cell_state_name(tophash));
  fmt::format_to(out, ", {}", map_part_name(part));
  return line;
}

}  // namespace gort::hashmap
