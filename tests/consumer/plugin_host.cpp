// Opens a plugin that embeds gort, and runs in it what main.cpp checks.

#include <dlfcn.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  void* const plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  void* const run = plugin == nullptr ? nullptr : dlsym(plugin, "consume");
  if (run == nullptr) {
    std::fprintf(stderr, "plugin_host: %s\n", dlerror());
    return 1;
  }
  return reinterpret_cast<int (*)()>(run)();
}
