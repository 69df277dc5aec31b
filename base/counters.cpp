#include <gort/base/counters.h>

namespace gort {

constinit Counters counters;
constinit GORT_TLS std::uint32_t thread_shard = 0;

}  // namespace gort
