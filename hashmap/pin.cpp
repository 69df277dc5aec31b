#include <gort/hashmap/pin.h>

#include <cstddef>

#include <gort/gc/root.h>

namespace gort::hashmap {
namespace {

// Null root slots, ready for use. The stock itself is plain memory that outlives every destructor
// of the thread; the closer gives the slots back, and from then on slots go straight back.
struct Stock {
  static constexpr std::size_t kMost = 16;
  void** slots[kMost];
  std::size_t count;
  bool registered;
  bool closed;
};
constinit GORT_TLS Stock stock{};

struct Closer {
  ~Closer() {
    stock.closed = true;
    while (stock.count > 0) gc::release_root(stock.slots[--stock.count]);
  }
  void touch() { stock.registered = true; }
};
thread_local Closer closer;

}  // namespace

void** take_pin_slot() {
  Stock& mine = stock;
  if (GORT_LIKELY(mine.count > 0)) return mine.slots[--mine.count];
  return gc::acquire_root(nullptr);
}

void give_pin_slot(void** slot) noexcept {
  Stock& mine = stock;
  if (GORT_UNLIKELY(mine.closed || mine.count == Stock::kMost)) {
    gc::release_root(slot);
    return;
  }
  if (GORT_UNLIKELY(!mine.registered)) closer.touch();
  gc::set_root(slot, nullptr);
  mine.slots[mine.count++] = slot;
}

}  // namespace gort::hashmap
