#include <gort/gc/ranges.h>

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include <gort/base/fatal.h>
#include <gort/base/metadata.h>
#include <gort/base/units.h>
#include <gort/gc/cycle.h>
#include <gort/gc/or_bad_alloc.h>

namespace gort::gc {

constinit Ranges ranges;

bool Ranges::add(const char* begin, const char* end) {
  auto* range = metadata::try_create<Range>();
  if (range == nullptr) return false;
  range->low = begin;
  range->high = end;
  LockGuard guard(lock_);
  range->next = ranges_;
  ranges_ = range;
  return true;
}

bool Ranges::remove(const char* begin, const char* end) {
  Range* found = nullptr;
  {
    LockGuard guard(lock_);
    for (Range** at = &ranges_; *at != nullptr; at = &(*at)->next) {
      if ((*at)->low != begin || (*at)->high != end) continue;
      found = *at;
      *at = found->next;
      break;
    }
  }
  metadata::destroy(found);
  return found != nullptr;
}

FiberStack* Ranges::add_stack(const char* low, const char* high) {
  auto* stack = metadata::try_create<FiberStack>();
  if (stack == nullptr) return nullptr;
  stack->low = low;
  stack->high = high;
  stack->left.stack_pointer = low;
  LockGuard guard(lock_);
  stack->next = stacks_;
  stacks_ = stack;
  return stack;
}

bool Ranges::remove_stack(FiberStack* stack) {
  FiberStack* found = nullptr;
  {
    LockGuard guard(lock_);
    for (FiberStack** at = &stacks_; *at != nullptr; at = &(*at)->next) {
      if (*at != stack) continue;
      found = stack;
      *at = found->next;
      break;
    }
  }
  metadata::destroy(found);
  return found != nullptr;
}

const char* Ranges::high_end_of(const char* address) {
  const char* high = nullptr;
  for_each_stack([&](const FiberStack& stack) {
    if (address >= stack.low && address < stack.high) high = stack.high;
  });
  return high;
}

void Cycle::scan_ranges(bool stacks) {
  ranges.for_each_range([this](const char* low, const char* high) {
    marker_.mark_range(low, high);
    record_.root_bytes += static_cast<std::size_t>(high - low);
  });
  if (!stacks) return;
  const auto scan = [this](const SuspendedStack& left, const char* high) {
    const auto* registers = reinterpret_cast<const char*>(left.registers);
    marker_.mark_range(registers, registers + sizeof left.registers);
    const auto* frame = reinterpret_cast<const char*>(left.frame);
    marker_.mark_range(frame, frame + sizeof left.frame);
    marker_.mark_range(left.stack_pointer, high);
    record_.stack_bytes += static_cast<std::size_t>(high - left.stack_pointer);
  };
  ranges.for_each_stack([&](const FiberStack& stack) { scan(stack.left, stack.high); });
  world.for_each_thread([&](const Thread& thread) {
    if (!on_own_stack(thread) && thread.own_stack.stack_pointer != nullptr) {
      scan(thread.own_stack, thread.stack.high);
    }
  });
}

namespace {

struct Leaving {
  Thread* self;
  const char* frame_end;
};

// With the registers and the stack pointer recorded. What switch_stack() has saved of its caller's
// registers stands in its frame, and the switch may write over that.
GORT_NO_SANITIZE void leave_stack(void* context) {
  const auto [self, frame_end] = *static_cast<Leaving*>(context);
  SuspendedStack& left = self->fiber != nullptr ? self->fiber->left : self->own_stack;
  const auto* from = reinterpret_cast<const std::uintptr_t*>(self->stack_pointer);
  const auto words = static_cast<std::size_t>(frame_end - self->stack_pointer) / kWordSize;
  GORT_CHECK(words <= std::size(left.frame), "switch_stack has a frame of {} words", words);
  for (std::size_t i = 0; i < words; ++i) left.frame[i] = from[i];
  std::copy(std::begin(self->registers), std::end(self->registers), left.registers);
  left.stack_pointer = self->stack_pointer;
}

}  // namespace
}  // namespace gort::gc

namespace gort {

void add_root_range(const void* begin, const void* end) {
  if (begin > end) {
    throw std::invalid_argument(
        fmt::format("gort::add_root_range: begin {} is behind end {}", begin, end));
  }
  gc::or_bad_alloc([begin, end] {
    return gc::ranges.add(static_cast<const char*>(begin), static_cast<const char*>(end));
  });
}

bool remove_root_range(const void* begin, const void* end) {
  const gc::MaybeRuntimeScope runtime;
  return gc::ranges.remove(static_cast<const char*>(begin), static_cast<const char*>(end));
}

StackId register_stack(void* low, void* high) {
  if (low >= high) {
    throw std::invalid_argument(
        fmt::format("gort::register_stack: low {} is not below high {}", low, high));
  }
  return gc::or_bad_alloc([low, high] {
    return gc::ranges.add_stack(static_cast<const char*>(low), static_cast<const char*>(high));
  });
}

void unregister_stack(StackId stack) {
  bool known = false;
  {
    const gc::MaybeRuntimeScope runtime;
    known = gc::ranges.remove_stack(stack);
  }
  if (known) return;
  throw std::invalid_argument(
      fmt::format("gort::unregister_stack: {} is not the id of a registered stack",
                  static_cast<const void*>(stack)));
}

GORT_NOINLINE void switch_stack(StackId to) {
  gc::Thread& self = gc::world.attach();
  const gc::RuntimeScope runtime(self);
  // Up to the caller's frame pointer, which is what stands at the frame's address.
  gc::Leaving leaving{&self, static_cast<const char*>(__builtin_frame_address(0)) + kWordSize};
  gc::with_stack_recorded(self, gc::leave_stack, &leaving);
  self.fiber = to;
}

}  // namespace gort
