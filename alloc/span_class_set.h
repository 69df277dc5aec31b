#pragma once

// A set of span classes: those of which a thread's cache holds a span or a run, those whose lists
// in a shard are not empty, those with something to sweep. There are 320 classes and a program uses
// a handful, but each cycle walks over all caches and all lists with the world stopped, a cache
// line or more a class. The set is five words. It may hold more than it should, never less: who
// adds what the set is about adds the class first, or owns both.
//
// Guard: any thread may add and remove. Members that come and go beside a walk may be seen or not:
// who asks has stopped the world, or owns what the set is about, or is told so by the list itself.

#include <bit>
#include <cstddef>
#include <cstdint>

#include <gort/alloc/span_class.h>
#include <gort/base/atomic.h>
#include <gort/base/bits.h>

namespace gort::alloc {

class SpanClassSet {
 public:
  /// A locked instruction only if it is new.
  void add(SpanClass c) {
    Atomic<std::uint64_t>& word = words_[c / bits::kWordBits];
    if ((word.load_relaxed() & bit(c)) == 0) word.fetch_or_relaxed(bit(c));
  }
  void remove(SpanClass c) { words_[c / bits::kWordBits].fetch_and_relaxed(~bit(c)); }
  void clear() {
    for (Atomic<std::uint64_t>& word : words_) word.store_relaxed(0);
  }
  void assign(const SpanClassSet& other) {
    for (std::size_t w = 0; w < kWords; ++w) {
      words_[w].store_relaxed(other.words_[w].load_relaxed());
    }
  }

  /// Whether `f(c)` is true of a member; asks until it is, in ascending order. `f` may remove
  /// members.
  template <class F>
  bool any_of(F&& f) const {
    for (std::size_t w = 0; w < kWords; ++w) {
      for (std::uint64_t left = words_[w].load_relaxed(); left != 0; left &= left - 1) {
        const auto b = static_cast<std::size_t>(std::countr_zero(left));
        if (f(static_cast<SpanClass>(w * bits::kWordBits + b))) return true;
      }
    }
    return false;
  }
  template <class F>
  void for_each(F&& f) const {
    any_of([&f](SpanClass c) {
      f(c);
      return false;
    });
  }

 private:
  static constexpr std::size_t kWords = bits::words_for(kSpanClassCount);
  static constexpr std::uint64_t bit(SpanClass c) {
    return std::uint64_t{1} << (c % bits::kWordBits);
  }
  Atomic<std::uint64_t> words_[kWords];
};

}  // namespace gort::alloc
