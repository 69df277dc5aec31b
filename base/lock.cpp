#include <gort/base/lock.h>

#include <climits>
#include <ctime>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gort/base/fatal.h>
#include <gort/base/spin.h>

namespace gort {

void futex_wait(Atomic<std::uint32_t>& word, std::uint32_t value) {
  ::syscall(SYS_futex, word.address(), FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void futex_wait_for(Atomic<std::uint32_t>& word, std::uint32_t value, std::int64_t ns) {
  timespec t{};
  t.tv_sec = ns / 1'000'000'000;
  t.tv_nsec = ns % 1'000'000'000;
  ::syscall(SYS_futex, word.address(), FUTEX_WAIT_PRIVATE, value, &t, nullptr, 0);
}

void futex_wake(Atomic<std::uint32_t>& word, int waiters) {
  ::syscall(SYS_futex, word.address(), FUTEX_WAKE_PRIVATE, waiters, nullptr, nullptr, 0);
}

void Lock::acquire_slow() {
  // A holder keeps a lock for well under a microsecond as a rule, so look a while before sleeping.
  constexpr std::int64_t kSpinNs = 2000;
  const auto take = [this] {
    std::uint32_t expected = 0;
    return word_.load_relaxed() == 0 && word_.cas_acquire(expected, 1);
  };
  if (spin_for(kSpinNs, take)) return;
  while (word_.exchange_acquire(2) != 0) futex_wait(word_, 2);
}

void Lock::release_slow() {
  word_.store_release(0);
  futex_wake(word_, 1);
}

#ifndef NDEBUG
namespace {
GORT_TLS std::uint32_t held_ranks = 0;
}  // namespace

void Lock::check_rank() const {
  const auto rank = static_cast<unsigned>(rank_);
  GORT_CHECK((held_ranks >> rank) == 0, "lock of rank {} taken while holding ranks {:#x}", rank,
             held_ranks);
}
void Lock::note_held() const { held_ranks |= 1U << static_cast<unsigned>(rank_); }
void Lock::note_released() const { held_ranks &= ~(1U << static_cast<unsigned>(rank_)); }
#endif

}  // namespace gort
