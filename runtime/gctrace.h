#pragma once

// GORT_DEBUG=gctrace=1: one line a collection on standard error, in the shape of Go's (src/runtime/
// extern.go), so that tools which read Go's lines read ours:
//
//     gc N @T s U%: a+b+c ms clock, d+e/f/g+h ms cpu, x->y->z MB, G MB goal, S MB stacks,
//     L MB globals, P P
//
// a and c are the stops that begin and end marking, b is what lies between them, with the program
// running (and any further stop that did not end it). d and h are a and c on all P processors; e is
// the processor time of allocating threads that helped, f that of the collector's own thread and
// its dedicated workers, g that of workers on processors that nobody used. x, y, z are the heap
// when marking began, when it ended, and what was marked. S and L are what was scanned of stacks,
// and of roots (Go's are its globals). U is the share of all processors that collections have used
// since the start.

#include <string>

#include <gort/gc/collector.h>

namespace gort {

/// The line for a cycle, without a line end. `start_ns`: when the runtime started (monotonic);
/// `gc_percent_of_cpu`: Collector::cpu_share() in percent.
std::string gctrace_line(const gc::CycleRecord& cycle, std::int64_t start_ns,
                         int gc_percent_of_cpu);

/// Nanoseconds as Go prints them in milliseconds, rounded down: whole ones from 10 ms up, below
/// that two significant digits and at most three decimals.
std::string gctrace_ms(std::int64_t ns);

}  // namespace gort
