#include <catch2/catch.hpp>

#include <atomic>
#include <cstring>
#include <fstream>
#include <thread>

#include <pthread.h>
#include <sys/mman.h>

#include <gort/base/os.h>
#include <gort/base/units.h>

using namespace gort;

namespace {

struct Change {
  os::Counts before = os::counts();
  bool is(long reserved, long prepared, long ready) const {
    const os::Counts now = os::counts();
    return static_cast<long>(now.reserved - before.reserved) == reserved &&
           static_cast<long>(now.prepared - before.prepared) == prepared &&
           static_cast<long>(now.ready - before.ready) == ready;
  }
};

}  // namespace

TEST_CASE("a range walks through the four states and the counts follow", "[base][os]") {
  constexpr long kSize = 1 << 20;
  const Change change;
  char* p = static_cast<char*>(os::reserve(kSize, 1_MiB));
  REQUIRE(p != nullptr);
  CHECK(reinterpret_cast<std::uintptr_t>(p) % 1_MiB == 0);
  CHECK(change.is(kSize, 0, 0));
  REQUIRE(os::prepare(p, kSize));
  CHECK(change.is(0, kSize, 0));
  os::commit(p, kSize);
  CHECK(change.is(0, 0, kSize));
  std::memset(p, 1, kSize);
  CHECK(os::resident_bytes_of(p, kSize) == kSize);
  REQUIRE(os::decommit(p, kSize));
  CHECK(change.is(0, kSize, 0));
  CHECK(os::resident_bytes_of(p, kSize) == 0);
  CHECK(p[12345] == 0);
  os::release(p, kSize, os::From::prepared);
  CHECK(change.is(0, 0, 0));
}

// The ledger adds the states up while the scavenger is at work.
TEST_CASE("the sum of the states stays while bytes change theirs", "[base][os]") {
  void* p = os::reserve(64_KiB, 64_KiB);
  REQUIRE(p != nullptr);
  REQUIRE(os::prepare(p, 64_KiB));
  const std::size_t mapped = os::counts().mapped();
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> steps{0};
  std::thread other([&] {
    for (; !stop; ++steps) {
      os::commit(p, 64_KiB);
      os::decommit(p, 64_KiB);
    }
  });
  std::size_t wrong = 0;
  for (std::size_t looks = 0; looks < 10'000'000 || steps < 100'000; ++looks) {
    wrong += os::counts().mapped() != mapped;
  }
  stop = true;
  other.join();
  CHECK(wrong == 0);
  os::release(p, 64_KiB, os::From::prepared);
}

TEST_CASE("reserve_at takes the address or nothing", "[base][os]") {
  void* first = os::reserve(64_KiB, 64_KiB);
  REQUIRE(first != nullptr);
  const auto address = reinterpret_cast<std::uintptr_t>(first);
  CHECK(os::reserve_at(address, 64_KiB) == nullptr);
  os::release(first, 64_KiB, os::From::reserved);
  void* again = os::reserve_at(address, 64_KiB);
  CHECK(again == first);
  os::release(again, 64_KiB, os::From::reserved);
}

TEST_CASE("an absurd reservation is refused, not fatal", "[base][os]") {
  const Change change;
  CHECK(os::reserve(std::size_t{1} << 62, 4096) == nullptr);
  CHECK(os::reserve(~std::size_t{4095}, 1_MiB) == nullptr);
  CHECK(change.is(0, 0, 0));
}

TEST_CASE("a reservation that the system does not cut to size is given up", "[base][os]") {
  const auto address_space = [] {
    std::ifstream statm("/proc/self/statm");
    std::size_t pages = 0;
    statm >> pages;
    return pages;
  };
  void* first = os::reserve(64_KiB, 1_MiB);  // whatever the first call brings along is there
  const Change change;
  const std::size_t before = address_space();
  os::fail_call_for_test(2);  // after mmap
  CHECK(os::reserve(64_KiB, 1_MiB) == nullptr);
  os::fail_call_for_test(0);
  CHECK(change.is(0, 0, 0));
  CHECK(address_space() == before);
  os::release(first, 64_KiB, os::From::reserved);
}

