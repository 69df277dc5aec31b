#pragma once

namespace gort::gc {

/// The second look at a finished marking: every root and every reference of every marked object
/// must point at a marked object (or at no object at all). Aborts naming parent and child
/// otherwise. World stopped, after marking and before the sweep generation rises. Cost: one look at
/// every reference in the heap; no memory.
///
/// A marking is complete exactly if the marked objects contain the roots' targets and are closed
/// under "refers to": so no second traversal is needed, a pass in address order does.
void verify_marks();

}  // namespace gort::gc
