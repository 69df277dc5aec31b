#pragma once

// The door to the operating system's memory. No other file calls mmap, mprotect, madvise or munmap.
//
// Address space is in one of four states, and every function is a named step between them (the
// state machine is Go's, src/runtime/mem.go):
//
//            reserve            prepare             commit
//     none ----------> reserved --------> prepared --------> ready
//       ^                 |                  ^  |              |
//       +---- release ----+------------------+--+-- decommit --+
//
//   none      not ours; touching it is a fault
//   reserved  the addresses are ours, nothing is behind them; touching it is a fault
//   prepared  may be touched, but holds no memory: reads as zero, its pages are not resident
//   ready     in use; pages are resident once they have been written
//
// Linux makes pages resident at first touch, so `commit` is bookkeeping there (a port to a system
// that must ask has its place for it). `decommit` drops the pages: resident memory falls at once
// and the bytes read as zero again.
//
// Equations, checked by tests after every step:
//     counts().reserved + counts().prepared + counts().ready == bytes mapped through this door
//
// Preconditions of every function: addresses and sizes are multiples of page_size(), sizes are not
// 0. All functions may be called from any thread. A refusal by the system is a return value, never
// an abort: what to do about it is the caller's decision.

#include <cstddef>
#include <cstdint>

#include <pthread.h>

namespace gort::os {

/// Bytes in each state, over the whole process. mapped() is exact at any time, the three are when
/// no other thread is in the middle of a step.
struct Counts {
  std::size_t reserved = 0;
  std::size_t prepared = 0;
  std::size_t ready = 0;
  std::size_t mapped() const { return reserved + prepared + ready; }
};
Counts counts();

/// none -> reserved, at exactly `address`. Null if anything is mapped there or the system refuses.
void* reserve_at(std::uintptr_t address, std::size_t bytes);
/// none -> reserved, wherever the system likes, aligned to `alignment` (a power of two). Null if
/// refused.
void* reserve(std::size_t bytes, std::size_t alignment);
/// reserved -> prepared. False if the system refuses; the range is then still reserved.
bool prepare(void* address, std::size_t bytes);
/// prepared -> ready.
void commit(void* address, std::size_t bytes);
/// ready -> prepared: gives the memory back. False if the system refuses; the range is then still
/// ready, but nobody knows what is in it: the system drops page after page and ends at one that is
/// locked in memory.
bool decommit(void* address, std::size_t bytes);
/// any -> none. The whole range must be in one state, named by `from`. Aborts if the system
/// refuses: there is no use for a range in an unknown state.
enum class From { reserved, prepared, ready };
void release(void* address, std::size_t bytes, From from);

/// prepared -> prepared: drops what the system has put there unasked, since a huge page that is
/// touched anywhere becomes resident everywhere. A refusal is ignored.
void drop_prepared(void* address, std::size_t bytes);

/// Asks for huge pages (or asks not to have them) behind a range. A hint: failure is ignored.
void hint_huge_pages(void* address, std::size_t bytes, bool wanted);

/// Makes the system put memory behind a prepared or ready range now rather than at the first
/// access. A refusal is ignored: then that does.
void touch(void* address, std::size_t bytes);

/// Bytes of one page of the operating system; asked for once.
std::size_t page_size();

/// Processors that this process may run on; asked for once. At least 1.
std::size_t processors();

/// Resident bytes of the whole process now, and the highest so far; 0 if the system does not tell.
std::size_t resident_bytes();
std::size_t peak_resident_bytes();
/// Resident bytes of one range, page by page (mincore); for tests and reports.
std::size_t resident_bytes_of(const void* address, std::size_t bytes);

/// Makes a thread of the runtime's own, which blocks all signals: an embedder's handlers run on the
/// embedder's threads. `name` lasts. False if the system refuses. Takes locks of the C library,
/// which a stopped thread may hold: threads that stops wait for call World::start_thread().
bool start_thread(pthread_t& thread, const char* name, void* (*f)(void*), void* context);
/// For a thread made so that runs an embedder's code: the signals of a fault, and `also` (0: none),
/// reach it.
void unblock_faults(int also = 0);

/// The limits of a thread's stack, [low, high).
struct StackBounds {
  const char* low = nullptr;
  const char* high = nullptr;
  /// The first thread's of a process: `low` is as far down as RLIMIT_STACK allowed when it was
  /// asked. The limit may be raised since.
  bool grows = false;
};
/// Those of the calling thread. 0, or the error if the system does not tell: for the first thread
/// of a process it takes a file descriptor, and /proc.
int current_stack(StackBounds& stack);
/// The lowest address from which on everything up to `address` is mapped; `address` itself, a
/// multiple of the page size, if the page below it is not.
const char* mapped_down_from(const char* address);

// Switches for tests.

/// Lets the k-th call from now on (1 = the next) that asks the system for something fail with
/// ENOMEM, and then every following one too if `and_all_later`. 0 switches it off.
void fail_call_for_test(std::uint64_t k, bool and_all_later = false);
/// Calls that asked the system for something so far: the range of k above.
std::uint64_t calls_for_test();
/// Of the calls that were made to fail, those whose failure is ignored (hints and the like).
std::uint64_t refused_hints_for_test();
/// Pretends that the system's page has this size (a power of two, at least the real one; 0 = real).
void set_page_size_for_test(std::size_t bytes);
/// Is called with the name of each thread before start_thread() makes it. Null: nothing is.
void before_thread_for_test(void (*f)(const char* name));
/// Pretends that there are so many processors (0 = the real number).
void set_processors_for_test(std::size_t count);

}  // namespace gort::os
