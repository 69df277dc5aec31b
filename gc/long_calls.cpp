#include <gort/gc/long_calls.h>

#include <climits>
#include <utility>

#include <gort/base/clock.h>
#include <gort/base/lock.h>

namespace gort::gc {

constinit LongCalls long_calls;

void LongCalls::begin() {
  for (;;) {
    calls_.fetch_add_seq_cst(1);
    if (held_.load_seq_cst() == 0) return;
    end();
    futex_wait(held_, 1);
  }
}

void LongCalls::end() {
  if (calls_.fetch_sub_seq_cst(1) == 1 && held_.load_seq_cst() != 0) futex_wake(calls_, 1);
}

void LongCalls::hold() {
  held_.store_seq_cst(1);
  const std::int64_t end = now_ns() + most_ns_;
  for (;;) {
    const std::uint32_t calls = calls_.load_seq_cst();
    const std::int64_t left = end - now_ns();
    if (calls == 0 || left <= 0) return;
    futex_wait_for(calls_, calls, left);
  }
}

void LongCalls::release() {
  if (held_.load_relaxed() == 0) return;
  held_.store_seq_cst(0);
  futex_wake(held_, INT_MAX);
}

void LongCalls::reset_in_child() {
  calls_.store_relaxed(0);
  held_.store_relaxed(0);
}

std::int64_t LongCalls::set_most_for_test(std::int64_t ns) { return std::exchange(most_ns_, ns); }

}  // namespace gort::gc
