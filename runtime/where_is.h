#pragma once

// One address: where is it, what is it, and why is it still there?

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <fmt/format.h>

#include <gort/base/config.h>
#include <gort/base/ledger.h>
#include <gort/hashmap/inspect.h>

namespace gort {

/// Plain data about one address.
struct Location {
  std::uintptr_t address = 0;
  bool in_heap = false;  ///< inside an arena; nothing below is set otherwise
  Place place = Place::reserved;
  std::optional<Reason> reason;  ///< why the byte is still there, where the place has reasons

  // of the span, if the address lies in one
  std::uintptr_t span_start = 0;  ///< 0: in no span
  std::size_t span_pages = 0;
  std::size_t slot_size = 0;     ///< bytes; of a large object: its pages
  std::size_t size_class = 0;    ///< 0: large object
  bool noscan = false;           ///< the span's objects hold no references
  std::size_t live_in_span = 0;  ///< objects not known dead
  std::size_t slots_in_span = 0;

  // of the slot, if the address lies in one
  bool in_slot = false;
  std::size_t slot = 0;
  std::uintptr_t slot_start = 0;
  std::string type;  ///< name of the layout, if the slot has one

  // of the map cell, if the address lies in bucket memory of a live map
  std::optional<hashmap::CellLocation> cell;

  std::string text() const;  ///< several lines, for people
};

/// Stops the world; walks the maps if the address lies in an object. Any bit pattern is a valid
/// question. Any attached thread. std::logic_error before start().
GORT_API Location where_is(const void* address);

}  // namespace gort

template <>
struct fmt::formatter<gort::Location> : fmt::formatter<std::string> {
  template <class Context>
  auto format(const gort::Location& location, Context& context) const {
    return fmt::formatter<std::string>::format(location.text(), context);
  }
};
