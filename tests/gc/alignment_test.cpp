// Types that ask for more than 16 bytes of alignment, up to a page: every slot keeps it, alone and
// in arrays, with and without references, over collections.

#include <catch2/catch.hpp>

#include <cstring>
#include <vector>

#include <gort/gc/cleanup.h>
#include <gort/tests/gc/heap_fixture.h>
#include <gort/tests/support/all_zero.h>

using namespace gort;
using gort_test::all_zero;
using gort_test::ExactHeap;

namespace {

template <std::size_t Alignment, std::size_t Bytes>
struct alignas(Alignment) Plain {
  char bytes[Bytes];
  GORT_POINTER_FREE();
};

template <std::size_t Alignment, std::size_t Bytes>
struct alignas(Alignment) Linked {
  Ref<Linked> next;
  long number = 0;
  char bytes[Bytes - 16] = {};
  GORT_FIELDS(Linked, next);
};

int destroyed = 0;
template <std::size_t Alignment>
struct alignas(Alignment) Noisy {
  long number = 1;
  ~Noisy() { ++destroyed; }
  GORT_POINTER_FREE();
};

template <class T>
bool aligned(const T* object) {
  return reinterpret_cast<std::uintptr_t>(object) % alignof(T) == 0;
}

// Enough for several spans of the class, each slot of them.
template <class T>
std::size_t some_spans() {
  const std::size_t block = alloc::block_size_for(alloc::bytes_to_align(sizeof(T), alignof(T)));
  return 3 * (std::size_t{64} << 10) / block + 3;
}

template <class T>
void plain_objects() {
  CAPTURE(alignof(T), sizeof(T));
  long wrong = 0;
  std::vector<Root<T>> kept;
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < some_spans<T>(); ++i) {
      T* object = make<T>();
      wrong += !aligned(object) || !all_zero(object, sizeof(T));
      std::memset(object, 0x55, sizeof(T));
      if (i % 3 == 0) kept.emplace_back(object);
    }
    ExactHeap::collect();
  }
  for (const Root<T>& root : kept) wrong += root->bytes[sizeof(T) - 1] != 0x55;
  CHECK(wrong == 0);
}

template <class T>
void linked_objects() {
  CAPTURE(alignof(T), sizeof(T));
  const auto n = static_cast<long>(some_spans<T>());
  long wrong = 0;
  Root<T> list;
  for (long i = 0; i < n; ++i) {
    T* object = make<T>();
    make<T>();  // dies
    wrong += !aligned(object) || object->number != 0;
    object->number = i;
    object->next = list.get();
    list = object;
    if (i % 16 == 0) ExactHeap::collect();
  }
  ExactHeap::collect();
  long expected = n;
  for (const T* object = list.get(); object != nullptr; object = object->next) {
    wrong += !aligned(object) || object->number != --expected;
  }
  CHECK(expected == 0);
  CHECK(wrong == 0);
}

// Of every length up to a few pages, whose elements refer to each other.
template <class T>
void arrays() {
  CAPTURE(alignof(T), sizeof(T));
  long wrong = 0;
  std::vector<Root<T>> kept;
  const std::size_t most = (std::size_t{40} << 10) / sizeof(T) + 2;
  for (std::size_t n = 0; n <= most; ++n) {
    T* array = make_array<T>(n);
    wrong += !aligned(array);
    if (n == 0) continue;
    wrong += !all_zero(array, n * sizeof(T));
    Root<T> root(array);
    make_array<T>(n);  // dies
    for (std::size_t i = 0; i < n; ++i) {
      wrong += !aligned(&array[i]);
      array[i].number = static_cast<long>(i);
      array[i].next = make<T>();
      array[i].next->number = static_cast<long>(n);
    }
    if (n % 7 == 0) kept.push_back(root);
    if (n % 5 == 0 || n == most) ExactHeap::collect();
  }
  std::size_t n = 7;
  for (const Root<T>& root : kept) {
    for (std::size_t i = 0; i < n; ++i) {
      const T& element = (&*root)[i];
      wrong += element.number != static_cast<long>(i);
      wrong += element.next->number != static_cast<long>(n) || !aligned(element.next.get());
    }
    n += 7;
  }
  CHECK(wrong == 0);
}

template <std::size_t Alignment>
void everything_aligned_to() {
  {
    ExactHeap heap;
    plain_objects<Plain<Alignment, Alignment>>();
    plain_objects<Plain<Alignment, 3 * Alignment>>();
    plain_objects<Plain<Alignment, 5 * Alignment>>();
    plain_objects<Plain<Alignment, 9 * Alignment>>();
  }
  {
    ExactHeap heap;
    linked_objects<Linked<Alignment, Alignment>>();
    linked_objects<Linked<Alignment, 5 * Alignment>>();
  }
  {
    ExactHeap heap;
    arrays<Linked<Alignment, Alignment>>();
  }
  gc::CollectorOptions options;
  options.cleanup_thread = false;
  ExactHeap heap(options);
  destroyed = 0;
  long wrong = 0;
  for (int i = 0; i < 100; ++i) wrong += !aligned(make<Noisy<Alignment>>());
  CHECK(wrong == 0);
  heap.collect();
  run_cleanups();
  CHECK(destroyed == 100);
}

}  // namespace

TEST_CASE("objects are aligned as their type asks", "[gc][alignment]") {
  everything_aligned_to<32>();
  everything_aligned_to<64>();
  everything_aligned_to<128>();
  everything_aligned_to<256>();
}

TEST_CASE("objects are aligned up to a page", "[gc][alignment]") {
  everything_aligned_to<512>();
  everything_aligned_to<1024>();
  everything_aligned_to<2048>();
  everything_aligned_to<4096>();
  everything_aligned_to<8192>();
}

TEST_CASE("what asks for 16 bytes at most keeps its block size", "[gc][alignment]") {
  ExactHeap heap;
  CHECK(gc::block_size(make<Plain<16, 16>>()) == 16);
  CHECK(gc::block_size(make<Plain<16, 48>>()) == 48);
  CHECK(gc::block_size(make<Plain<8, 24>>()) == 24);
  CHECK(gc::block_size(make<Linked<16, 80>>()) == 80);
  // And no more than the least that keeps the alignment.
  CHECK(gc::block_size(make<Plain<64, 64>>()) == 64);
  CHECK(gc::block_size(make<Plain<256, 2560>>()) == 3072);
}
