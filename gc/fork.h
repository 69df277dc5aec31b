#pragma once

namespace gort::gc {

/// From now on a child of fork can use the heap: see fork.cpp. Once a process; later calls do
/// nothing. Throws std::system_error if the system refuses.
void install_fork_handlers();

}  // namespace gort::gc
