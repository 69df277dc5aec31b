#pragma once

// Zeroing memory, where memset() does not know enough to choose how to store.
//
// It goes by the size it is asked for, and of something huge it would store past the caches. Who
// zeroes piece by piece, so that the world may stop in between, never asks for that much: each
// piece is first read into the caches, for nothing, and pushes out what was there. 150 MiB in
// pieces of 64 KiB: 6 ms with memset, 3 or 2 with streaming stores; of 16 MiB, which the shared
// cache holds, memset needs two thirds of their time. (Go draws the line at 32 MiB as well:
// memclr_amd64.s.)
//
// From 2 KiB on it uses the processor's string instruction, which is made for big blocks: for the
// size of a run, memory of which is in an outer cache and is written to right afterwards, it costs
// more than ordinary stores do, as these overlap with what comes behind them.

#include <cstddef>

#include <gort/base/config.h>

namespace gort {

/// From this size on a block is zeroed past the caches.
inline constexpr std::size_t kStreamedBlock = std::size_t{32} << 20;

/// Zeroes `bytes` at `piece`, which belongs to a block of `block_bytes` that is zeroed by such
/// calls one after the other. What is stored afterwards is seen by others after the zeros, as with
/// memset.
GORT_API void zero_piece(void* piece, std::size_t bytes, std::size_t block_bytes);

/// Zeroes `bytes`, some KiB at most, that the calling thread will write to in a moment.
GORT_API void zero_run(void* run, std::size_t bytes);

}  // namespace gort
