#pragma once

// gort: an embeddable, Go-style memory runtime. This header is all that a program includes; the
// rooms it gathers can be included one by one. See docs/ for the tour, README.md for an example.

#include <gort/gc/allocate.h>
#include <gort/gc/cleanup.h>
#include <gort/gc/layout.h>
#include <gort/gc/ranges.h>
#include <gort/gc/ref.h>
#include <gort/gc/root.h>
#include <gort/gc/weak.h>
#include <gort/hashmap/hooked_map.h>
#include <gort/hashmap/locked_map.h>
#include <gort/hashmap/map.h>
#include <gort/hashmap/policies.h>
#include <gort/hashmap/shrinking_map.h>
#include <gort/hashmap/string.h>
#include <gort/hashmap/sync_map.h>
#include <gort/runtime/ledger.h>
#include <gort/runtime/mem_stats.h>
#include <gort/runtime/options.h>
#include <gort/runtime/runtime.h>
#include <gort/runtime/where_is.h>
