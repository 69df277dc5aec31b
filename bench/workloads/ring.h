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

template <class H, class T>
std::uint64_t turn_ring(std::uint64_t ops) {
  constexpr std::uint64_t kLive = 4096;
  using Slot = typename H::template Ref<T>;
  typename H::template Root<Slot> root = H::template make_array<Slot>(kLive);
  Slot* const ring = root;
  std::uint64_t checksum = 0;
  for (std::uint64_t i = 0; i < ops; ++i) {
    Slot& slot = ring[i % kLive];
    if (T* old = slot) {
      checksum += old->read();
      H::free(old);
    }
    const typename H::template Local<T> object = H::template make<T>();
    object->write(i);
    slot = object;
  }
  for (std::uint64_t i = 0; i < kLive; ++i) {
    if (T* old = ring[i]) {
      checksum += old->read();
      H::free(old);
    }
  }
  H::free(ring);
  return checksum;
}

template <class H, class T>
void ring_of(std::string_view kind, unsigned threads, std::uint64_t ops) {
  std::vector<std::uint64_t> sums(threads);
  Measurement m;
  run_threads<H>(threads, m, [&](unsigned t) { sums[t] = turn_ring<H, T>(ops); });
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

/// False if there is no such kind.
template <class H>
bool ring(std::string_view kind, unsigned threads, std::uint64_t ops) {
  if (kind == "scan16") return ring_of<H, Scan16<H>>(kind, threads, ops), true;
  if (kind == "scan64") return ring_of<H, Scan<H, 8>>(kind, threads, ops), true;
  if (kind == "scan256") return ring_of<H, Scan<H, 32>>(kind, threads, ops), true;
  if (kind == "noscan64") return ring_of<H, NoScan<8>>(kind, threads, ops), true;
  return false;
}

}  // namespace gort::bench
