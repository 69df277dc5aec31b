// The heap workloads on the Boehm-Demers-Weiser collector, in its default mode: world stopped,
// marking on all processors, objects with and without references told apart.

#define GC_THREADS
#include <gc/gc.h>
#include <gc/gc_allocator.h>

#include <algorithm>
#include <atomic>
#include <type_traits>

#include <gort/bench/workloads/main.h>

namespace gort::bench {
namespace {

// Stops of the world: one or more a collection; what counts is the sum within a collection.
std::atomic<std::int64_t> stopped_at{0}, in_collection{0}, total{0};
Latencies pauses;  // written with the collector's lock held, read when nobody allocates

void on_event(GC_EventType event) {
  if (event == GC_EVENT_START) in_collection = 0;
  if (event == GC_EVENT_PRE_STOP_WORLD) stopped_at = now_ns();
  if (event == GC_EVENT_POST_START_WORLD) {
    const std::int64_t ns = now_ns() - stopped_at;
    in_collection += ns;
    total += ns;
  }
  if (event == GC_EVENT_END) pauses.record(in_collection);
}

struct BoehmHeap : PlainHeap {
  static constexpr const char* kName = "boehm";
  static constexpr bool kCollected = true;

  // The map's nodes and buckets are the collector's too, and given back by hand as the map does it.
  template <class T>
  using IdMap = StandardIdMap<T, gc_allocator<std::pair<const std::int64_t, T*>>>;

  struct Thread {
    Thread() {
      GC_stack_base base;
      GC_get_stack_base(&base);
      GC_register_my_thread(&base);
    }
    ~Thread() { GC_unregister_my_thread(); }
  };

  // References are raw pointers, so a type cannot say that it has none; arithmetic types do, and
  // the one pointer-free struct.
  template <class T>
  static void* allocate(std::size_t bytes) {
    constexpr bool kNoReferences = std::is_arithmetic_v<T> || std::is_same_v<T, NoScan<8>>;
    void* memory = kNoReferences ? GC_MALLOC_ATOMIC(bytes) : GC_MALLOC(bytes);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
  }
  template <class T>
  static T* make() {
    return ::new (allocate<T>(sizeof(T))) T();
  }
  template <class T>
  static T* make_array(std::size_t n) {
    void* memory = allocate<T>(n * sizeof(T));
    if constexpr (std::is_arithmetic_v<T>) std::memset(memory, 0, n * sizeof(T));
    return static_cast<T*>(memory);
  }
  static void free(const void*) {}
  static void start() {
    GC_INIT();
    GC_allow_register_threads();
    GC_set_on_collection_event(on_event);
  }
  static void collect() { GC_gcollect(); }
  static void release() { GC_gcollect_and_unmap(); }

  // The callback sees every stop, so nothing is subtracted but what stats() was asked before.
  static HeapStats stats(std::int64_t) {
    HeapStats result{static_cast<std::int64_t>(GC_get_gc_no()), -1, total, -1};
    result.set_pauses(pauses);
    pauses = {};
    total = 0;
    return result;
  }
};

}  // namespace
}  // namespace gort::bench

int main(int argc, char** argv) {
  return gort::bench::workload_main<gort::bench::BoehmHeap>(argc, argv);
}
