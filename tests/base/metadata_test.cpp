#include <catch2/catch.hpp>

#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string>
#include <thread>

#include <dlfcn.h>

#include <gort/base/config.h>
#include <gort/base/metadata.h>

using namespace gort;

// Under the sanitizers mimalloc is not there (metadata.h), and malloc is theirs.
#if !GORT_ASAN && !GORT_TSAN
namespace {

// The file that defines `symbol` as this program sees it.
std::string home_of(void* symbol) {
  Dl_info info{};
  return ::dladdr(symbol, &info) != 0 && info.dli_fname != nullptr ? info.dli_fname : "";
}

}  // namespace

TEST_CASE("linking gort does not replace the program's malloc", "[base][metadata]") {
  void* block = metadata::allocate(100);  // mimalloc is in the process from here on
  CHECK(std::string(metadata::backend()).find("mimalloc") == 0);

  // What the program calls is the C library's, and nothing of mimalloc is in the global scope.
  for (const char* name : {"malloc", "free", "calloc", "realloc", "posix_memalign"}) {
    CAPTURE(name);
    void* symbol = ::dlsym(RTLD_DEFAULT, name);
    REQUIRE(symbol != nullptr);
    CHECK(home_of(symbol).find("libc.so") != std::string::npos);
  }
  CHECK(home_of(::dlsym(RTLD_DEFAULT, "_Znwm")).find("libstdc++") != std::string::npos);
  CHECK(::dlsym(RTLD_DEFAULT, "mi_malloc") == nullptr);
  metadata::release(block);
}

TEST_CASE("memory is given back by several threads and mimalloc stays as it was",
          "[base][metadata]") {
  metadata::release(metadata::allocate(100));
  void* const library = ::dlopen("libmimalloc.so.2", RTLD_NOW | RTLD_NOLOAD);
  REQUIRE(library != nullptr);
  const auto option = reinterpret_cast<long (*)(int)>(::dlsym(library, "mi_option_get"));
  REQUIRE(option != nullptr);
  constexpr int kDecommitDelay = 15;
  const long before = option(kDecommitDelay);
  CHECK(before > 0);
  const auto give_back = [] {
    for (int i = 0; i < 20'000; ++i) metadata::give_back_unused();
  };
  std::thread other(give_back);
  give_back();
  other.join();
  CHECK(option(kDecommitDelay) == before);
  ::dlclose(library);
}
#endif

TEST_CASE("blocks are zeroed, aligned and counted", "[base][metadata]") {
  const std::size_t before = metadata::bytes();
  for (const std::size_t alignment : {16U, 64U, 4096U}) {
    CAPTURE(alignment);
    auto* p = static_cast<unsigned char*>(metadata::allocate(1000, alignment));
    CHECK(reinterpret_cast<std::uintptr_t>(p) % alignment == 0);
    CHECK(std::accumulate(p, p + 1000, 0) == 0);
    CHECK(metadata::bytes() >= before + 1000);
    std::memset(p, 0xff, 1000);
    metadata::release(p);
    CHECK(metadata::bytes() == before);
  }
}

TEST_CASE("the k-th metadata allocation fails when a test asks for it", "[base][metadata]") {
  metadata::fail_allocation_for_test(2);
  void* first = metadata::allocate(10);
  CHECK_THROWS_AS(metadata::allocate(10), std::bad_alloc);
  void* third = metadata::allocate(10);
  CHECK(third != nullptr);
  metadata::release(first);
  metadata::release(third);

  metadata::fail_allocation_for_test(2, true);
  first = metadata::try_allocate(10);
  CHECK(first != nullptr);
  CHECK(metadata::try_allocate(10) == nullptr);
  CHECK(metadata::try_allocate(10) == nullptr);
  metadata::fail_allocation_for_test(0);
  third = metadata::try_allocate(10);
  CHECK(third != nullptr);
  metadata::release(first);
  metadata::release(third);
}

TEST_CASE("an absurd size throws and counts nothing", "[base][metadata]") {
  const std::size_t before = metadata::bytes();
  CHECK(metadata::try_allocate(std::size_t{1} << 60) == nullptr);
  CHECK_THROWS_AS(metadata::Allocator<long>().allocate(~std::size_t{0} / 4), std::bad_alloc);
  CHECK(metadata::bytes() == before);
}

TEST_CASE("containers of the runtime draw from the metadata door", "[base][metadata]") {
  const std::size_t before = metadata::bytes();
  {
    metadata::Vector<long> v(1000);
    CHECK(metadata::bytes() >= before + 8000);
  }
  CHECK(metadata::bytes() == before);
}
