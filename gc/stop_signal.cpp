#include <gort/gc/stop_signal.h>

#include <cerrno>
#include <system_error>

#include <unistd.h>

#include <gort/gc/world.h>

namespace gort::gc {
namespace {

// What was installed before us, one a signal number. Written before our handler is installed.
struct sigaction previous[NSIG];
bool installed[NSIG];

void chain(int signal, siginfo_t* info, void* context) {
  const struct sigaction& action = previous[signal];
  if ((action.sa_flags & SA_SIGINFO) != 0) {
    if (action.sa_sigaction != nullptr) action.sa_sigaction(signal, info, context);
  } else if (action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL) {
    action.sa_handler(signal);
  }
}

}  // namespace

void StopSignal::install(int signal) {
  if (signal <= 0 || signal >= NSIG) {
    throw std::system_error(EINVAL, std::generic_category(), "gort: stop signal");
  }
  if (installed[signal]) return;
  if (::sigaction(signal, nullptr, &previous[signal]) != 0) {
    throw std::system_error(errno, std::generic_category(), "gort: stop signal");
  }
  struct sigaction action {};
  action.sa_sigaction = handle;
  // No SA_ONSTACK: the frame with the thread's registers must lie on the stack that is scanned.
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigfillset(&action.sa_mask);
  if (::sigaction(signal, &action, nullptr) != 0) {
    throw std::system_error(errno, std::generic_category(), "gort: stop signal");
  }
  installed[signal] = true;
}

void StopSignal::handle(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  // Sent by pthread_kill from this process, or not ours.
  if (info->si_code != SI_TKILL || info->si_pid != ::getpid()) {
    chain(signal, info, context);
    errno = saved_errno;
    return;
  }
  Thread* const self = World::current();
  if (self != nullptr && self->runtime_depth.load_relaxed() == 0 &&
      world.stopping_.load_seq_cst() == World::kStopped) {
    World::enter_runtime(*self);
    // The interrupted registers, vector registers too, are in the signal frame, which lies on this
    // stack above us, so scanning from here on upwards finds them.
    with_stack_recorded(
        *self,
        [](void* p) {
          auto& thread = *static_cast<Thread*>(p);
          thread.interrupted = true;
          world.park(thread);
        },
        self);
    // No poll: a signal that comes now is delivered when this handler returns.
    self->runtime_depth.store_relaxed(0);
  }
  errno = saved_errno;
}

}  // namespace gort::gc
