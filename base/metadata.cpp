#include <gort/base/metadata.h>

#include <cstdlib>
#include <cstring>

#include <gort/base/atomic.h>
#include <gort/base/config.h>
#include <gort/base/fatal.h>

#if GORT_ASAN || GORT_TSAN
#include <malloc.h>
#else
#include <dlfcn.h>
#endif

#ifndef GORT_MIMALLOC_SONAME
#define GORT_MIMALLOC_SONAME "libmimalloc.so.2"
#endif

namespace gort::metadata {
namespace {

// Guard: constant after the first use (a function-local static).
struct Backend {
  void* (*zalloc_aligned)(std::size_t, std::size_t);
  void (*free)(void*);
  std::size_t (*usable_size)(const void*);
  void (*give_back)();
  char name[32];
};

#if GORT_ASAN || GORT_TSAN

void* libc_zalloc_aligned(std::size_t bytes, std::size_t alignment) {
  void* p = nullptr;
  if (::posix_memalign(&p, alignment, bytes) != 0) return nullptr;
  return std::memset(p, 0, bytes);
}
std::size_t libc_usable_size(const void* p) { return ::malloc_usable_size(const_cast<void*>(p)); }
Backend open_backend() {
  return {libc_zalloc_aligned, std::free, libc_usable_size, [] {}, "libc (sanitizer build)"};
}

#else

template <class F>
void resolve(void* library, const char* symbol, F*& out) {
  out = reinterpret_cast<F*>(::dlsym(library, symbol));
  GORT_CHECK(out != nullptr, "{} has no symbol {}", GORT_MIMALLOC_SONAME, symbol);
}

struct {
  void (*collect)(bool force);
  long (*option_get)(int option);
  void (*option_set)(int option, long value);
  long decommit_delay;  ///< as it was when the library was opened
} mi;

// mi_option_decommit_delay of 2.0, mi_option_purge_delay of 2.1
constexpr int kDecommitDelay = 15;

// mimalloc waits 25 ms before it decommits what has become free, and then does so only when it is
// called again. So for the length of one collection it is told not to wait. Of two threads at this
// one may end the other's impatience, but not make it last.
void mimalloc_give_back() {
  mi.option_set(kDecommitDelay, 0);
  mi.collect(true);
  mi.option_set(kDecommitDelay, mi.decommit_delay);
}

Backend open_backend() {
  // RTLD_LOCAL keeps the library's malloc out of everybody's sight. RTLD_NODELETE: blocks outlive
  // any dlclose.
  void* library = ::dlopen(GORT_MIMALLOC_SONAME, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    fatal(
        "cannot open {}, which holds the runtime's own memory (Debian: apt install "
        "libmimalloc2.0): {}",
        GORT_MIMALLOC_SONAME, ::dlerror());
  }
  Backend backend{};
  resolve(library, "mi_zalloc_aligned", backend.zalloc_aligned);
  resolve(library, "mi_free", backend.free);
  resolve(library, "mi_usable_size", backend.usable_size);
  resolve(library, "mi_collect", mi.collect);
  resolve(library, "mi_option_get", mi.option_get);
  resolve(library, "mi_option_set", mi.option_set);
  mi.decommit_delay = mi.option_get(kDecommitDelay);
  backend.give_back = mimalloc_give_back;
  int (*version)() = nullptr;
  resolve(library, "mi_version", version);
  const int v = version();  // 209 is 2.0.9
  *fmt::format_to_n(backend.name, sizeof backend.name - 1, "mimalloc {}.{}.{}", v / 100,
                    v / 10 % 10, v % 10)
       .out = '\0';
  return backend;
}

#endif

const Backend& backend_functions() {
  static const Backend instance = open_backend();
  return instance;
}

Atomic<std::size_t> outstanding{0};
Atomic<std::size_t> fail_countdown{0};
Atomic<bool> fail_all_later{false};

bool must_fail() noexcept {
  const std::size_t k = fail_countdown.load_relaxed();
  if (GORT_LIKELY(k == 0)) return false;
  if (k == 1 && fail_all_later.load_relaxed()) return true;
  fail_countdown.store_relaxed(k - 1);
  return k == 1;
}

}  // namespace

void* try_allocate(std::size_t bytes, std::size_t alignment) noexcept {
  if (must_fail()) return nullptr;
  const Backend& backend = backend_functions();
  void* p = backend.zalloc_aligned(bytes, alignment);
  if (p != nullptr) outstanding.fetch_add_relaxed(backend.usable_size(p));
  return p;
}

void* allocate(std::size_t bytes, std::size_t alignment) {
  void* p = try_allocate(bytes, alignment);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}

void release(void* block) noexcept {
  if (block == nullptr) return;
  const Backend& backend = backend_functions();
  outstanding.fetch_sub_relaxed(backend.usable_size(block));
  backend.free(block);
}

void give_back_unused() noexcept { backend_functions().give_back(); }

std::size_t bytes() noexcept { return outstanding.load_relaxed(); }

const char* backend() noexcept { return backend_functions().name; }

void fail_allocation_for_test(std::size_t k, bool and_all_later) noexcept {
  fail_all_later.store_relaxed(and_all_later);
  fail_countdown.store_relaxed(k);
}

bool refusal_pending_for_test() noexcept { return fail_countdown.load_relaxed() != 0; }

}  // namespace gort::metadata
