#include <gort/tools/gortstat/exact_run.h>

#include <stdexcept>

#include <gort/hashmap/rules.h>
#include <gort/runtime/runtime.h>
#include <gort/tools/gortstat/error.h>

namespace gort::tool {
namespace {

Options exact_options() {
  try {
    // Once: each time, the runtime warns of what it does not know in GORT_DEBUG.
    static const Options from_environment = Options::from_environment();
    Options options = from_environment;
    options.conservative_stacks = false;
    options.background_scavenger = false;
    return options;
  } catch (const std::invalid_argument& error) {
    throw UsageError(error.what());
  }
}

}  // namespace

ExactRun::ExactRun(std::optional<std::uint64_t> seed) : options_(exact_options()) {
  start(options_);
  if (!seed) return;
  random_.emplace(*seed);
  set_map_random({[](void* random) { return static_cast<Random*>(random)->next(); }, &*random_});
}

ExactRun::~ExactRun() {
  if (random_) set_map_random({});
  shutdown();
}

}  // namespace gort::tool
