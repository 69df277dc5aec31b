// The stop signal beside the program's own signals: blocked ones, handlers of the same number, and
// handlers that run on a stack of their own. As in stop_test.cpp, threads here never poll: where a
// stop does not reach one, the test never ends.

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/support/child.h>

#if !GORT_TSAN  // there, threads stop at polls alone

using namespace gort;
using gort_test::Node;
using gort_test::require;
using gort_test::SignalHeap;

namespace {

bool is_blocked(int signal) {
  sigset_t now;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &now);
  return ::sigismember(&now, signal) == 1;
}

gc::CollectorOptions on(int signal) {
  gc::CollectorOptions options = gort_test::with_signals();
  options.stop_signal = signal;
  return options;
}

// A thread of a heap that has begun, in a loop for as long as this lives.
class Spinner {
 public:
  Spinner() : thread_([this] { spin(); }) {
    while (stage_ != 1) std::this_thread::yield();
  }
  ~Spinner() {
    stage_ = 2;
    thread_.join();
  }
  pthread_t handle() { return thread_.native_handle(); }

 private:
  void spin() {
    make<Node>();
    stage_ = 1;
    while (stage_.load() != 2) {
    }
  }
  std::atomic<int> stage_{0};
  std::thread thread_;
};

void collect_often() {
  for (int i = 0; i < 5; ++i) SignalHeap::collect();
}

struct sigaction set_handler(int signal, void (*handler)(int), int flags = 0) {
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  require(::sigaction(signal, &action, &before) == 0);
  return before;
}

std::atomic<int> seen{0};
void count_signal(int) { ++seen; }

}  // namespace

TEST_CASE("a thread that has blocked all signals is stopped", "[gc][stop][signal]") {
  SignalHeap heap;
  std::atomic<int> stage{0};
  long wrong = 0;
  bool while_attached = true;
  bool afterwards = false;
  std::thread spinner([&] {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    Node* node = make<Node>();
    node->value = 4711;
    while_attached = is_blocked(SIGURG);
    stage = 1;
    while (stage.load() != 2) wrong += node->value != 4711;
    gc::world.detach();
    afterwards = is_blocked(SIGURG);
  });
  while (stage != 1) std::this_thread::yield();
  collect_often();
  stage = 2;
  gort_test::join(spinner);
  CHECK(wrong == 0);
  CHECK_FALSE(while_attached);
  CHECK(afterwards);
  CHECK_FALSE(is_blocked(SIGURG));  // in a thread that had not blocked it
}

// --- the program's signals of the same number ----------------------------------------------------

TEST_CASE("raise() and pthread_kill() of that number reach the handler before us",
          "[gc][stop][signal]") {
  static std::atomic<int> with_info{0};
  const bool siginfo = GENERATE(false, true);
  const auto result = gort_test::in_child([siginfo] {
    struct sigaction action {};
    action.sa_handler = count_signal;
    if (siginfo) {
      action.sa_flags = SA_SIGINFO;
      action.sa_sigaction = [](int signal, siginfo_t* info, void* context) {
        ++seen;
        with_info += signal == SIGUSR2 && info->si_code == SI_TKILL && context != nullptr;
      };
    }
    ::sigaction(SIGUSR2, &action, nullptr);
    gc::collector.start(on(SIGUSR2));
    {
      Spinner spinner;
      collect_often();
      require(seen == 0);
      ::raise(SIGUSR2);
      require(seen == 1);
      ::pthread_kill(spinner.handle(), SIGUSR2);
      while (seen != 2) {
      }
      collect_often();
    }
    gc::collector.shutdown();
    require(seen == 2);
    require(with_info == (siginfo ? 2 : 0));
  });
  CHECK(result.exit_code == 0);
}

TEST_CASE("a stop needs no room in the system's queue of signals", "[gc][stop][signal]") {
  const auto result = gort_test::in_child([] {
    gc::collector.start(on(SIGURG));
    {
      const Spinner spinner;
      const rlimit none{0, 0};
      require(::setrlimit(RLIMIT_SIGPENDING, &none) == 0);
      collect_often();
    }
    gc::collector.shutdown();
  });
  CHECK(result.exit_code == 0);
}

// Of real-time signals each would stay in that queue, as those threads never let one through.
TEST_CASE("a thread of the runtime that blocks the signal is not sent it", "[gc][stop][signal]") {
  const auto result = gort_test::in_child([] {
    const int signal = SIGRTMIN + 1;
    gc::collector.start(on(signal));
    std::atomic<int> at{0};
    std::thread late([&at, signal] {
      sigset_t set;
      ::sigfillset(&set);
      ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
      gc::Thread& self = gc::world.attach(true);
      gc::World::enter_runtime(self);
      at = 1;
      while (!gc::world.stop_requested()) {
      }
      // Longer than a stop waits before it signals, and signals again.
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      ::sigpending(&set);
      require(::sigismember(&set, signal) == 0);
      gc::world.detach();
    });
    while (at != 1) std::this_thread::yield();
    gc::with_world_stopped([] {});
    late.join();
    gc::collector.shutdown();
  });
  CHECK(result.exit_code == 0);
}

TEST_CASE("a handler set between shutdown and start comes after ours", "[gc][stop][signal]") {
  const auto result = gort_test::in_child([] {
    gc::collector.start(on(SIGUSR2));
    gc::collector.shutdown();
    for (int times = 1; times <= 4; ++times) {
      set_handler(SIGUSR2, count_signal);
      gc::collector.start(on(SIGUSR2));
      {
        const Spinner spinner;
        collect_often();
        require(seen == times - 1);
        ::raise(SIGUSR2);
        require(seen == times);
      }
      gc::collector.shutdown();
    }
  });
  CHECK(result.exit_code == 0);
}

