#include <gort/tools/gortstat/exact_run.h>

#include <stdexcept>

#include <gort/runtime/runtime.h>
#include <gort/tools/gortstat/error.h>

namespace gort::tool {
namespace {

Options exact_options() {
  try {
    Options options = Options::from_environment();
    options.conservative_stacks = false;
    return options;
  } catch (const std::invalid_argument& error) {
    throw UsageError(error.what());
  }
}

}  // namespace

ExactRun::ExactRun() : options_(exact_options()) { start(options_); }

ExactRun::~ExactRun() { shutdown(); }

}  // namespace gort::tool
