#include <gort/base/os.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <gort/base/atomic.h>
#include <gort/base/bits.h>
#include <gort/base/fatal.h>
#include <gort/base/metadata.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

namespace gort::os {
namespace {

// What is neither prepared nor ready is reserved: so a step between states cannot be seen in the
// middle of by who adds all three up.
Atomic<std::size_t> mapped_bytes{0};
Atomic<std::size_t> prepared_bytes{0};
Atomic<std::size_t> ready_bytes{0};

Atomic<std::uint64_t> calls{0};
Atomic<std::uint64_t> fail_from{0};  // the call number that fails; 0 = none
Atomic<bool> fail_all_later{false};
Atomic<std::uint64_t> hints_refused{0};
Atomic<std::size_t> pretended_page_size{0};
Atomic<std::size_t> pretended_processors{0};
Atomic<void (*)(const char*)> before_thread{nullptr};

// True if the test switch wants this call to fail.
bool call_must_fail() {
  const std::uint64_t n = calls.fetch_add_relaxed(1) + 1;
  const std::uint64_t from = fail_from.load_relaxed();
  return from != 0 && (n == from || (n > from && fail_all_later.load_relaxed()));
}

// The same for a hint, whose failure nobody is told.
bool hint_must_fail() {
  if (!call_must_fail()) return false;
  hints_refused.fetch_add_relaxed(1);
  return true;
}

// Names the range in /proc/self/maps, where the kernel supports it.
void name_range(void* address, std::size_t bytes) {
#ifdef PR_SET_VMA
  ::prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, address, bytes, "gort heap");
#else
  (void)address;
  (void)bytes;
#endif
}

void* map_reserved(std::uintptr_t address, std::size_t bytes, int extra_flags) {
  if (call_must_fail()) return nullptr;
  void* p = ::mmap(reinterpret_cast<void*>(address), bytes, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | extra_flags, -1, 0);
  return p == MAP_FAILED ? nullptr : p;
}

void unmap(void* address, std::size_t bytes) {
  const int result = ::munmap(address, bytes);
  GORT_CHECK(result == 0, "munmap({}, {}) failed, errno {}", address, bytes, errno);
}

// Takes off what alignment leaves over. A system that has no more entries for mappings may refuse:
// the range may have become one with a neighbour, and would have to be split.
bool trim(std::uintptr_t start, std::size_t bytes) {
  if (bytes == 0) return true;
  return !call_must_fail() && ::munmap(reinterpret_cast<void*>(start), bytes) == 0;
}

// Reads a short file of /proc without allocating. Returns the number of bytes read.
std::size_t read_proc(const char* path, char* buffer, std::size_t size) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const ssize_t n = ::read(fd, buffer, size - 1);
  ::close(fd);
  const std::size_t length = n > 0 ? static_cast<std::size_t>(n) : 0;
  buffer[length] = '\0';
  return length;
}

}  // namespace

Counts counts() {
  const std::size_t prepared = prepared_bytes.load_relaxed();
  const std::size_t ready = ready_bytes.load_relaxed();
  return {mapped_bytes.load_relaxed() - prepared - ready, prepared, ready};
}

void* reserve_at(std::uintptr_t address, std::size_t bytes) {
  void* p = map_reserved(address, bytes, MAP_FIXED_NOREPLACE);
  if (p == nullptr) return nullptr;
  if (reinterpret_cast<std::uintptr_t>(p) != address) {  // a kernel before 4.17 ignores the flag
    unmap(p, bytes);
    return nullptr;
  }
  name_range(p, bytes);
  mapped_bytes.fetch_add_relaxed(bytes);
  return p;
}

void* reserve(std::size_t bytes, std::size_t alignment) {
  const std::size_t slack = alignment > page_size() ? alignment - page_size() : 0;
  if (bytes + slack < bytes) return nullptr;
  void* p = map_reserved(0, bytes + slack, 0);
  if (p == nullptr) return nullptr;
  const auto start = reinterpret_cast<std::uintptr_t>(p);
  const std::uintptr_t aligned = bits::align_up(start, alignment);
  const std::size_t before = aligned - start;
  const std::size_t after = slack - before;
  const bool begins = trim(start, before);
  if (!begins || !trim(aligned + bytes, after)) {
    // As a whole it is more likely to go without a split. If not, it stays: addresses without
    // memory, in nobody's books.
    const std::uintptr_t from = begins ? aligned : start;
    ::munmap(reinterpret_cast<void*>(from), start + bytes + slack - from);
    return nullptr;
  }
  void* result = reinterpret_cast<void*>(aligned);
  name_range(result, bytes);
  mapped_bytes.fetch_add_relaxed(bytes);
  return result;
}

bool prepare(void* address, std::size_t bytes) {
  if (call_must_fail()) return false;
  if (::mprotect(address, bytes, PROT_READ | PROT_WRITE) != 0) return false;
  prepared_bytes.fetch_add_relaxed(bytes);
  return true;
}

void commit(void* /*address*/, std::size_t bytes) {
  prepared_bytes.fetch_sub_relaxed(bytes);
  ready_bytes.fetch_add_relaxed(bytes);
}

bool decommit(void* address, std::size_t bytes) {
  if (call_must_fail()) return false;
  if (::madvise(address, bytes, MADV_DONTNEED) != 0) return false;
  ready_bytes.fetch_sub_relaxed(bytes);
  prepared_bytes.fetch_add_relaxed(bytes);
  return true;
}

