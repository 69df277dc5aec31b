#pragma once

// Stops a thread at one instruction: the access of a word whose page it may not touch for the
// moment. Not under the thread sanitizer, whose runtime makes atomic accesses itself, with locks of
// its own.

#include <csignal>
#include <functional>
#include <utility>

#include <sys/mman.h>

#include <gort/base/os.h>

namespace gort_test {

/// Who next touches the page (or writes to it, if it may be read) calls `f` and then goes on. One
/// at a time, for one page of the system.
class Trap {
 public:
  Trap(void* page, int protection, std::function<void()> f) : page_(page), f_(std::move(f)) {
    trap_ = this;
    struct sigaction action {};
    action.sa_handler = [](int) { trap_->spring(); };
    ::sigaction(SIGSEGV, &action, &before_);
    protect(protection);
  }
  ~Trap() {
    protect(PROT_READ | PROT_WRITE);
    ::sigaction(SIGSEGV, &before_, nullptr);
  }
  Trap(const Trap&) = delete;
  Trap& operator=(const Trap&) = delete;

 private:
  void spring() {
    if (!f_) ::raise(SIGABRT);  // a real one
    std::exchange(f_, nullptr)();
    protect(PROT_READ | PROT_WRITE);
  }
  void protect(int protection) {
    if (::mprotect(page_, gort::os::page_size(), protection) != 0) ::raise(SIGABRT);
  }

  static inline Trap* trap_ = nullptr;
  void* page_;
  std::function<void()> f_;
  struct sigaction before_ {};
};

/// A page of the system's size, zeroed.
class Page {
 public:
  Page()
      : memory_(::mmap(nullptr, gort::os::page_size(), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (memory_ == MAP_FAILED) ::raise(SIGABRT);
  }
  ~Page() { ::munmap(memory_, gort::os::page_size()); }
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;
  void* get() const { return memory_; }

 private:
  void* memory_;
};

}  // namespace gort_test
