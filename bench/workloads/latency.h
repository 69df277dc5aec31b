#pragma once

// A histogram of times: 16 buckets for every power of two, so a bucket is at most 6 % wide. One for
// each thread, added up at the end.

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace gort::bench {

class Latencies {
 public:
  void record(std::int64_t ns) {
    const std::uint64_t value = ns < 0 ? 0 : static_cast<std::uint64_t>(ns);
    ++buckets_[bucket_of(value)];
    ++count_;
    if (value > max_) max_ = value;
  }
  void add(const Latencies& other) {
    for (std::size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    if (other.max_ > max_) max_ = other.max_;
  }
  /// The upper end of the bucket in which the value of this rank (0 to 1) lies, or the maximum.
  std::int64_t quantile(double rank) const {
    const auto wanted = static_cast<std::uint64_t>(rank * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      seen += buckets_[i];
      if (seen > wanted) return static_cast<std::int64_t>(std::min(upper_end(i), max_));
    }
    return max();
  }
  std::int64_t max() const { return static_cast<std::int64_t>(max_); }

 private:
  static constexpr std::size_t kSubBits = 4;
  static constexpr std::size_t kSub = std::size_t{1} << kSubBits;
  static constexpr std::size_t kBuckets = (64 - kSubBits + 1) * kSub;

  // Below 16 a bucket a value; above, the four bits under the highest one choose within the octave.
  static std::size_t bucket_of(std::uint64_t value) {
    if (value < kSub) return static_cast<std::size_t>(value);
    const auto octave = static_cast<std::size_t>(std::bit_width(value)) - 1 - kSubBits;
    return (octave + 1) * kSub + static_cast<std::size_t>((value >> octave) - kSub);
  }
  static std::uint64_t upper_end(std::size_t bucket) {
    if (bucket < kSub) return bucket;
    const std::size_t octave = bucket / kSub - 1;
    return ((std::uint64_t{bucket % kSub} + kSub + 1) << octave) - 1;
  }

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace gort::bench
