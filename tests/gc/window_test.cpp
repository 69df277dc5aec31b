// Threads that are stopped in the middle of a fast path, at one instruction that the test chooses:
// the access of a word whose page they may not touch for the moment. What a cycle does meanwhile is
// then certain, where a stop signal would have to hit the instruction by chance.
//
// The heaps here are exact, so the value that the thread has in a register saves nothing: what is
// tested is the order of the accesses (gc/barrier.h, gc/weak.h).

#include <catch2/catch.hpp>

#include <atomic>
#include <csignal>
#include <thread>

#include <sys/mman.h>

#include <gort/base/os.h>
#include <gort/gc/weak.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/gc/phases.h>

#if !GORT_TSAN  // its runtime makes the access itself, with locks of its own

using namespace gort;
using gort_test::at_drained;
using gort_test::at_marking_started;
using gort_test::ExactHeap;
using gort_test::Node;
using gort_test::with_phases;

namespace {

/// Who next touches the page (or writes to it, if it may be read) waits there, in a Blocking
/// region, until open().
class Trap {
 public:
  Trap(void* page, int protection) : page_(page) {
    trap_ = this;
    struct sigaction action {};
    action.sa_handler = [](int) { trap_->wait(); };
    ::sigaction(SIGSEGV, &action, &before_);
    protect(protection);
  }
  ~Trap() {
    protect(PROT_READ | PROT_WRITE);
    ::sigaction(SIGSEGV, &before_, nullptr);
  }
  void await_thread() const {
    while (stage_ == empty) std::this_thread::yield();
  }
  /// The thread goes on.
  void open() { stage_ = opened; }

 private:
  enum Stage { empty, caught, opened };

  void wait() {
    if (stage_ != empty) ::raise(SIGABRT);  // a real one
    gort_test::while_blocking([this] {
      stage_ = caught;
      while (stage_ != opened) std::this_thread::yield();
    });
    protect(PROT_READ | PROT_WRITE);
  }
  void protect(int protection) {
    if (::mprotect(page_, os::page_size(), protection) != 0) ::raise(SIGABRT);
  }

  static inline Trap* trap_ = nullptr;
  void* page_;
  struct sigaction before_ {};
  std::atomic<Stage> stage_{empty};
};

// A word at the begin of a page that lies in one object.
template <class T>
T* at_page(T* array) {
  return reinterpret_cast<T*>(
      bits::align_up(reinterpret_cast<std::uintptr_t>(array) + 1, os::page_size()));
}

// Lets the thread in the trap go on, and waits for it. On the collector's thread, which is in the
// runtime.
void finish(Trap& trap, const std::atomic<bool>& done) {
  trap.open();
  while (!done) std::this_thread::yield();
}

}  // namespace

TEST_CASE("marking begins between the barrier's load and its store", "[gc][barrier][window]") {
  ExactHeap heap(with_phases());
  Root<Ref<Node>> array(make_array<Ref<Node>>(3 * os::page_size() / sizeof(Ref<Node>)));
  Ref<Node>& home = *at_page(array.get());
  home = make<Node>();
  home->value = 7;
  Root<Node> new_home;
  std::atomic<bool> done{false};
  Trap trap(&home, PROT_READ);
  std::thread writer([&] {
    gc::world.attach();
    home = nullptr;
    done = true;
  });
  trap.await_thread();
  at_marking_started = [&] {
    new_home = make<Node>();  // black
    new_home->left = home.get();
    finish(trap, done);
  };
  heap.collect();
  gort_test::join(writer);
  CHECK(home.get() == nullptr);
  REQUIRE(new_home->left.get() != nullptr);
  CHECK(new_home->left->value == 7);
  CHECK(heap.objects() == 3);
}

TEST_CASE("marking begins before a weak reference is read", "[gc][weak][window]") {
  ExactHeap heap(with_phases());
  void* const page =
      ::mmap(nullptr, os::page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(page != MAP_FAILED);
  auto** const slot = static_cast<void**>(page);
  *slot = make<Node>();
  Root<Node> found;
  std::atomic<bool> done{false};
  {
    Trap trap(page, PROT_NONE);
    std::thread reader([&] {
      gc::world.attach();
      found = static_cast<Node*>(gc::read_weak(slot));
      done = true;
    });
    trap.await_thread();
    at_drained = [&] { finish(trap, done); };  // roots are not looked at again
    heap.collect();
    gort_test::join(reader);
  }
  CHECK(found.get() != nullptr);
  CHECK(heap.objects() == 1);
  ::munmap(page, os::page_size());
}

#endif
