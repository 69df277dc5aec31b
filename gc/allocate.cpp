#include <gort/gc/allocate.h>

#include <gort/alloc/arena.h>
#include <gort/alloc/heap.h>
#include <gort/base/fatal.h>
#include <gort/base/lock.h>
#include <gort/gc/world.h>

namespace gort::gc {
namespace {

// Uniform classes in use, looked up by what objects in them have in common. Guard: the lock;
// touched once per type.
Lock class_lock{LockRank::layouts};
struct UniformClass {
  std::size_t size_class;
  std::uint64_t mask;
  alloc::SpanClass span_class;
};
UniformClass uniform_classes[alloc::kMaxUniformClasses];
std::size_t uniform_count = 0;
// Of a type that came too late: large objects' too, like 0, so a run of it is never there.
constexpr alloc::SpanClass kNoUniformClass = alloc::kLargeNoscan;

// The class for objects of this size class and mask, registered if need be; 0 if none are left.
alloc::SpanClass uniform_class_of(std::size_t size_class, std::uint64_t mask, LayoutId layout) {
  const MaybeRuntimeScope runtime;
  LockGuard guard(class_lock);
  for (std::size_t i = 0; i < uniform_count; ++i) {
    const UniformClass& known = uniform_classes[i];
    if (known.size_class == size_class && known.mask == mask) return known.span_class;
  }
  const alloc::SpanClass span_class = alloc::add_uniform_class(size_class, layout, mask);
  if (span_class != 0) uniform_classes[uniform_count++] = {size_class, mask, span_class};
  return span_class;
}

}  // namespace

void* allocate(std::size_t bytes, LayoutId layout_id) {
  alloc::ThreadCache& cache = *alloc::thread_cache;
  const bool noscan = layout_id == kNoReferences;
  if (GORT_UNLIKELY(bytes > alloc::kMaxSmallSize)) {
    return alloc::heap.allocate_large(bytes, noscan, layout_id);
  }
  if (noscan && bytes < alloc::kTinySize && bytes > 0) return cache.allocate_tiny(bytes);
  const std::size_t size_class = alloc::size_class_of(bytes);
  const std::size_t slot = alloc::kSizeClasses[size_class].size;
  const alloc::SpanClass span_class = alloc::base_span_class(size_class, noscan);
  return noscan ? cache.allocate(span_class, slot)
                : cache.allocate_tagged(span_class, slot, layout_id);
}

std::size_t block_size(const void* object) {
  const alloc::Span* span = alloc::span_of(object);
  return span == nullptr ? 0 : span->elem_size;
}

// Half an entry at most is lost.
void free_span_classes_in_child() {
  class_lock.reset_in_child();
  alloc::free_span_classes_in_child();
}

namespace detail {

void* allocate_typed_slow(std::size_t size, LayoutId layout_id, Atomic<std::uint16_t>& span_class) {
  const std::size_t size_class = alloc::size_class_of(size);
  // Pairs with the release below: who knows the class sees what it was registered with.
  alloc::SpanClass uniform = span_class.load_acquire();
  if (uniform == 0) {
    uniform = uniform_class_of(size_class, layout(layout_id).mask, layout_id);
    if (uniform == 0) uniform = kNoUniformClass;
    span_class.store_release(uniform);
  }
  if (uniform == kNoUniformClass) return allocate(size, layout_id);
  return alloc::thread_cache->allocate(uniform, alloc::kSizeClasses[size_class].size);
}

}  // namespace detail
}  // namespace gort::gc
