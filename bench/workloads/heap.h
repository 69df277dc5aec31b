#pragma once

// The memory that a workload runs on. A workload is a template over a type H with these members:
//
//     kName                        the implementation's name in the output
//     Ref<T>, Root<T>              a reference inside an object; one from outside the heap
//     Local<T>                     what a function holds a new object by, and returns: T* where the
//                                  stack is scanned or objects are freed by hand
//     make<T>(), make_array<T>(n)  new zeroed objects; the members that have no initialiser too;
//                                  a Local<T>
//     free(p)                      gives an object back; nothing where a collector does it
//     kCollected                   there is a collector
//     start()                      called first in main
//     collect(), release()         full collection; the same, then free memory goes to the system
//     Thread                       RAII: this thread uses the heap
//     Waiting                      RAII: this thread waits and touches no heap reference
//     stats(n)                     HeapStats; the pauses are those after the first n collections
//     IdMap<T>                     a hash map from std::int64_t to Ref<T>, for one thread: put(id,
//     p);
//                                  get(id), a T*; take(id), out of the map and, where objects are
//                                  freed by hand, returned. Lives on a stack
//
// What is live at a workload's end is left to the process's end, on every heap.
//
// Types that a workload keeps in the heap name their references with GORT_FIELDS, which means
// nothing to the peers. Here is what the peers share; gort's own H is in bench/workloads.cpp.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <unordered_map>
#include <utility>

#include <gort/bench/workloads/latency.h>

#ifndef GORT_FIELDS
#define GORT_FIELDS(...) static_assert(true, "")
#endif
#ifndef GORT_POINTER_FREE
#define GORT_POINTER_FREE() static_assert(true, "")
#endif

namespace gort::bench {

/// -1: this implementation does not say.
struct HeapStats {
  std::int64_t collections = -1;     ///< since the program's start
  std::int64_t pause_max_ns = -1;    ///< the longest that one collection stopped the world in all
  std::int64_t pause_total_ns = -1;  ///< all collections' stops
  std::int64_t metadata_kb = -1;     ///< memory of the runtime itself
  std::int64_t pause_p50_ns = -1;    ///< half of the collections stopped it for less in all
  std::int64_t pause_p90_ns = -1;

  void set_pauses(const Latencies& pauses) {
    pause_max_ns = pauses.max();
    pause_p50_ns = pauses.quantile(0.5);
    pause_p90_ns = pauses.quantile(0.9);
  }
};

/// The IdMap of heaps that have no map of their own.
template <class T, class Allocator = std::allocator<std::pair<const std::int64_t, T*>>>
class StandardIdMap {
 public:
  void put(std::int64_t id, T* p) { map_[id] = p; }
  T* get(std::int64_t id) { return map_.find(id)->second; }
  T* take(std::int64_t id) {
    const auto found = map_.find(id);
    T* const p = found->second;
    map_.erase(found);
    return p;
  }

 private:
  std::unordered_map<std::int64_t, T*, std::hash<std::int64_t>, std::equal_to<>, Allocator> map_;
};

/// What peers with plain pointers have in common.
struct PlainHeap {
  template <class T>
  using Ref = T*;
  template <class T>
  using Root = T*;
  template <class T>
  using Local = T*;
  template <class T>
  using IdMap = StandardIdMap<T>;
  struct Thread {
    Thread() {}
    ~Thread() {}
  };
  struct Waiting {
    Waiting() {}
    ~Waiting() {}
  };
  static void start() {}
  static void collect() {}
  static HeapStats stats(std::int64_t) { return {}; }
};

/// An H out of the functions of a malloc.
template <class Functions>
struct MallocHeap : PlainHeap {
  static constexpr const char* kName = Functions::kName;
  static constexpr bool kCollected = false;
  template <class T>
  static T* make() {
    void* memory = Functions::allocate(sizeof(T));
    if (memory == nullptr) throw std::bad_alloc();
    return ::new (memory) T();
  }
  template <class T>
  static T* make_array(std::size_t n) {
    void* memory = Functions::allocate(n * sizeof(T));
    if (memory == nullptr) throw std::bad_alloc();
    return static_cast<T*>(std::memset(memory, 0, n * sizeof(T)));
  }
  static void free(void* p) { Functions::free(p); }
  static void release() { Functions::release(); }
};

}  // namespace gort::bench
