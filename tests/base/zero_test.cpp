#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <thread>
#include <vector>

#include <gort/base/atomic.h>
#include <gort/base/zero.h>

using namespace gort;

namespace {

// Awake at first: a thread that comes back from the system comes too late to see anything wrong.
void wait_for(const Atomic<int>& number, int value) {
  for (int looks = 0; number.load_acquire() != value;) {
    if (++looks > 1000) std::this_thread::yield();
  }
}

}  // namespace

// All ways of storing, from every alignment, with every tail, must stop exactly at the ends.
TEST_CASE("memory is zeroed from end to end and nothing else is", "[base][zero]") {
  using Zero = void (*)(void*, std::size_t);
  const std::size_t way = GENERATE(std::size_t{0}, std::size_t{1}, std::size_t{2});
  const Zero zero = std::array<Zero, 3>{
      [](void* at, std::size_t bytes) { zero_piece(at, bytes, 0); },
      [](void* at, std::size_t bytes) { zero_piece(at, bytes, kStreamedBlock); }, zero_run}[way];
  std::size_t wrong = 0;
  alignas(64) unsigned char memory[512];
  for (std::size_t first = 64; first < 128; ++first) {
    for (std::size_t bytes = 0; bytes <= 320; ++bytes) {
      std::fill(std::begin(memory), std::end(memory), std::uint8_t{0xee});
      zero(memory + first, bytes);
      std::size_t zeros = 0;
      for (std::size_t i = first; i < first + bytes; ++i) zeros += memory[i] == 0;
      std::size_t others = 0;
      for (const unsigned char byte : memory) others += byte == 0xee;
      wrong += zeros != bytes || others != sizeof memory - bytes;
    }
  }
  CAPTURE(way);
  CHECK(wrong == 0);
}

TEST_CASE("who sees a later store sees the zeros", "[base][zero]") {
  constexpr std::size_t kLines = 64;
  constexpr int kRounds = 20'000;
  struct alignas(64) Line {
    std::uint64_t words[8];
  };
  std::vector<Line> lines(kLines);
  Atomic<int> zeroed{0};
  Atomic<int> seen{0};
  std::size_t wrong = 0;
  std::thread reader([&] {
    for (int round = 1; round <= kRounds; ++round) {
      wait_for(zeroed, round);
      for (std::size_t i = kLines; i-- > 0;) wrong += lines[i].words[7] != 0;
      seen.store_release(round);
    }
  });
  for (int round = 1; round <= kRounds; ++round) {
    for (Line& line : lines) std::fill(std::begin(line.words), std::end(line.words), ~0U);
    zero_piece(lines.data(), kLines * sizeof(Line), kStreamedBlock);
    zeroed.store_release(round);
    wait_for(seen, round);
  }
  reader.join();
  CHECK(wrong == 0);
}
