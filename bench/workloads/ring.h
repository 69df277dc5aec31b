#pragma once

// ring KIND THREADS OPS: allocation and collection with almost nothing live. Each thread makes OPS
// objects and keeps the last 4096 of them in a ring; the object that falls out is dropped.
//
//     scan16     two references
//     scan64     one reference and 56 bytes of data
//     scan256    one reference and 248 bytes of data
//     noscan64   64 bytes of data
//
// The references stay null; the first word of data is written and, when the object falls out, read.

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <gort/bench/workloads/heap.h>
#include <gort/bench/workloads/random.h>
#include <gort/bench/workloads/report.h>
#include <gort/bench/workloads/threads.h>

namespace gort::bench {

template <class H>
struct Scan16 {
  typename H::template Ref<Scan16> a{}, b{};
  GORT_FIELDS(Scan16, a, b);
  void write(std::uint64_t) {}
  std::uint64_t read() const { return 1; }
};

template <class H, std::size_t Words>
struct Scan {
  typename H::template Ref<Scan> a{};
  std::uint64_t data[Words - 1];
  GORT_FIELDS(Scan, a);
  void write(std::uint64_t i) { data[0] = i; }
  std::uint64_t read() const { return data[0]; }
};

template <std::size_t Words>
struct NoScan {
  std::uint64_t data[Words];
  GORT_POINTER_FREE();
  void write(std::uint64_t i) { data[0] = i; }
  std::uint64_t read() const { return data[0]; }
};

/// One thread's, on its stack.
template <class H, class T>
class Ring {
 public:
  /// Makes objects first, first + 1, ...; what was read from those that fell out.
  std::uint64_t turn(std::uint64_t first, std::uint64_t count) {
    Slot* const slots = slots_;
    std::uint64_t checksum = 0;
    for (std::uint64_t i = first; i < first + count; ++i) {
      Slot& slot = slots[i % kLive];
      if (T* old = slot) {
        checksum += old->read();
        H::free(old);
      }
      const typename H::template Local<T> object = H::template make<T>();
      object->write(i);
      slot = object;
    }
    return checksum;
  }
  /// All fall out.
  std::uint64_t clear() {
    Slot* const slots = slots_;
    std::uint64_t checksum = 0;
    for (std::uint64_t i = 0; i < kLive; ++i) {
      if (T* old = slots[i]) {
        checksum += old->read();
        slots[i] = nullptr;
        H::free(old);
      }
    }
    return checksum;
  }
  Ring() = default;
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring() {
    clear();
    H::free(static_cast<Slot*>(slots_));
  }

 private:
  static constexpr std::uint64_t kLive = 4096;
  using Slot = typename H::template Ref<T>;
  typename H::template Root<Slot> slots_ = H::template make_array<Slot>(kLive);
};

template <class H, class T>
void ring_of(std::string_view kind, unsigned threads, std::uint64_t ops) {
  std::vector<std::uint64_t> sums(threads);
  Measurement m;
  run_threads<H>(threads, m, [&](unsigned t) {
    Ring<H, T> ring;
    sums[t] = ring.turn(0, ops);
    sums[t] += ring.clear();
  });
  std::uint64_t checksum = 0;
  for (const std::uint64_t sum : sums) checksum = mix(checksum, sum);
  const HeapStats stats = H::stats(0);
  Line("ring", std::string(kind) + '/' + std::to_string(threads), H::kName)
      .add(ops * threads, m, checksum)
      .add("collections", stats.collections)
      .add("pause_max_ns", stats.pause_max_ns)
      .add("pause_total_ns", stats.pause_total_ns)
      .print();
}

/// f(std::type_identity<T>()) of the objects of this kind; false if there is no such kind.
template <class H, class F>
bool with_ring_type(std::string_view kind, F f) {
  if (kind == "scan16") return f(std::type_identity<Scan16<H>>()), true;
  if (kind == "scan64") return f(std::type_identity<Scan<H, 8>>()), true;
  if (kind == "scan256") return f(std::type_identity<Scan<H, 32>>()), true;
  if (kind == "noscan64") return f(std::type_identity<NoScan<8>>()), true;
  return false;
}

template <class H>
bool ring(std::string_view kind, unsigned threads, std::uint64_t ops) {
  return with_ring_type<H>(
      kind, [&](auto type) { ring_of<H, typename decltype(type)::type>(kind, threads, ops); });
}

}  // namespace gort::bench
