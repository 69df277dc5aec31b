#include <gort/hashmap/string.h>

#include <gort/gc/allocate.h>

namespace gort {

String::String(std::string_view bytes) {
  if (bytes.empty()) return;
  auto* copy = static_cast<char*>(gc::allocate(bytes.size(), gc::kNoReferences));
  std::memcpy(copy, bytes.data(), bytes.size());
  data_ = copy;
  length_ = static_cast<long>(bytes.size());
}

}  // namespace gort
