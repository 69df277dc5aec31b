#include <gort/tools/gortstat/map_replay.h>

#include <cstring>
#include <new>
#include <string>
#include <utility>

#include <gort/base/counters.h>
#include <gort/base/os.h>
#include <gort/gc/allocate.h>
#include <gort/gc/root.h>
#include <gort/hashmap/inspect.h>
#include <gort/hashmap/map.h>
#include <gort/hashmap/string.h>
#include <gort/runtime/ledger.h>
#include <gort/runtime/mem_stats.h>
#include <gort/runtime/runtime.h>
#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/exact_run.h>
#include <gort/tools/gortstat/progress.h>
#include <gort/tools/gortstat/text.h>

namespace gort::tool {
namespace {

using Kind = TraceOperation::Kind;
constexpr std::size_t kMaxWritten = std::size_t{64} << 20;  // bytes

using TraceMap = Map<String, Ref<std::byte>>;

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

class Replay {
 public:
  Replay(const MapTrace& trace, Report& report) : trace_(trace), report_(report) {}

  void run() {
    Progress progress("replaying", trace_.operations.size());
    for (std::size_t i = 0; i < trace_.operations.size(); ++i) {
      progress.update(i);
      play(trace_.operations[i]);
    }
    report_.operations = counts_;
    finish();
  }

 private:
  void play(const TraceOperation& operation) {
    try {
      if (!made_ && uses_map(operation.kind)) make_implicit();
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
          take_step(StepKind::mark, operation.text, operation.line);
          break;
      }
    } catch (const std::bad_alloc&) {
      throw InputError(trace_.path, operation.line, out_of_memory(operation));
    }
  }

  static std::string out_of_memory(const TraceOperation& operation) {
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

  static bool uses_map(Kind kind) {
    return kind != Kind::make && kind != Kind::mark && kind != Kind::gc && kind != Kind::release;
  }

  void make_implicit() {
    map_ = make_map<String, Ref<std::byte>>();
    made_ = true;
    changed();
  }

  void make(std::uint64_t hint) {
    ++counts_.make;
    map_ = make_map<String, Ref<std::byte>>(hint);
    made_ = true;
    removed();  // the map before, if there was one
  }

  void set(const TraceOperation& operation) {
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

  // A program writes the values it makes: memory that is never written is not resident. Without a
  // bound, a slip of the pen in a trace would take all memory of the machine.
  static std::byte* make_value(std::size_t bytes) {
    auto* const value = make_array<std::byte>(bytes);
    if (bytes <= kMaxWritten) std::memset(value, 1, bytes);
    return value;
  }

  void del(const TraceOperation& operation) {
    ++counts_.del;
    if (!map_->erase(key_bytes(operation.text, buffer_))) return;
    ++counts_.deleted;
    removed();
  }

  void get(const TraceOperation& operation) {
    ++counts_.get;
    if (map_->contains(key_bytes(operation.text, buffer_))) ++counts_.found;
  }

  void clear() {
    ++counts_.clear;
    counts_.cleared += map_->size();
    map_->clear();
    removed();
  }

  void drop() {
    ++counts_.drop;
    map_ = TraceMap();
    removed();
  }

  void gc() {
    ++counts_.gc;
    collect();
    collected_ = true;
    released_ = false;  // what was found dead may have emptied pages
  }

  void release() {
    ++counts_.release;
    release_os_memory();
    collected_ = true;
    released_ = true;
  }

  void changed() {
    collected_ = false;
    released_ = false;
  }
  void removed() {
    changed();
    removal_cycle_ = counters.cycles.load_relaxed();
  }
  bool removal_uncollected() const { return removal_cycle_ == counters.cycles.load_relaxed(); }

  void finish() {
    if (report_.steps.empty() || counts_ != counts_at_step_) {
      take_step(StepKind::end_of_trace, "end of trace");
    }
    if (map_.get() != nullptr) {
      if (!collected_) {
        gc();
        take_step(StepKind::collect, "gc");
      }
      drop();
      take_step(StepKind::drop, "drop");
    }
    if (!collected_) {
      gc();
      take_step(StepKind::collect, "gc after drop");
    }
    if (!released_) {
      release();
      take_step(StepKind::release, "release");
    }
  }

  // A step without a line is none of the trace's.
  void take_step(StepKind kind, std::string_view label, std::size_t line = 0) {
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
    step.removal_uncollected = removal_uncollected();
    step.rss = os::resident_bytes();  // before the walk over the heap, which takes memory itself
    step.ledger = ledger();
    step.memstats = mem_stats();
    if (map_.get() != nullptr) step.map = inspect(map_.get());
    if (const std::optional<std::string> broken = broken_identity(step.ledger)) {
      throw Failure(fmt::format("the ledger at step \"{}\" does not add up: {}",
                                printable(step.label), *broken));
    }
    report_.steps.push_back(std::move(step));
    counts_at_step_ = counts_;
    cycles_at_step_ = cycles;
    forced_at_step_ = forced;
    given_back_at_step_ = given_back;
  }

  const MapTrace& trace_;
  Report& report_;
  std::string buffer_;

  Root<TraceMap> map_;
  bool made_ = false;  // the map variable has had a map
  Root<std::byte> value_;
  Root<const char> key_;

  OperationCounts counts_;
  OperationCounts counts_at_step_;
  std::uint64_t cycles_at_step_ = counters.cycles.load_relaxed();
  std::uint64_t forced_at_step_ = counters.forced_cycles.load_relaxed();
  std::uint64_t given_back_at_step_ = counters.scavenged_bytes.load_relaxed();
  std::uint64_t removal_cycle_ = ~std::uint64_t{0};  // cycles finished at the last removal
  // What the trace (or its ending) has asked for since the map last changed.
  bool collected_ = true;
  bool released_ = true;
};

}  // namespace

Report replay_map_trace(const MapTrace& trace) {
  Report report;
  report.version = GORT_VERSION;
  report.trace = trace.path;
  report.map_type = "map[string]*object";
  report.rss_before = os::resident_bytes();
  const ExactRun run;
  report.gc_percent = run.options().gc_percent;
  Replay(trace, report).run();
  return report;
}

}  // namespace gort::tool
