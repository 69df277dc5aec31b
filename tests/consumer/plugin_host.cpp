// Opens plugins that each embed gort, and runs in all of them at once what main.cpp checks.

#include <dlfcn.h>

#include <cstdio>
#include <thread>
#include <vector>

int main(int argc, char** argv) {
  std::vector<int (*)()> plugins;
  for (int i = 1; i < argc; ++i) {
    void* const plugin = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
    void* const run = plugin == nullptr ? nullptr : dlsym(plugin, "consume");
    if (run == nullptr) {
      std::fprintf(stderr, "plugin_host: %s\n", dlerror());
      return 1;
    }
    plugins.push_back(reinterpret_cast<int (*)()>(run));
  }
  std::vector<int> failed(plugins.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < plugins.size(); ++i) {
    threads.emplace_back([&, i] { failed[i] = plugins[i](); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int one : failed) {
    if (one != 0) return 1;
  }
  return plugins.empty() ? 2 : 0;
}
