#include <gort/base/counters.h>

namespace gort {

constinit Counters counters;

}  // namespace gort
