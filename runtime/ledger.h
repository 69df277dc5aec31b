#pragma once

#include <gort/base/config.h>
#include <gort/base/ledger.h>

namespace gort {

/// Where every byte is, now. Stops the world and walks all spans and all maps: the cost is
/// proportional to the number of slots and map cells (about a second for tens of GiB). The places
/// sum exactly to `mapped`, and the reasons of a place to the place: a broken sum is a fatal error
/// that names both sides. Any attached thread. std::logic_error before start().
GORT_API Ledger ledger();

}  // namespace gort
