#pragma once

// GORT_DEBUG=scavtrace=1: one line a collection on standard error, in the shape of Go's (1.14 to
// 1.19, src/runtime/extern.go):
//
//     scav W KiB work, R KiB total, U% util
//
// W is what the background scavenger has given back since the last line, R what is given back (or
// has never been used) now, and U the share of the heap's resident memory that is in use. After
// release_os_memory() comes a line of its own: its W is what that call gave back, and it ends in
// " (forced)".

#include <cstddef>
#include <string>

namespace gort {

/// The line about `released` bytes, without a line end.
std::string scavtrace_line(std::size_t released, bool forced);
/// The same from given numbers.
std::string scavtrace_line(std::size_t released, std::size_t returned, std::size_t in_use,
                           std::size_t resident, bool forced);

/// Bytes that the background scavenger has given back since the last call.
std::size_t take_background_work();

}  // namespace gort
