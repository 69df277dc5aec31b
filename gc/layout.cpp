#include <gort/gc/layout.h>

#include <algorithm>
#include <cstring>

#include <gort/base/fatal.h>
#include <gort/base/lock.h>
#include <gort/base/metadata.h>
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

}  // namespace

LayoutId intern_layout(std::size_t size, const std::uint64_t* bitmap, const char* name,
                       LayoutKind kind, const void* info) {
  GORT_CHECK(size > 0 && size % kWordSize == 0, "layout of {}: size {} is no multiple of 8", name,
             size);
  const std::size_t words = size / kWordSize;
  const std::size_t references = bits::count_range(bitmap, 0, words);
  if (references == 0 && kind == LayoutKind::plain) return kNoReferences;

  const MaybeRuntimeScope runtime;
  LockGuard guard(table_lock);
  const std::size_t n = count.load_relaxed();
  for (std::size_t id = 1; id <= n; ++id) {
    const Layout& known = entry(static_cast<LayoutId>(id));
    if (known.kind == kind && known.info == info && same_bits(known, size, bitmap)) {
      return static_cast<LayoutId>(id);
    }
  }
  GORT_CHECK(n < kBlock * kBlocks, "more than {} different layouts", n);
  if (n % kBlock == 0 && blocks[n / kBlock].load_relaxed() == nullptr) {
    blocks[n / kBlock].store_release(
        static_cast<Layout*>(metadata::allocate(kBlock * sizeof(Layout))));
  }
  const std::size_t map_words = bits::words_for(words);
  auto* copy = static_cast<std::uint64_t*>(metadata::allocate(map_words * sizeof(std::uint64_t)));
  std::memcpy(copy, bitmap, map_words * sizeof(std::uint64_t));
  const auto id = static_cast<LayoutId>(n + 1);
  entry(id) = {size, words, references, copy, copy[0], kind, info, name};
  count.store_release(n + 1);
  return id;
}

const Layout& layout(LayoutId id) {
  GORT_DCHECK(id != kNoReferences && id <= count.load_acquire(), "layout id {}", id);
  return entry(id);
}

void free_layouts_in_child() { table_lock.reset_in_child(); }

std::size_t layout_count() { return count.load_acquire(); }

}  // namespace gort::gc