void release(void* address, std::size_t bytes, From from) {
  unmap(address, bytes);
  if (from == From::prepared) prepared_bytes.fetch_sub_relaxed(bytes);
  if (from == From::ready) ready_bytes.fetch_sub_relaxed(bytes);
  mapped_bytes.fetch_sub_relaxed(bytes);
}

void drop_prepared(void* address, std::size_t bytes) {
  if (!hint_must_fail()) ::madvise(address, bytes, MADV_DONTNEED);
}

void hint_huge_pages(void* address, std::size_t bytes, bool wanted) {
  if (hint_must_fail()) return;
  ::madvise(address, bytes, wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

void touch([[maybe_unused]] void* address, [[maybe_unused]] std::size_t bytes) {
#ifdef MADV_POPULATE_WRITE
  if (!hint_must_fail()) ::madvise(address, bytes, MADV_POPULATE_WRITE);
#endif
}

std::size_t page_size() {
  static const auto real = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t pretended = pretended_page_size.load_relaxed();
  return pretended != 0 ? pretended : real;
}

std::size_t processors() {
  static const std::size_t count = [] {
    cpu_set_t allowed;
    if (::sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
      return static_cast<std::size_t>(CPU_COUNT(&allowed));
    }
    const long online = ::sysconf(_SC_NPROCESSORS_ONLN);
    return static_cast<std::size_t>(online > 0 ? online : 1);
  }();
  const std::size_t pretended = pretended_processors.load_relaxed();
  return pretended != 0 ? pretended : count;
}

std::size_t resident_bytes() {
  char text[128];
  if (read_proc("/proc/self/statm", text, sizeof text) == 0) return 0;
  char* second = std::strchr(text, ' ');
  if (second == nullptr) return 0;
  return std::strtoull(second, nullptr, 10) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::size_t peak_resident_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

std::size_t resident_bytes_of(const void* address, std::size_t bytes) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  unsigned char in_core[1024];
  std::size_t total = 0;
  auto at = reinterpret_cast<std::uintptr_t>(address);
  const std::uintptr_t end = at + bytes;
  while (at < end) {
    const std::size_t piece = end - at < page * sizeof in_core ? end - at : page * sizeof in_core;
    if (::mincore(reinterpret_cast<void*>(at), piece, in_core) != 0) return total;
    for (std::size_t i = 0; i < piece / page; ++i) total += (in_core[i] & 1U) != 0 ? page : 0;
    at += piece;
  }
  return total;
}

namespace {

struct NewThread {
  const char* name;
  void* (*f)(void*);
  void* context;
};

void* named_main(void* p) {
  const NewThread self = *static_cast<NewThread*>(p);
  metadata::release(p);
  ::pthread_setname_np(::pthread_self(), self.name);
  return self.f(self.context);
}

}  // namespace

// The new thread names itself: it may be gone, and its handle with it, when pthread_create returns.
bool start_thread(pthread_t& thread, const char* name, void* (*f)(void*), void* context) {
  if (auto* const called = before_thread.load_acquire()) called(name);
  void* const memory = metadata::try_allocate(sizeof(NewThread));
  if (memory == nullptr) return false;
  auto* const start = ::new (memory) NewThread{name, f, context};
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);  // the new thread inherits it
  const bool made = ::pthread_create(&thread, nullptr, named_main, start) == 0;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!made) metadata::release(memory);
  return made;
}

void unblock_faults(int also) {
  sigset_t open;
  ::sigemptyset(&open);
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, also}) {
    if (signal != 0) ::sigaddset(&open, signal);
  }
  ::pthread_sigmask(SIG_UNBLOCK, &open, nullptr);
}

int current_stack(StackBounds& stack) {
  pthread_attr_t attributes;
  if (const int error = ::pthread_getattr_np(::pthread_self(), &attributes); error != 0) {
    return error;
  }
  void* low = nullptr;
  std::size_t size = 0;
  std::size_t guard = 0;
  const int error = ::pthread_attr_getstack(&attributes, &low, &size);
  ::pthread_attr_getguardsize(&attributes, &guard);
  ::pthread_attr_destroy(&attributes);
  if (error == 0) {
    const char* const start = static_cast<const char*>(low);
    // In the child of a fork the first thread may be one with an ordinary stack, and guard pages.
    stack = {start, start + size, ::getpid() == ::gettid() && guard == 0};
  }
  return error;
}

const char* mapped_down_from(const char* address) {
  static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  unsigned char resident[256];
  auto low = reinterpret_cast<std::uintptr_t>(address);
  // The answer says which pages are resident; that there is one, that all are mapped.
  for (std::size_t step = std::size(resident) * page; step >= page;) {
    if (::mincore(reinterpret_cast<void*>(low - step), step, resident) == 0) {
      low -= step;
    } else {
      step /= 2;
    }
  }
  return reinterpret_cast<const char*>(low);
}

void fail_call_for_test(std::uint64_t k, bool and_all_later) {
  fail_all_later.store_relaxed(and_all_later);
  fail_from.store_relaxed(k == 0 ? 0 : calls.load_relaxed() + k);
}

std::uint64_t calls_for_test() { return calls.load_relaxed(); }

std::uint64_t refused_hints_for_test() { return hints_refused.load_relaxed(); }

void set_page_size_for_test(std::size_t bytes) { pretended_page_size.store_relaxed(bytes); }
void before_thread_for_test(void (*f)(const char* name)) { before_thread.store_release(f); }
void set_processors_for_test(std::size_t count) { pretended_processors.store_relaxed(count); }

}  // namespace gort::os
