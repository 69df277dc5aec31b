// The heap workloads on jemalloc, whose library takes the place of malloc.

#include <cstdlib>

#include <jemalloc/jemalloc.h>

#include <gort/bench/workloads/main.h>

namespace {

struct Functions {
  static constexpr const char* kName = "jemalloc";
  static void* allocate(std::size_t bytes) { return std::malloc(bytes); }
  static void free(void* p) { std::free(p); }
  // 4096 is MALLCTL_ARENAS_ALL; the thread's cache first, since what it holds is not free yet.
  static void release() {
    mallctl("thread.tcache.flush", nullptr, nullptr, nullptr, 0);
    mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0);
  }
};

}  // namespace

int main(int argc, char** argv) {
  return gort::bench::workload_main<gort::bench::MallocHeap<Functions>>(argc, argv);
}
