#include <gort/alloc/span_class.h>

#include <array>

#include <gort/base/lock.h>

namespace gort::alloc {
namespace {

constexpr std::array<SpanClassInfo, kSpanClassCount> base_table() {
  std::array<SpanClassInfo, kSpanClassCount> table{};
  for (std::size_t c = 0; c < kSizeClassCount; ++c) {
    table[base_span_class(c, false)] = {static_cast<std::uint8_t>(c), false, c != 0, 0, 0};
    table[base_span_class(c, true)] = {static_cast<std::uint8_t>(c), true, false, 0, 0};
  }
  return table;
}

Lock registration_lock{LockRank::span_class};
constinit std::array<SpanClassInfo, kSpanClassCount> table = base_table();
Atomic<std::size_t> limit{kBaseSpanClasses};

}  // namespace

const SpanClassInfo& span_class_info(SpanClass span_class) { return table[span_class]; }

std::size_t span_class_limit() { return limit.load_acquire(); }

SpanClass add_uniform_class(std::size_t size_class, Tag tag, std::uint64_t reference_mask) {
  LockGuard guard(registration_lock);
  const std::size_t n = limit.load_relaxed();
  if (n == kSpanClassCount) return 0;
  table[n] = {static_cast<std::uint8_t>(size_class), false, false, tag, reference_mask};
  limit.store_release(n + 1);
  return static_cast<SpanClass>(n);
}

void free_span_classes_in_child() { registration_lock.reset_in_child(); }

}  // namespace gort::alloc
