#include <gort/gc/layout.h>

#include <algorithm>
#include <cstring>

#include <gort/base/fatal.h>
#include <gort/base/lock.h>
#include <gort/base/metadata.h>
#include <gort/gc/or_bad_alloc.h>
#include <gort/gc/world.h>

namespace gort::gc {
namespace {

// The table is an array of blocks, so that a layout never moves and readers need no lock: a block
// pointer is published before any id in it is given out.
constexpr std::size_t kBlock = 256;
constexpr std::size_t kBlocks = 256;

Lock table_lock{LockRank::layouts};
Atomic<Layout*> blocks[kBlocks];
Atomic<std::size_t> count{0};

Layout& entry(LayoutId id) { return blocks[(id - 1) / kBlock].load_acquire()[(id - 1) % kBlock]; }

bool same_bits(const Layout& a, std::size_t size, const std::uint64_t* bitmap) {
  return a.size == size && std::equal(bitmap, bitmap + bits::words_for(a.words), a.bitmap);
}

// kNoReferences if there is no memory.
LayoutId known_or_new(const Layout& wanted) {
  LockGuard guard(table_lock);
  const std::size_t n = count.load_relaxed();
  for (std::size_t id = 1; id <= n; ++id) {
    const Layout& known = entry(static_cast<LayoutId>(id));
    if (known.kind == wanted.kind && known.info == wanted.info &&
        same_bits(known, wanted.size, wanted.bitmap)) {
      return static_cast<LayoutId>(id);
    }
  }
  GORT_CHECK(n < kBlock * kBlocks, "more than {} different layouts", n);
  if (n % kBlock == 0 && blocks[n / kBlock].load_relaxed() == nullptr) {
    auto* block = static_cast<Layout*>(metadata::try_allocate(kBlock * sizeof(Layout)));
    if (block == nullptr) return kNoReferences;
    blocks[n / kBlock].store_release(block);
  }
  const std::size_t map_bytes = bits::words_for(wanted.words) * sizeof(std::uint64_t);
  auto* copy = static_cast<std::uint64_t*>(metadata::try_allocate(map_bytes));
  if (copy == nullptr) return kNoReferences;
  std::memcpy(copy, wanted.bitmap, map_bytes);
  const auto id = static_cast<LayoutId>(n + 1);
  entry(id) = wanted;
  entry(id).bitmap = copy;
  entry(id).mask = copy[0];
  count.store_release(n + 1);
  return id;
}

}  // namespace

LayoutId intern_layout(std::size_t size, const std::uint64_t* bitmap, const char* name,
                       LayoutKind kind, const void* info) {
  GORT_CHECK(size > 0 && size % kWordSize == 0, "layout of {}: size {} is no multiple of 8", name,
             size);
  const std::size_t words = size / kWordSize;
  const std::size_t references = bits::count_range(bitmap, 0, words);
  if (references == 0 && kind == LayoutKind::plain) return kNoReferences;

  static_assert(kNoReferences == 0);
  return or_bad_alloc([&] {
    return known_or_new({size, words, references, bitmap, 0, kind, info, name});
  });
}

const Layout& layout(LayoutId id) {
  GORT_DCHECK(id != kNoReferences && id <= count.load_acquire(), "layout id {}", id);
  return entry(id);
}

void free_layouts_in_child() { table_lock.reset_in_child(); }

std::size_t layout_count() { return count.load_acquire(); }

}  // namespace gort::gc
