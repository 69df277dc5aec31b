#pragma once

// The signal that stops a thread anywhere: see world.h.
//
// It is sent with a value that tells it from the program's own signals of that number, which go on
// to the handler that was there before. But whoever sent the signal that arrives: if a stop is
// asked for, the thread parks. A second signal of one number is lost while the first is pending,
// so the program's may have come in the place of ours, and the system drops the value when the
// user's queue of signals is full.
//
// The handler stays when the runtime is shut down, as a signal of the last stop may still be on its
// way to a thread. If another stands there at the next start(), ours comes in front of that one.

#include <csignal>

#include <pthread.h>

namespace gort::gc {

struct StopSignal {
  /// Installs the handler for signal number `signal`, in front of the one that is there, unless
  /// ours is. One call at a time. Throws std::system_error.
  static void install(int signal);
  /// Any thread.
  static void send(pthread_t thread, int signal);

 private:
  static void handle(int signal, siginfo_t* info, void* context);
};

}  // namespace gort::gc
