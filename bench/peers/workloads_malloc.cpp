// The heap workloads on the C library's malloc and free.

#include <cstdlib>

#include <malloc.h>

#include <gort/bench/workloads/main.h>

namespace {

struct Functions {
  static constexpr const char* kName = "malloc";
  static void* allocate(std::size_t bytes) { return std::malloc(bytes); }
  static void free(void* p) { std::free(p); }
  static void release() { malloc_trim(0); }
};

}  // namespace

int main(int argc, char** argv) {
  return gort::bench::workload_main<gort::bench::MallocHeap<Functions>>(argc, argv);
}
