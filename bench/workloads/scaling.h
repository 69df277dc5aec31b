#pragma once

// scaling KIND THREADS ROUNDS: how much more does the ring (ring.h) get done on several threads
// than on one?
//
// Two processes, one with one thread and one with THREADS, work in slices of 100 ms, in turn: each
// round the first on one processor after the other, then the second. A round's gain is what the
// second did over the mean of what the first did, in objects a second. So the two are some hundred
// milliseconds apart. Between two programs lie seconds, and on a virtual machine in that time the
// host gives the neighbouring hardware thread of a core to somebody else or takes it back: each
// processor has two speeds, the one half as fast again as the other, and keeps one for seconds or
// minutes. Within one process the two would not be apart: what one thread does alone depends on the
// heap that the others have left.
//
// A thread looks at the clock every kTurn objects. It counts what it has done when its slice is
// over, and goes on until all have: none counts a moment in which it had the memory to itself.
//
// ops and ns are those of the second process's slices, CPU times and the peak those of its whole
// life. A round's gain, and how fast the slowest processor was beside the fastest, are in
// thousandths, by quarters of the rounds. The checksum is of the first turns.

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gort/bench/workloads/random.h>
#include <gort/bench/workloads/report.h>
#include <gort/bench/workloads/ring.h>
#include <gort/bench/workloads/threads.h>

namespace gort::bench {

namespace detail {

constexpr int kAnyProcessor = -1;
constexpr int kEnd = -2;

/// What one process did in a slice.
struct SliceResult {
  double speed = 0;  ///< objects a nanosecond, all threads
  std::int64_t ns = 0;
  std::uint64_t ops = 0;       ///< of all slices so far
  std::uint64_t checksum = 0;  ///< of every thread's first turn
  Measurement sofar;
};

/// Runs on `processor` alone, or on all of the machine's.
inline void run_on(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (std::size_t i = 0; i < CPU_SETSIZE; ++i) {
    if (processor == kAnyProcessor || processor == static_cast<int>(i)) CPU_SET(i, &set);
  }
  sched_setaffinity(0, sizeof set, &set);
}

}  // namespace detail

/// The process that works: a slice for each processor number that it reads from `in`, whose result
/// it writes to `out`.
template <class H, class T>
class SlicedRings {
 public:
  SlicedRings(unsigned threads, int in, int out)
      : threads_(threads), in_(in), out_(out), phase_(threads), own_(threads) {}

  void run() {
    H::start();
    run_threads<H>(threads_, result_.sofar, [this](unsigned t) { run_thread(t); });
  }

 private:
  static constexpr std::int64_t kSliceNs = 100'000'000;
  static constexpr std::uint64_t kTurn = 1 << 14;

  struct alignas(64) Own {
    double speed = 0;
    std::uint64_t ops = 0;
    std::uint64_t checksum = 0;
  };

  void run_thread(unsigned t) {
    Ring<H, T> ring;
    for (;;) {
      if (t == 0) read_command();
      wait();
      if (processor_ == detail::kEnd) return;
      slice(ring, own_[t]);
      wait();
      if (t == 0) write_result();
    }
  }

  void wait() {
    typename H::Waiting waiting;
    phase_.arrive_and_wait();
  }

  void read_command() {
    typename H::Waiting waiting;
    if (read(in_, &processor_, sizeof processor_) != sizeof processor_) processor_ = detail::kEnd;
    if (processor_ >= 0) detail::run_on(processor_);
    working_ = threads_;
    start_ns_ = now_ns();
  }

  void write_result() {
    result_.ns = now_ns() - start_ns_;
    result_.speed = 0;
    result_.ops = result_.checksum = 0;
    for (const Own& own : own_) {
      result_.speed += own.speed;
      result_.ops += own.ops;
      result_.checksum = mix(result_.checksum, own.checksum);
    }
    result_.sofar.stop();
    if (write(out_, &result_, sizeof result_) != sizeof result_) std::exit(1);
  }

