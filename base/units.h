#pragma once

// Units of the heap as types, so that a count of pages is never taken for a count of bytes.
//
//   byte    plain std::size_t
//   page    8 KiB, the unit spans are made of (kPageSize). Not the operating system's page: that
//           one is asked for at run time (base/os.h) and may be 4 KiB or 64 KiB.
//   Pages   a number of pages

#include <compare>
#include <cstddef>
#include <cstdint>

namespace gort {

inline namespace literals {
constexpr std::size_t operator""_KiB(unsigned long long n) {
  return static_cast<std::size_t>(n) << 10;
}
constexpr std::size_t operator""_MiB(unsigned long long n) {
  return static_cast<std::size_t>(n) << 20;
}
constexpr std::size_t operator""_GiB(unsigned long long n) {
  return static_cast<std::size_t>(n) << 30;
}
constexpr std::size_t operator""_TiB(unsigned long long n) {
  return static_cast<std::size_t>(n) << 40;
}
}  // namespace literals

inline constexpr std::size_t kPageShift = 13;
inline constexpr std::size_t kPageSize = std::size_t{1} << kPageShift;
inline constexpr std::size_t kWordSize = sizeof(void*);

/// A number of 8 KiB pages.
class Pages {
 public:
  constexpr Pages() = default;
  constexpr explicit Pages(std::size_t count) : count_(count) {}

  /// The fewest pages that hold `bytes`. Correct up to SIZE_MAX: nothing overflows.
  static constexpr Pages holding(std::size_t bytes) {
    return Pages((bytes >> kPageShift) + ((bytes & (kPageSize - 1)) != 0 ? 1 : 0));
  }

  constexpr std::size_t count() const { return count_; }
  constexpr std::size_t bytes() const { return count_ << kPageShift; }

  constexpr Pages operator+(Pages other) const { return Pages(count_ + other.count_); }
  constexpr Pages operator-(Pages other) const { return Pages(count_ - other.count_); }
  constexpr Pages& operator+=(Pages other) {
    count_ += other.count_;
    return *this;
  }
  constexpr Pages& operator-=(Pages other) {
    count_ -= other.count_;
    return *this;
  }
  constexpr auto operator<=>(const Pages&) const = default;

 private:
  std::size_t count_ = 0;
};

}  // namespace gort
