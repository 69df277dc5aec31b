// The whole-program workloads on gort: the heap that workloads/heap.h asks for, out of the public
// header alone.

#include <gort/gort.h>

#include <algorithm>

#include <gort/bench/workloads/main.h>

namespace gort::bench {
namespace {

struct GortHeap {
  static constexpr const char* kName = "gort";
  static constexpr bool kCollected = true;
  template <class T>
  using Ref = gort::Ref<T>;
  template <class T>
  using Root = gort::Root<T>;
  template <class T>
  using Local = T*;
  template <class T>
  class IdMap {
   public:
    void put(std::int64_t id, T* p) { map_[id] = p; }
    T* get(std::int64_t id) { return *map_.find(id); }
    T* take(std::int64_t id) {
      map_.erase(id);
      return nullptr;
    }

   private:
    gort::Map<std::int64_t, Ref<T>> map_ = gort::make_map<std::int64_t, Ref<T>>();
  };
  using Thread = gort::AttachThread;
  using Waiting = gort::Blocking;

  template <class T>
  static T* make() {
    return gort::make<T>();
  }
  template <class T>
  static T* make_array(std::size_t n) {
    return gort::make_array<T>(n);
  }
  static void free(const void*) {}
  static void start() { gort::start(); }
  static void collect() { gort::collect(); }
  static void release() { gort::release_os_memory(); }

  // Pauses are kept in a ring of 256: with more collections than that, the last 256 count.
  static HeapStats stats(std::int64_t after) {
    const MemStats s = gort::mem_stats();
    HeapStats result{s.NumGC, 0, 0, static_cast<std::int64_t>(s.OtherSys >> 10)};
    const std::int64_t oldest = std::max<std::int64_t>(after, result.collections - 256);
    Latencies pauses;
    for (std::int64_t n = oldest; n < result.collections; ++n) {
      const auto ns = static_cast<std::int64_t>(s.PauseNs[static_cast<std::size_t>(n) % 256]);
      pauses.record(ns);
      result.pause_total_ns += ns;
    }
    result.set_pauses(pauses);
    return result;
  }
};

}  // namespace
}  // namespace gort::bench

int main(int argc, char** argv) {
  return gort::bench::workload_main<gort::bench::GortHeap>(argc, argv);
}
