#pragma once

// Zeroing memory in pieces.
//
// memset() chooses how to store by the size it is asked for, and of something huge it would store
// past the caches. Who zeroes piece by piece, so that the world may stop in between, never asks for
// that much: each piece is first read into the caches, for nothing, and pushes out what was there.
// 150 MiB in pieces of 64 KiB: 6 ms with memset, 3 or 2 with streaming stores; of 16 MiB, which the
// shared cache holds, memset needs two thirds of their time. (Go draws the line at 32 MiB as well:
// memclr_amd64.s.)

#include <cstddef>

#include <gort/base/config.h>

namespace gort {

/// From this size on a block is zeroed past the caches.
inline constexpr std::size_t kStreamedBlock = std::size_t{32} << 20;

/// Zeroes `bytes` at `piece`, which belongs to a block of `block_bytes` that is zeroed by such
/// calls one after the other. What is stored afterwards is seen by others after the zeros, as with
/// memset.
GORT_API void zero_piece(void* piece, std::size_t bytes, std::size_t block_bytes);

}  // namespace gort
