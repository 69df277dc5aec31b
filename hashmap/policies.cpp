#include <gort/hashmap/policies.h>

#include <cstring>

#include <gort/gc/barrier.h>
#include <gort/hashmap/inspect.h>
#include <gort/hashmap/writing.h>

namespace gort::hashmap {
namespace {

bool iterated(const Header& map) { return map.iterated() || map.old_iterated(); }

// Iterators that still walk the old table look each key up in the new one, if it is there.
void mark_moved(const Header& map, const MapType& type, const std::uint64_t* kept) {
  std::size_t n = 0;
  visit_buckets(map, type, [&n, kept](const BucketView& bucket) {
    std::uint64_t moved = Tops::repeat(kEvacuatedEmpty);
    for (CellMask live = bucket.tops().live(); live; live.drop_first(), ++n) {
      if (kept != nullptr && !bits::test(kept, n)) continue;
      moved ^= std::uint64_t{kEvacuatedEmpty ^ kEvacuatedX} << (live.first() * 8);
    }
    Tops(moved).store(const_cast<char*>(bucket.address));
  });
}

void mark_empty(const Header& map, const MapType& type) {
  visit_buckets(map, type,
                [](const BucketView& bucket) { Tops(0).store(const_cast<char*>(bucket.address)); });
}

}  // namespace

void adopt_table(Header& map, const MapType& type, Header& fresh, const std::uint64_t* kept) {
  if (iterated(map) && map.buckets != nullptr) mark_moved(map, type, kept);
  // No iterator walks the new table yet.
  map.remove_flags(kIterator | kOldIterator | kSameSize);
  map.count = fresh.count;
  map.B = fresh.B;
  map.noverflow = fresh.noverflow;
  map.hash0 = fresh.hash0;
  map.nevacuate = 0;
  gc::write_reference(&map.buckets, fresh.buckets);
  gc::write_reference(&map.extra_word, fresh.extra_word);
}

void set_eager_wipe(Header& map, bool on) {
  check_writable(map);
  WritingScope writing(map);
  if (on) {
    map.add_flags(kEagerWipe);
  } else {
    // Those that are counted now go on, and nobody will ask for the count.
    if ((map.load_flags() & kIterators) != 0) map.add_flags(kIterator | kOldIterator);
    map.remove_flags(kEagerWipe);
  }
  writing.finish();
}

void clear_and_release(Header& map, const MapType& type) {
  check_writable(map);
  WritingScope writing(map);
  if (iterated(map)) mark_empty(map, type);
  reset_header(map);
  map.B = 0;
  gc::write_reference(&map.buckets, nullptr);
  gc::write_reference(&map.extra_word, nullptr);
  writing.finish();
}

void clear_sparse(Header& map, const MapType& type) {
  if (map.count == 0) return;
  check_writable(map);
  WritingScope writing(map);
  if (iterated(map) && map.growing()) {
    ArrayView(map, type, true).for_each_bucket([](const BucketView& bucket) {
      Tops(0).store(const_cast<char*>(bucket.address));
    });
  }
  // Overflow buckets stay on their chains, as after an erase loop: to cut them would mean to count
  // and list those that are left. What they refer to goes.
  const std::size_t bytes = type.shape.overflow_offset();
  ArrayView(map, type, false).for_each_bucket([&](const BucketView& bucket) {
    if (bucket.tops().word() == 0) return;
    char* const b = const_cast<char*>(bucket.address);
    Tops(0).store(b);
    if (type.shape.pointer_free) {
      std::memset(b, 0, bytes);
    } else {
      gc::clear_references(b, bytes);
    }
  });
  const std::uint16_t noverflow = map.noverflow;
  if (Extra* const extra = map.extra(); extra != nullptr) {
    gc::write_reference(&extra->oldoverflow, nullptr);
  }
  reset_header(map);
  map.noverflow = noverflow;
  writing.finish();
}

}  // namespace gort::hashmap
