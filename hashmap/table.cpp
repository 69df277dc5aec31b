#include <gort/hashmap/table.h>

#include <stdexcept>

namespace gort::hashmap {

void throw_nil_map_write() { throw std::logic_error("assignment to entry in nil map"); }

}  // namespace gort::hashmap
