#pragma once

// What every benchmark program measures and prints: one JSON object a line, flat, strings and
// integers only, so that bench/run needs no JSON library to read it.
//
//     {"workload":"ring","case":"scan64/1","impl":"gort","ops":20000000,"ns":...,"user_ns":...,
//      "sys_ns":...,"rss_peak_kb":...,"checksum":"...", more integers}
//
//     ns                wall time of the measured part
//     user_ns, sys_ns   CPU time of all threads of the process in it; steadier than wall time on a
//                       machine that others use too, and a collector's background work shows in it
//     rss_peak_kb       the highest resident size within the measured part
//     checksum          of what the program computed: the same for every implementation
//
// Nothing here knows gort: the programs of the peers include this file as well.

#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include <sys/resource.h>
#include <unistd.h>

namespace gort::bench {

/// Number after `key` in /proc/self/status, in kB; -1 if there is none.
inline std::int64_t status_kb(const char* key) {
  std::FILE* file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) return -1;
  const std::string_view wanted(key);
  char line[256];
  long long value = -1;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    if (std::string_view(line).substr(0, wanted.size()) == wanted) {
      std::sscanf(line + wanted.size(), ": %lld", &value);
      break;
    }
  }
  std::fclose(file);
  return value;
}
inline std::int64_t rss_kb() { return status_kb("VmRSS"); }

/// Starts a new peak for VmHWM (proc(5), clear_refs 5).
inline void reset_peak_rss() {
  if (std::FILE* file = std::fopen("/proc/self/clear_refs", "w")) {
    std::fputs("5", file);
    std::fclose(file);
  }
}

inline std::int64_t now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

struct Usage {
  std::int64_t wall_ns = 0;
  std::int64_t user_ns = 0;
  std::int64_t system_ns = 0;

  static Usage now() {
    rusage r{};
    getrusage(RUSAGE_SELF, &r);
    const auto ns = [](const timeval& t) {
      return std::int64_t{t.tv_sec} * 1'000'000'000 + std::int64_t{t.tv_usec} * 1000;
    };
    return {now_ns(), ns(r.ru_utime), ns(r.ru_stime)};
  }
  friend Usage operator-(const Usage& a, const Usage& b) {
    return {a.wall_ns - b.wall_ns, a.user_ns - b.user_ns, a.system_ns - b.system_ns};
  }
};

/// The measured part of a program: from construction to stop().
class Measurement {
 public:
  Measurement() {
    reset_peak_rss();
    start_ = Usage::now();
  }
  void stop() {
    usage = Usage::now() - start_;
    rss_peak_kb = status_kb("VmHWM");
  }

  Usage usage;
  std::int64_t rss_peak_kb = 0;

 private:
  Usage start_;
};

/// One line of output.
class Line {
 public:
  Line(std::string_view workload, std::string_view name, std::string_view impl) {
    add_text("workload", workload);
    add_text("case", name);
    add_text("impl", impl);
  }
  Line& add(std::string_view key, std::int64_t value) {
    return add_raw(key, std::to_string(value));
  }
  Line& add_text(std::string_view key, std::string_view value) {
    return add_raw(key, '"' + std::string(value) + '"');
  }
  Line& add(std::uint64_t ops, const Measurement& m, std::uint64_t checksum) {
    char hex[32];
    std::snprintf(hex, sizeof hex, "%016" PRIx64, checksum);
    return add("ops", static_cast<std::int64_t>(ops))
        .add("ns", m.usage.wall_ns)
        .add("user_ns", m.usage.user_ns)
        .add("sys_ns", m.usage.system_ns)
        .add("rss_peak_kb", m.rss_peak_kb)
        .add_text("checksum", hex);
  }
  void print() const {
    std::printf("{%s}\n", text_.c_str());
    std::fflush(stdout);
  }

 private:
  Line& add_raw(std::string_view key, const std::string& value) {
    if (!text_.empty()) text_ += ',';
    text_ += '"';
    text_ += key;
    text_ += "\":";
    text_ += value;
    return *this;
  }

  std::string text_;
};

}  // namespace gort::bench
