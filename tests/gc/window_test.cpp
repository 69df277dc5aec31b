// Threads that are stopped in the middle of a fast path, at one instruction that the test chooses
// (support/trap.h). What a cycle does meanwhile is then certain, where a stop signal would have to
// hit the instruction by chance.
//
// The heaps here are exact, so the value that the thread has in a register saves nothing: what is
// tested is the order of the accesses (gc/barrier.h, gc/weak.h).

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

#include <gort/base/os.h>
#include <gort/gc/weak.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/gc/phases.h>
#include <gort/tests/support/trap.h>

#if !GORT_TSAN

using namespace gort;
using gort_test::at_drained;
using gort_test::at_marking_started;
using gort_test::ExactHeap;
using gort_test::Node;
using gort_test::Trap;
using gort_test::with_phases;

namespace {

// Where a thread that springs the trap waits, in a Blocking region, until it may go on.
class Window {
 public:
  void wait() {
    gort_test::while_blocking([this] {
      stage_ = caught;
      while (stage_ != opened) std::this_thread::yield();
    });
  }
  void await_thread() const {
    while (stage_ == empty) std::this_thread::yield();
  }
  void open() { stage_ = opened; }

 private:
  enum Stage { empty, caught, opened };
  std::atomic<Stage> stage_{empty};
};

// A word at the begin of a page that lies in one object.
template <class T>
T* at_page(T* array) {
  return reinterpret_cast<T*>(
      bits::align_up(reinterpret_cast<std::uintptr_t>(array) + 1, os::page_size()));
}

// Lets the thread go on, and waits for it. On the collector's thread, which is in the runtime.
void finish(Window& window, const std::atomic<bool>& done) {
  window.open();
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
  Window window;
  const Trap trap(&home, PROT_READ, [&window] { window.wait(); });
  std::thread writer([&] {
    gc::world.attach();
    home = nullptr;
    done = true;
  });
  window.await_thread();
  at_marking_started = [&] {
    new_home = make<Node>();  // black
    new_home->left = home.get();
    finish(window, done);
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
  const gort_test::Page page;
  auto** const slot = static_cast<void**>(page.get());
  *slot = make<Node>();
  Root<Node> found;
  std::atomic<bool> done{false};
  {
    Window window;
    const Trap trap(page.get(), PROT_NONE, [&window] { window.wait(); });
    std::thread reader([&] {
      gc::world.attach();
      found = static_cast<Node*>(gc::read_weak(slot));
      done = true;
    });
    window.await_thread();
    at_drained = [&] { finish(window, done); };  // roots are not looked at again
    heap.collect();
    gort_test::join(reader);
  }
  CHECK(found.get() != nullptr);
  CHECK(heap.objects() == 1);
}

#endif
