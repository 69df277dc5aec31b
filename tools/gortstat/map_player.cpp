#include <gort/tools/gortstat/map_player.h>

#include <cstring>
#include <memory>
#include <new>

#include <fmt/format.h>

#include <gort/base/os.h>
#include <gort/gc/allocate.h>
#include <gort/hashmap/inspect.h>
#include <gort/hashmap/policies.h>
#include <gort/runtime/ledger.h>
#include <gort/runtime/mem_stats.h>
#include <gort/runtime/runtime.h>
#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/text.h>

namespace gort::tool {
namespace {

using Kind = TraceOperation::Kind;
constexpr std::size_t kMaxWritten = std::size_t{64} << 20;  // bytes

// The bytes of a key: as written, but for %20. Decoded into `buffer` if need be.
std::string_view key_bytes(std::string_view written, std::string& buffer) {
  std::size_t space = written.find("%20");
  if (space == std::string_view::npos) return written;
  buffer.clear();
  for (; space != std::string_view::npos; space = written.find("%20")) {
    buffer.append(written.substr(0, space)).push_back(' ');
    written.remove_prefix(space + 3);
  }
  return buffer.append(written);
}

// A program writes the values it makes: memory that is never written is not resident. Without a
// bound, a slip of the pen in a trace would take all memory of the machine.
std::byte* make_value(std::size_t bytes) {
  auto* const value = make_array<std::byte>(bytes);
  if (bytes <= kMaxWritten) std::memset(value, 1, bytes);
  return value;
}

bool uses_map(Kind kind) {
  return kind != Kind::make && kind != Kind::mark && kind != Kind::gc && kind != Kind::release;
}

std::string out_of_memory(const TraceOperation& operation) {
  if (operation.kind == Kind::set && operation.number > 0) {
    return fmt::format("out of memory: no room for a value of {} bytes",
                       with_commas(operation.number));
  }
  if (operation.kind == Kind::make) {
    return fmt::format("out of memory: no room for a map with hint {}",
                       with_commas(operation.number));
  }
  return "out of memory";
}

}  // namespace

void MapPlayer::play(const TraceOperation& operation) {
  try {
    if (maps_ == 0 && uses_map(operation.kind)) begin_map(0);
    switch (operation.kind) {
      case Kind::make:
        make(operation.number);
        break;
      case Kind::set:
        set(operation);
        break;
      case Kind::del:
        del(operation);
        break;
      case Kind::get:
        get(operation);
        break;
      case Kind::clear:
        clear();
        break;
      case Kind::drop:
        // Here and not in drop(), which is timed as a remedy.
        if (has_map()) last_map_ = {maps_, removals() - removals_at_make_, inspect(map_.get())};
        drop();
        break;
      case Kind::gc:
        gc();
        break;
      case Kind::release:
        release();
        break;
      case Kind::mark:
        ++counts_.mark;
        break;
    }
  } catch (const std::bad_alloc&) {
    throw InputError(path_, operation.line, out_of_memory(operation));
  }
}

void MapPlayer::begin_map(std::uint64_t hint) {
  map_ = new_map(hint);
  ++maps_;
  removals_at_make_ = removals();
  changed();
}

void MapPlayer::make(std::uint64_t hint) {
  ++counts_.make;
  const bool replaces = has_map();
  begin_map(hint);
  if (replaces) removed();
}

void MapPlayer::set(const TraceOperation& operation) {
  ++counts_.set;
  changed();
  // Value and key are rooted until they are in the map: every allocation may collect.
  if (operation.number > 0) value_ = make_value(operation.number);
  const String key(key_bytes(operation.text, buffer_));
  key_ = key.data();
  if (map_->insert_or_assign(key, value_.get())) ++counts_.inserted;
  value_ = nullptr;
  key_ = nullptr;
}

void MapPlayer::del(const TraceOperation& operation) {
  ++counts_.del;
  if (!map_->erase(key_bytes(operation.text, buffer_))) return;
  ++counts_.deleted;
  removed();
}

void MapPlayer::get(const TraceOperation& operation) {
  ++counts_.get;
  if (map_->contains(key_bytes(operation.text, buffer_))) ++counts_.found;
}

void MapPlayer::clear() {
  ++counts_.clear;
  if (map_->size() == 0) return;  // does nothing
  counts_.cleared += map_->size();
  map_->clear();
  removed();
}

void MapPlayer::drop() {
  ++counts_.drop;
  if (!has_map()) return;
  map_ = TraceMap();
  removed();
}

void MapPlayer::remake() {
  // The old map keeps keys and values alive until the new one has them; the new one is rooted since
  // it grows while it is filled.
  Root<TraceMap> fresh = new_map(map_->size());
  for (const auto& [key, value] : *map_) fresh->insert_or_assign(key, value);
  map_ = *fresh;
  removed();
}

void MapPlayer::shrink() {
  shrink_to_fit(map_.get());
  removed();
}

void MapPlayer::gc() {
  ++counts_.gc;
  collect();
  collected_ = true;
  released_ = false;  // what was found dead may have emptied pages
}

void MapPlayer::release() {
  ++counts_.release;
  release_os_memory();
  collected_ = true;
  released_ = true;
}

Step MapPlayer::take_step(StepKind kind, std::string_view label, std::size_t line) {
  Step step;
  step.label = label;
  step.kind = kind;
  step.line = line;
  step.added_by_tool = line == 0;
  const std::uint64_t cycles = counters.cycles.load_relaxed();
  const std::uint64_t forced = counters.forced_cycles.load_relaxed();
  const std::uint64_t given_back = counters.scavenged_bytes.load_relaxed();
  step.since = counts_.since(counts_at_step_);
  step.collections = cycles - cycles_at_step_;
  step.forced_collections = forced - forced_at_step_;
  step.given_back = given_back - given_back_at_step_;
  step.removal_uncollected = removal_cycle_ == cycles;
  step.rss = os::resident_bytes();  // before the walk over the heap, which takes memory itself
  step.ledger = ledger();
  step.memstats = StepMemStats(mem_stats());
  if (has_map()) step.map = inspect(map_.get());
  if (has_map() && pictures_) {
    step.picture = std::make_shared<const MapPicture>(picture(map_.get()));
  }
  counts_at_step_ = counts_;
  cycles_at_step_ = cycles;
  forced_at_step_ = forced;
  given_back_at_step_ = given_back;
  return step;
}

}  // namespace gort::tool
