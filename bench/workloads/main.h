#pragma once

// The command line of every program that runs the heap workloads, whoever's heap it is:
//
//     PROGRAM binary_trees DEPTH
//     PROGRAM ring KIND THREADS OPS
//     PROGRAM scaling KIND THREADS ROUNDS
//     PROGRAM graph NODES COLLECTIONS        only where a collector is
//     PROGRAM pause MIB THREADS OPS
//     PROGRAM drop MIB
//     PROGRAM larson THREADS ROUNDS
//     PROGRAM gcbench DEPTH
//     PROGRAM window KEPT MESSAGES
//     PROGRAM growth MIB                     only where a collector is
//
// Prints one line (report.h); exit 2 on a command line that is none of these.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <gort/bench/workloads/binary_trees.h>
#include <gort/bench/workloads/drop.h>
#include <gort/bench/workloads/gcbench.h>
#include <gort/bench/workloads/graph.h>
#include <gort/bench/workloads/growth.h>
#include <gort/bench/workloads/larson.h>
#include <gort/bench/workloads/pause.h>
#include <gort/bench/workloads/ring.h>
#include <gort/bench/workloads/scaling.h>
#include <gort/bench/workloads/window.h>

namespace gort::bench {

/// A positive number; anything else ends the program with status 2.
inline std::uint64_t number(const char* text) {
  char* end = nullptr;
  const unsigned long long value = std::strtoull(text, &end, 10);
  if (end == text || *end != '\0' || value == 0) {
    std::fprintf(stderr, "not a positive number: %s\n", text);
    std::exit(2);
  }
  return value;
}

template <class H>
bool run_workload(const std::vector<const char*>& args) {
  const std::string_view name = args[0];
  const std::size_t given = args.size() - 1;
  const auto arg = [&args](std::size_t i) { return number(args[i]); };
  if (name == "scaling" && given == 3) {
    return scaling<H>(args[1], static_cast<unsigned>(arg(2)), arg(3));
  }
  H::start();
  if (name == "binary_trees" && given == 1) {
    binary_trees<H>(static_cast<int>(arg(1)));
  } else if (name == "ring" && given == 3) {
    return ring<H>(args[1], static_cast<unsigned>(arg(2)), arg(3));
  } else if (name == "pause" && given == 3) {
    pause<H>(arg(1), static_cast<unsigned>(arg(2)), arg(3));
  } else if (name == "drop" && given == 1) {
    drop<H>(arg(1));
  } else if (name == "larson" && given == 2) {
    larson<H>(static_cast<unsigned>(arg(1)), static_cast<unsigned>(arg(2)));
  } else if (name == "gcbench" && given == 1) {
    gcbench<H>(static_cast<int>(arg(1)));
  } else if (name == "window" && given == 2) {
    window<H>(arg(1), arg(2));
  } else if constexpr (H::kCollected) {
    if (name == "graph" && given == 2) {
      graph<H>(arg(1), static_cast<int>(arg(2)));
    } else if (name == "growth" && given == 1) {
      growth<H>(arg(1));
    } else {
      return false;
    }
  } else {
    return false;
  }
  return true;
}

template <class H>
int workload_main(int argc, char** argv) {
  const std::vector<const char*> args(argv + 1, argv + argc);
  if (args.empty() || !run_workload<H>(args)) {
    std::fprintf(
        stderr,
        "usage: %s binary_trees DEPTH | ring scan16|scan64|scan256|noscan64 THREADS OPS |\n"
        "       scaling KIND THREADS ROUNDS | graph NODES COLLECTIONS | pause MIB THREADS OPS |\n"
        "       drop MIB | larson THREADS ROUNDS | gcbench DEPTH | window KEPT MESSAGES | growth "
        "MIB\n",
        argv[0]);
    return 2;
  }
  return 0;
}

}  // namespace gort::bench
