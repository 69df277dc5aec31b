// The heap workloads on mimalloc, called by its own names.

#include <mimalloc.h>

#include <gort/bench/workloads/main.h>

namespace {

struct Functions {
  static constexpr const char* kName = "mimalloc";
  static void* allocate(std::size_t bytes) { return mi_malloc(bytes); }
  static void free(void* p) { mi_free(p); }
  static void release() { mi_collect(true); }
};

}  // namespace

int main(int argc, char** argv) {
  return gort::bench::workload_main<gort::bench::MallocHeap<Functions>>(argc, argv);
}
