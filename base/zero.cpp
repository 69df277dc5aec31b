#include <gort/base/zero.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace gort {
namespace {

constexpr std::size_t kLine = 64;

// Zeroes a block whose whole, aligned cache lines `zero_lines(lines, bytes)` does.
template <class F>
void zero_by_lines(void* block, std::size_t bytes, F&& zero_lines) {
  auto* const at = static_cast<char*>(block);
  const std::size_t head = std::min(bytes, -reinterpret_cast<std::uintptr_t>(at) % kLine);
  const std::size_t lines = (bytes - head) / kLine * kLine;
  std::memset(at, 0, head);
  zero_lines(at + head, lines);
  std::memset(at + head + lines, 0, bytes - head - lines);
}

}  // namespace

void zero_run(void* run, std::size_t bytes) {
  if (bytes < 4 * kLine) {
    std::memset(run, 0, bytes);
    return;
  }
  zero_by_lines(run, bytes, [](char* lines, std::size_t size) {
    typedef long long Lane __attribute__((vector_size(16), may_alias));
    for (char* const end = lines + size; lines != end; lines += kLine) {
      auto* const lanes = reinterpret_cast<Lane*>(lines);
      for (int i = 0; i < 4; ++i) lanes[i] = Lane{};
      asm volatile("" : "+r"(lines));  // or the compiler makes a call of memset() of the loop
    }
  });
}

#if defined(__x86_64__)

namespace {

// Streaming stores are in no order with others: the fence is what lets the caller hand the memory
// on.
__attribute__((target("avx2"))) void stream_zeros(char* lines, std::size_t bytes) {
  const __m256i zero = _mm256_setzero_si256();
  for (char* const end = lines + bytes; lines != end; lines += kLine) {
    auto* const halves = reinterpret_cast<__m256i*>(lines);
    _mm256_stream_si256(halves, zero);
    _mm256_stream_si256(halves + 1, zero);
  }
  _mm_sfence();
}

}  // namespace

void zero_piece(void* piece, std::size_t bytes, std::size_t block_bytes) {
  if (block_bytes < kStreamedBlock || !__builtin_cpu_supports("avx2")) {
    std::memset(piece, 0, bytes);
  } else {
    zero_by_lines(piece, bytes, stream_zeros);
  }
}

#else

void zero_piece(void* piece, std::size_t bytes, std::size_t) { std::memset(piece, 0, bytes); }

#endif

}  // namespace gort
