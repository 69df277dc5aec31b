#pragma once

// window KEPT MESSAGES: how long does one step of a program take that keeps its newest messages in
// a hash map? Each of MESSAGES steps makes a message of 1 KiB, fills it, puts it into the map under
// its number and, once KEPT messages are there, takes the oldest out. Every step is timed; the
// slowest is what counts: it has met a collection, or a map that grew. An operation is a step.
//
// After Will Sewell's program of 2016 that showed what a long stop does to a message broker, and
// its versions in many languages that Gabriel Scherer collected; theirs keep 200 000 of 1 000 000.
//
// Maps are the implementation's own (IdMap in heap.h): gort's and Go's are parts of their runtimes,
// Boehm and the mallocs have std::unordered_map, whose growth moves all its nodes in one step.

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include <gort/bench/workloads/heap.h>
#include <gort/bench/workloads/latency.h>
#include <gort/bench/workloads/random.h>
#include <gort/bench/workloads/report.h>

namespace gort::bench {

inline constexpr std::size_t kMessageBytes = 1024;

template <class H>
using Messages = typename H::template IdMap<std::uint8_t>;

// Not inlined: the map's operations stay out of the loop that takes the time.
template <class H>
[[gnu::noinline]] void push_message(Messages<H>& messages, std::uint64_t kept, std::uint64_t id) {
  const typename H::template Local<std::uint8_t> message =
      H::template make_array<std::uint8_t>(kMessageBytes);
  std::memset(message, static_cast<int>(id & 255), kMessageBytes);
  messages.put(static_cast<std::int64_t>(id), message);
  if (id >= kept) H::free(messages.take(static_cast<std::int64_t>(id - kept)));
}

template <class H>
void window(std::uint64_t kept, std::uint64_t count) {
  Messages<H> messages;
  const auto latencies = std::make_unique<Latencies>();
  Measurement m;
  for (std::uint64_t id = 0; id < count; ++id) {
    const std::int64_t start = now_ns();
    push_message<H>(messages, kept, id);
    latencies->record(now_ns() - start);
  }
  m.stop();

  std::uint64_t checksum = 0;
  for (std::uint64_t id = count > kept ? count - kept : 0; id < count; ++id) {
    const std::uint8_t* const message = messages.get(static_cast<std::int64_t>(id));
    checksum = mix(checksum, message[0] + message[kMessageBytes - 1]);
  }
  const HeapStats stats = H::stats(0);
  Line("window", std::to_string(kept) + '/' + std::to_string(count), H::kName)
      .add(count, m, checksum)
      .add("collections", stats.collections)
      .add("pause_max_ns", stats.pause_max_ns)
      .add("pause_total_ns", stats.pause_total_ns)
      .add("push_p50_ns", latencies->quantile(0.5))
      .add("push_p99_ns", latencies->quantile(0.99))
      .add("push_p999_ns", latencies->quantile(0.999))
      .add("push_p9999_ns", latencies->quantile(0.9999))
      .add("push_max_ns", latencies->max())
      .print();
}

}  // namespace gort::bench
