#include <gort/base/zero.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace gort {

#if defined(__x86_64__)

namespace {

constexpr std::size_t kLine = 64;

// Whole, aligned cache lines. Streaming stores are in no order with others: the fence is what lets
// the caller hand the memory on.
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
  auto* const at = static_cast<char*>(piece);
  if (block_bytes < kStreamedBlock || !__builtin_cpu_supports("avx2")) {
    std::memset(at, 0, bytes);
    return;
  }
  const std::size_t head = std::min(bytes, -reinterpret_cast<std::uintptr_t>(at) % kLine);
  const std::size_t lines = (bytes - head) / kLine * kLine;
  std::memset(at, 0, head);
  stream_zeros(at + head, lines);
  std::memset(at + head + lines, 0, bytes - head - lines);
}

#else

void zero_piece(void* piece, std::size_t bytes, std::size_t) { std::memset(piece, 0, bytes); }

#endif

}  // namespace gort
