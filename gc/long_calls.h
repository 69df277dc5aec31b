#pragma once

// Long calls: system calls that keep a processor busy for milliseconds, and how a stop of the world
// avoids them.
//
// The first access to a huge page takes a good part of a millisecond, and several where a host has
// to find the memory first. The thread is parked meanwhile (Heap::while_parked), so the stopper
// does not wait for it. But inside the system it does not give its processor away, and a running
// thread may be queued behind it, which the system is slow to move to an idle processor. So before
// a cycle on the collector's thread stops the world it lets the long calls under way come to their
// end, and new ones wait.
//
//     caller:   begin(): calls += 1;  if held: calls -= 1, wait, again      end(): calls -= 1
//     stopper:  hold():  held := 1;   wait until calls == 0                 release(): held := 0
//
// Adding and setting come before looking, all sequentially consistent, so of a caller that begins
// and a stopper that holds, at least one sees the other (Dekker). It is a courtesy all the same:
// hold() waits for 20 ms at most, and nothing but the length of the stop depends on it.
//
// No locks. Callers and the stopper are in Blocking regions while they wait here, as somebody else
// may stop the world.

#include <cstdint>

#include <gort/base/atomic.h>
#include <gort/base/config.h>

namespace gort::gc {

class LongCalls {
 public:
  void begin();
  void end();
  /// From here until release() no call begins. Returns when none is under way, or after 20 ms. One
  /// thread at a time.
  void hold();
  void release();
  /// In the child of a fork, whose only thread makes none.
  void reset_in_child();

  /// Returns the nanoseconds before. Nobody may be in hold().
  std::int64_t set_most_for_test(std::int64_t ns);

 private:
  std::int64_t most_ns_ = 20'000'000;  ///< the longest call that was seen took 12 ms
  Atomic<std::uint32_t> calls_{0};
  Atomic<std::uint32_t> held_{0};  ///< 0, 1
};

extern GORT_API LongCalls long_calls;

}  // namespace gort::gc
