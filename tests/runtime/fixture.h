#pragma once

// The runtime for a scope, in the ways that the tests of its front door want it, and lists to fill
// it with.

#include <gort/gort.h>

namespace gort_test {

struct Runtime {
  explicit Runtime(const gort::Options& options) { gort::start(options); }
  ~Runtime() { gort::shutdown(); }
};

/// What no Root or reference reaches is garbage, exactly.
inline gort::Options exact(gort::Options options = {}) {
  options.conservative_stacks = false;
  return options;
}

/// And no byte moves on but by what the test does.
inline gort::Options quiet(gort::Options options = {}) {
  options = exact(options);
  options.background_scavenger = false;
  options.background_sweep = false;
  return options;
}

struct ListNode {
  gort::Ref<ListNode> next;
  long value = 0;
  GORT_FIELDS(ListNode, next);
};

inline gort::Root<ListNode> make_list(long length) {
  gort::Root<ListNode> head;
  for (long i = 0; i < length; ++i) {
    auto* node = gort::make<ListNode>();
    node->next = head.get();
    node->value = i;
    head = node;
  }
  return head;
}

/// Nodes that are not as make_list(length) made them.
inline long wrong_in(const gort::Root<ListNode>& list, long length) {
  long wrong = 0;
  for (const ListNode* n = list.get(); n != nullptr; n = n->next) wrong += n->value != --length;
  return wrong + (length != 0);
}

}  // namespace gort_test