  void slice(Ring<H, T>& ring, Own& own) {
    const std::int64_t start = now_ns();
    std::uint64_t ops = 0;
    bool counted = false;
    do {
      const std::uint64_t sum = ring.turn(own.ops, kTurn);
      if (own.ops == 0) own.checksum = sum;
      ops += kTurn;
      own.ops += kTurn;
      const std::int64_t ns = now_ns() - start;
      if (!counted && ns >= kSliceNs) {
        own.speed = static_cast<double>(ops) / static_cast<double>(ns);
        counted = true;
        --working_;
      }
    } while (working_ != 0);
  }

  const unsigned threads_;
  const int in_;
  const int out_;
  std::barrier<> phase_;
  // Written by the first thread, or each by its own, and read by another only beyond the next wait.
  int processor_ = detail::kAnyProcessor;
  std::int64_t start_ns_ = 0;
  std::vector<Own> own_;
  detail::SliceResult result_;
  std::atomic<unsigned> working_{0};  // threads that have not counted yet
};

/// Such a process, seen from the one that made it.
template <class H, class T>
class Worker {
 public:
  explicit Worker(unsigned threads) {
    int commands[2], results[2];
    if (pipe(commands) != 0 || pipe(results) != 0) fail("pipe");
    process_ = fork();
    if (process_ < 0) fail("fork");
    if (process_ == 0) {
      close(commands[1]);
      SlicedRings<H, T>(threads, commands[0], results[1]).run();
      _exit(0);
    }
    close(commands[0]);
    close(results[1]);
    to_ = commands[1];
    from_ = results[0];
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() {
    close(to_);  // the end, for the process
    close(from_);
    waitpid(process_, nullptr, 0);
  }

  detail::SliceResult slice(int processor) {
    detail::SliceResult result;
    if (write(to_, &processor, sizeof processor) != sizeof processor) fail("write");
    if (read(from_, &result, sizeof result) != sizeof result) fail("a process ended early");
    return result;
  }

 private:
  [[noreturn]] static void fail(const char* what) {
    std::perror(what);
    std::exit(1);
  }
  pid_t process_ = -1;
  int to_ = -1;
  int from_ = -1;
};

template <class H, class T>
void scaling_of(std::string_view kind, unsigned threads, std::uint64_t rounds) {
  std::vector<int> processors;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
    for (std::size_t i = 0; i < CPU_SETSIZE && processors.size() < threads; ++i) {
      if (CPU_ISSET(i, &allowed)) processors.push_back(static_cast<int>(i));
    }
  }
  if (processors.empty()) processors.push_back(detail::kAnyProcessor);
  Worker<H, T> one(1);
  Worker<H, T> several(threads);  // has a copy of the other's pipe, and ends first
  detail::SliceResult total;
  std::int64_t ns = 0;
  std::vector<double> gains, alike;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    std::vector<double> alone;
    double sum = 0;
    for (const int processor : processors) {
      alone.push_back(one.slice(processor).speed);
      sum += alone.back();
    }
    total = several.slice(detail::kAnyProcessor);
    ns += total.ns;
    gains.push_back(total.speed * static_cast<double>(alone.size()) / sum);
    const auto [slowest, fastest] = std::minmax_element(alone.begin(), alone.end());
    alike.push_back(*slowest / *fastest);
  }
  total.sofar.usage.wall_ns = ns;
  Line line("scaling", std::string(kind) + '/' + std::to_string(threads), H::kName);
  line.add(total.ops, total.sofar, total.checksum);
  const auto quarters = [&line](const std::string& name, std::vector<double>& values) {
    std::sort(values.begin(), values.end());
    for (const std::size_t percent : {25U, 50U, 75U}) {
      const double value = values[(values.size() - 1) * percent / 100];
      line.add(name + "_p" + std::to_string(percent), static_cast<std::int64_t>(value * 1000));
    }
  };
  quarters("gain", gains);
  quarters("alike", alike);
  line.print();
}

/// Before the heap is started: each process has its own.
template <class H>
bool scaling(std::string_view kind, unsigned threads, std::uint64_t rounds) {
  return with_ring_type<H>(kind, [&](auto type) {
    scaling_of<H, typename decltype(type)::type>(kind, threads, rounds);
  });
}

}  // namespace gort::bench
