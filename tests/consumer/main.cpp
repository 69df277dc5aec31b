// An embedding program, or a plugin. It includes nothing of gort but the umbrella header, and
// checks what an embedder would notice: the heap and the map work, and malloc is still libc's.

#include <dlfcn.h>

#include <cstdio>
#include <cstring>

#include <gort/gort.h>

struct Node {
  gort::Ref<Node> left, right;
  long v = 0;
  GORT_FIELDS(Node, left, right);
};

namespace {

int failures = 0;

void check(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "consumer: failed: %s\n", what);
  ++failures;
}

Node* tree(int depth) {
  Node* n = gort::make<Node>();
  n->v = 1;
  if (depth > 0) {
    n->left = tree(depth - 1);
    n->right = tree(depth - 1);
  }
  return n;
}

long sum(const Node* n) { return n == nullptr ? 0 : n->v + sum(n->left) + sum(n->right); }

bool malloc_is_libc() {
  Dl_info who{};
  void* function = dlsym(RTLD_DEFAULT, "malloc");
  return dladdr(function, &who) != 0 && std::strstr(who.dli_fname, "/libc.so") != nullptr;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int consume();

int consume() {
  check(malloc_is_libc(), "malloc is libc's before start()");
  gort::start();
  check(malloc_is_libc(), "malloc is libc's after start()");
  {
    gort::Root<Node> keep(tree(10));
    gort::collect();
    check(sum(keep.get()) == 2047, "a rooted tree survives a collection");

    auto m = gort::make_map<long, long>(100);
    for (long i = 0; i < 1000; ++i) m[i] = i * i;
    for (long i = 0; i < 1000; i += 2) m.erase(i);
    gort::collect();
    check(m.size() == 500, "erase counts");
    check(m.find(2) == nullptr, "an erased key is gone");
    const long* v = m.find(31);
    check(v != nullptr && *v == 961, "a kept key is there");
  }
  gort::shutdown();
  if (failures == 0) std::puts("consumer: ok");
  return failures == 0 ? 0 : 1;
}

#ifndef PLUGIN
int main() { return consume(); }
#endif
