#pragma once

// The signal that stops a thread anywhere: see world.h.

#include <csignal>

namespace gort::gc {

struct StopSignal {
  /// Installs the handler for signal number `signal`, in front of the one that is there. Once per
  /// number; later calls with the same number do nothing. Throws std::system_error.
  static void install(int signal);

 private:
  static void handle(int signal, siginfo_t* info, void* context);
};

}  // namespace gort::gc