TEST_CASE("a handler that calls the one before may be set at any time", "[gc][stop][signal]") {
  static std::atomic<int> second{0};
  static struct sigaction before_second;
  const bool while_started = GENERATE(false, true);
  const auto result = gort_test::in_child([while_started] {
    set_handler(SIGUSR2, count_signal);
    gc::collector.start(on(SIGUSR2));
    if (!while_started) gc::collector.shutdown();
    struct sigaction action {};
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    action.sa_sigaction = [](int signal, siginfo_t* info, void* context) {
      ++second;
      before_second.sa_sigaction(signal, info, context);
    };
    ::sigaction(SIGUSR2, &action, &before_second);
    for (int i = 0; i < 2; ++i) {
      if (!while_started || i > 0) gc::collector.start(on(SIGUSR2));
      {
        const Spinner spinner;
        collect_often();
        seen = second = 0;
        ::raise(SIGUSR2);
        require(seen == 1);
        require(second == 1);
      }
      gc::collector.shutdown();
    }
  });
  CHECK(result.exit_code == 0);
}

// --- alternate signal stacks ---------------------------------------------------------------------

namespace {

std::atomic<int> stage{0};

// A stack for the signal handlers of the calling thread.
class AlternateStack {
 public:
  AlternateStack(char* memory, std::size_t bytes) {
    stack_t stack{};
    stack.ss_sp = memory;
    stack.ss_size = bytes;
    require(::sigaltstack(&stack, &before_) == 0);
  }
  ~AlternateStack() { ::sigaltstack(&before_, nullptr); }
  AlternateStack(const AlternateStack&) = delete;
  AlternateStack& operator=(const AlternateStack&) = delete;

 private:
  stack_t before_{};
};

constexpr std::size_t kStackBytes = std::size_t{128} << 10;

void collect_and_fill() {
  for (int i = 0; i < 3; ++i) {
    SignalHeap::collect();
    for (int k = 0; k < 5000; ++k) make<Node>();
  }
}

// Holds a list on its stack and in registers alone while handlers run.
GORT_NOINLINE long use_list_until(int last_stage) {
  Node* volatile on_stack = make<Node>();
  on_stack->value = 1;
  on_stack->left = make<Node>();
  on_stack->left->value = 2;
  Node* in_register = make<Node>();
  in_register->value = 3;
  stage = 1;
  long wrong = 0;
  while (stage.load() != last_stage) {
    if (stage.load() == 1) ::raise(SIGUSR1);  // a signal at a known place, or another's at any
    wrong += in_register->value != 3;
  }
  wrong += on_stack->value != 1 || on_stack->left->value != 2;
  return wrong;
}

}  // namespace

TEST_CASE("a thread is stopped on an alternate signal stack", "[gc][stop][signal]") {
  SignalHeap heap;
  const struct sigaction before = set_handler(
      SIGUSR1,
      [](int) {
        stage = 2;
        while (stage.load() != 3) {
        }
      },
      SA_ONSTACK);
  const bool inside_own_stack = GENERATE(false, true);
  stage = 0;
  long wrong = -1;
  std::thread spinner([&] {
    std::vector<char> elsewhere(inside_own_stack ? 0 : kStackBytes);
    char here[kStackBytes];
    const AlternateStack alternate(inside_own_stack ? here : elsewhere.data(), kStackBytes);
    wrong = use_list_until(3);
  });
  while (stage != 2) std::this_thread::yield();
  collect_and_fill();
  stage = 3;
  gort_test::join(spinner);
  CHECK(wrong == 0);
  ::sigaction(SIGUSR1, &before, nullptr);
}

// Of what it recorded when it last parked, a signal stack may have become something else.
TEST_CASE("a thread that detaches leaves nothing of its stacks to scan", "[gc][stop][signal]") {
  SignalHeap heap;
  const struct sigaction before = set_handler(
      SIGUSR1, [](int) { SignalHeap::collect(); }, SA_ONSTACK);
  stage = 0;
  gc::Thread* detaching = nullptr;
  std::thread thread([&detaching] {
    detaching = &gc::world.attach();
    {
      std::vector<char> memory(kStackBytes);
      const AlternateStack alternate(memory.data(), memory.size());
      ::raise(SIGUSR1);
    }
    gc::World::enter_runtime(*detaching);  // it parks in detach(), and not in our handler
    stage = 1;
    while (!gc::world.stop_requested()) {
    }
    gc::world.detach();
  });
  while (stage != 1) std::this_thread::yield();
  bool to_scan = true;
  gc::with_world_stopped(
      [&] { to_scan = detaching->alternate_high != nullptr || detaching->kept_words != 0; });
  gort_test::join(thread);
  CHECK_FALSE(to_scan);
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_CASE("a handler on an alternate signal stack may collect", "[gc][stop][signal]") {
  SignalHeap heap;
  const struct sigaction before = set_handler(
      SIGUSR1,
      [](int) {
        collect_and_fill();
        stage = 3;
      },
      SA_ONSTACK);
  stage = 0;
  std::vector<char> memory(kStackBytes);
  const AlternateStack alternate(memory.data(), memory.size());
  CHECK(use_list_until(3) == 0);
  ::sigaction(SIGUSR1, &before, nullptr);
}

#endif