TEST_CASE("the k-th call fails when a test asks for it", "[base][os]") {
  void* p = os::reserve(64_KiB, 4096);
  REQUIRE(p != nullptr);
  os::fail_call_for_test(2);
  CHECK(os::prepare(p, 64_KiB));
  os::commit(p, 64_KiB);
  CHECK_FALSE(os::decommit(p, 64_KiB));  // the second
  CHECK(os::decommit(p, 64_KiB));        // only the second
  os::commit(p, 64_KiB);
  os::fail_call_for_test(1, true);
  CHECK_FALSE(os::decommit(p, 64_KiB));
  CHECK_FALSE(os::decommit(p, 64_KiB));
  os::fail_call_for_test(0);
  os::release(p, 64_KiB, os::From::ready);
}

TEST_CASE("what only asks for better memory may fail without a trace", "[base][os]") {
  constexpr long kSize = 4 << 20;
  void* p = os::reserve(kSize, 2_MiB);
  REQUIRE(p != nullptr);
  REQUIRE(os::prepare(p, kSize));
  const Change change;
  const std::uint64_t refused = os::refused_hints_for_test();
  const std::uint64_t calls = os::calls_for_test();
  os::fail_call_for_test(1, true);
  os::hint_huge_pages(p, kSize, true);
  os::touch(p, kSize);
  CHECK(os::resident_bytes_of(p, kSize) == 0);  // it was not done
  std::memset(p, 7, kSize);
  os::drop_prepared(p, kSize);
  CHECK(os::resident_bytes_of(p, kSize) == kSize);
  os::hint_huge_pages(p, kSize, false);
  CHECK(os::calls_for_test() == calls + 4);
  CHECK(os::refused_hints_for_test() == refused + 4);
  os::fail_call_for_test(0);
  os::drop_prepared(p, kSize);
  CHECK(os::resident_bytes_of(p, kSize) == 0);
  os::touch(p, kSize);
  CHECK(os::resident_bytes_of(p, kSize) == kSize);
  CHECK(os::refused_hints_for_test() == refused + 4);
  CHECK(change.is(0, 0, 0));
  os::release(p, kSize, os::From::prepared);
}

TEST_CASE("the calling thread's stack holds its own variables", "[base][os]") {
  const int here = 0;
  os::StackBounds stack;
  REQUIRE(os::current_stack(stack) == 0);
  const char* address = reinterpret_cast<const char*>(&here);
  CHECK(stack.low < address);
  CHECK(address < stack.high);
}

TEST_CASE("the first thread's stack alone grows", "[base][os]") {
  os::StackBounds first;
  os::StackBounds second;
  REQUIRE(os::current_stack(first) == 0);
  std::thread([&second] { REQUIRE(os::current_stack(second) == 0); }).join();
  CHECK(first.grows);
  CHECK_FALSE(second.grows);
}

TEST_CASE("what is mapped below an address", "[base][os]") {
  const std::size_t page = os::page_size();
  constexpr std::size_t kPages = 700;  // more than are asked for at once, and not a power of two
  constexpr std::size_t kBelow = 1000;
  void* const mapped =
      ::mmap(nullptr, (kBelow + kPages) * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(mapped != MAP_FAILED);
  auto* const p = static_cast<char*>(mapped);
  REQUIRE(::munmap(p, kBelow * page) == 0);
  const char* const low = p + kBelow * page;
  const char* const high = low + kPages * page;
  CHECK(os::mapped_down_from(high) == low);
  CHECK(os::mapped_down_from(low + page) == low);
  CHECK(os::mapped_down_from(low) == low);
  REQUIRE(::munmap(const_cast<char*>(low), kPages * page) == 0);
}

// Who makes it cannot name it: it may have ended by then.
TEST_CASE("a thread of the runtime has its name from its first instruction", "[base][os]") {
  static std::atomic<int> named{0};
  named = 0;
  for (int i = 0; i < 1000; ++i) {
    pthread_t thread{};
    REQUIRE(os::start_thread(
        thread, "gort-test",
        [](void* context) -> void* {
          char name[16] = {};
          ::pthread_getname_np(::pthread_self(), name, sizeof name);
          if (std::strcmp(name, static_cast<const char*>(context)) == 0) ++named;
          return nullptr;
        },
        const_cast<char*>("gort-test")));
    ::pthread_join(thread, nullptr);
  }
  CHECK(named == 1000);
}

TEST_CASE("resident memory is told", "[base][os]") {
  CHECK(os::resident_bytes() > 100_KiB);
  CHECK(os::peak_resident_bytes() >= os::resident_bytes() / 2);
}
