#include <gort/gc/stop_signal.h>

#include <cerrno>
#include <system_error>

#include <gort/gc/world.h>

namespace gort::gc {
namespace {

// What stood there before us, one a signal number. The first is what the first install() found; of
// the others one is what the last found, so that a handler that runs meanwhile reads the other.
struct Before {
  struct sigaction found[3];
  Atomic<std::uint32_t> count{
      0};  // 0: never installed; 1: found[0] is all; 2, 3: and found[count - 1]
};
Before before[NSIG];

// Calls of handlers that stood there, one inside the other: such a handler may call us back, if it
// found us when it was installed.
constinit GORT_TLS int chained = 0;

bool same(const struct sigaction& a, const struct sigaction& b) {
  return a.sa_sigaction == b.sa_sigaction;
}

void chain(int signal, siginfo_t* info, void* context) {
  const Before& known = before[signal];
  const std::uint32_t count = known.count.load_acquire();
  const struct sigaction& last = known.found[count - 1];
  if (chained > 0 && (chained > 1 || same(last, known.found[0]))) return;
  const struct sigaction& action = chained == 0 ? last : known.found[0];
  ++chained;
  if ((action.sa_flags & SA_SIGINFO) != 0) {
    if (action.sa_sigaction != nullptr) action.sa_sigaction(signal, info, context);
  } else if (action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL) {
    action.sa_handler(signal);
  }
  --chained;
}

void check(int result) {
  if (result == 0) return;
  throw std::system_error(errno, std::generic_category(), "gort: stop signal");
}

}  // namespace

void StopSignal::install(int signal) {
  if (signal <= 0 || signal >= NSIG) {
    throw std::system_error(EINVAL, std::generic_category(), "gort: stop signal");
  }
  struct sigaction there {};
  check(::sigaction(signal, nullptr, &there));
  if ((there.sa_flags & SA_SIGINFO) != 0 && there.sa_sigaction == handle) return;
  // Written before our handler is there to read it.
  Before& known = before[signal];
  const std::uint32_t count = known.count.load_relaxed();
  const std::uint32_t next = count == 2 ? 3 : count < 2 ? count + 1 : 2;
  known.found[next - 1] = there;
  known.count.store_release(next);
  struct sigaction action {};
  action.sa_sigaction = handle;
  // No SA_ONSTACK: the frame with the thread's registers lies on the stack that the thread is on.
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigfillset(&action.sa_mask);
  check(::sigaction(signal, &action, nullptr));
}

void StopSignal::send(pthread_t thread, int signal) {
  sigval ours{};
  ours.sival_ptr = &world;
  // If the system refuses, the stopper comes again.
  static_cast<void>(::pthread_sigqueue(thread, signal, ours));
}

void StopSignal::handle(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  const bool ours = info->si_code == SI_QUEUE && info->si_value.sival_ptr == &world;
  if (!ours) chain(signal, info, context);
  Thread* const self = World::current();
  if (self != nullptr && self->runtime_depth.load_relaxed() == 0 &&
      world.stopping_.load_seq_cst() == World::kStopped) {
    World::enter_runtime(*self);
    self->note_alternate_stack();
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
