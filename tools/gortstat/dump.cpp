#include <gort/tools/gortstat/dump.h>

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <gort/base/ledger.h>
#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/json_input.h>
#include <gort/tools/gortstat/json_report.h>
#include <gort/tools/gortstat/text.h>

namespace gort::tool {
namespace {

using Json = nlohmann::ordered_json;

class DumpParser {
 public:
  DumpParser(std::string path, std::string_view text) : text_(text) {
    dump_.path = std::move(path);
  }

  Dump run() {
    const Json root = parse_json<Json>(dump_.path, 1, text_);
    if (!root.is_object() || !root.contains("schema") || !root.contains("steps")) {
      fail("no dump of gortstat: \"schema\" and \"steps\" are missing");
    }
    if (const Whole schema = whole(root, "", "schema"); schema < 1 || schema > kSchema) {
      fail(fmt::format("schema {}: this gortstat reads schemas up to {}", root["schema"].dump(),
                       kSchema));
    }
    if (root.contains("trace")) dump_.trace = string(root, "", "trace");
    add_settings(root);
    const Json& steps = array(root, "steps");
    for (std::size_t i = 0; i < steps.size(); ++i) {
      dump_.steps.push_back(step(steps[i], fmt::format("steps[{}]", i)));
    }
    if (root.contains("remedies")) {
      const Json& remedies = array(root, "remedies");
      for (std::size_t i = 0; i < remedies.size(); ++i) {
        dump_.remedies.push_back(remedy(remedies[i], fmt::format("remedies[{}]", i)));
      }
    }
    return std::move(dump_);
  }

 private:
  [[noreturn]] void fail(std::string_view what) const { throw InputError(dump_.path, 0, what); }

  static std::string name_in(const std::string& where, std::string_view name) {
    return where.empty() ? printable(name) : fmt::format("{}.{}", where, printable(name));
  }

  const Json& field(const Json& in, const std::string& where, const char* name) const {
    if (!in.is_object()) fail(fmt::format("{} must be an object", where));
    const auto found = in.find(name);
    if (found == in.end()) fail(fmt::format("{} is missing", name_in(where, name)));
    return *found;
  }

  std::string string(const Json& in, const std::string& where, const char* name) const {
    const Json& value = field(in, where, name);
    if (!value.is_string()) fail(fmt::format("{} must be a string", name_in(where, name)));
    return value.get<std::string>();
  }

  const Json& array(const Json& in, const char* name) const {
    const Json& value = field(in, "", name);
    if (!value.is_array()) fail(fmt::format("{} must be an array", name));
    return value;
  }

  static std::optional<Whole> whole(const Json& value) {
    if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
    if (value.is_number_unsigned()) return value.get<std::uint64_t>();
    if (value.is_number_integer()) return value.get<std::int64_t>();
    return std::nullopt;
  }

  Whole whole(const Json& in, const std::string& where, const char* name) const {
    const std::optional<Whole> value = whole(field(in, where, name));
    if (!value) fail(fmt::format("{} must be a whole number", name_in(where, name)));
    return *value;
  }

  std::int64_t bytes(const Json& value, const std::string& name) const {
    const std::optional<Whole> number = whole(value);
    if (!number) fail(fmt::format("{} must be a whole number", name));
    constexpr Whole kMax = Whole{1} << 56;
    if (*number < 0 || *number > kMax) {
      fail(fmt::format("{} must be a number of bytes, at most 2^56", name));
    }
    return static_cast<std::int64_t>(*number);
  }
  std::int64_t bytes(const Json& in, const std::string& where, const char* name) const {
    return bytes(field(in, where, name), name_in(where, name));
  }

  // The members of an object that are whole numbers; others (fractions, names) are not compared.
  Figures figures(const Json& in, const std::string& where, bool all_whole) const {
    if (!in.is_object()) fail(fmt::format("{} must be an object", where));
    Figures out;
    for (const auto& [name, value] : in.items()) {
      if (all_whole) {
        out.emplace_back(name, bytes(value, name_in(where, name)));
      } else if (const std::optional<Whole> number = whole(value)) {
        out.emplace_back(name, *number);
      }
    }
    return out;
  }

  DumpStep step(const Json& in, const std::string& where) const {
    DumpStep out;
    out.label = string(in, where, "label");
    const Json& ledger = field(in, where, "ledger");
    const std::string in_ledger = where + ".ledger";
    out.mapped = bytes(ledger, in_ledger, "mapped");
    out.places = figures(field(ledger, in_ledger, "places"), in_ledger + ".places", true);
    out.reasons = figures(field(ledger, in_ledger, "reasons"), in_ledger + ".reasons", true);
    for (const ReasonInfo& reason : kReasons) {  // the file has those that hold bytes
      if (find_figure(out.reasons, reason.name) == nullptr)
        out.reasons.emplace_back(reason.name, 0);
    }
    check_sums(out, in_ledger);
    out.memstats = figures(field(in, where, "memstats"), where + ".memstats", false);
    const Json& map = field(in, where, "map");
    if (!map.is_null()) out.map = figures(map, where + ".map", false);
    out.rss = bytes(in, where, "rss");
    return out;
  }

  void check_sums(const DumpStep& step, const std::string& where) const {
    // Places in any number may be more than 64 bits hold: the sum stops above what mapped can be.
    constexpr Whole kEnough = Whole{1} << 60;
    const auto check = [&](std::string_view what, Whole sum, std::string_view of, Whole wanted) {
      if (sum == wanted) return;
      fail(fmt::format("{} (\"{}\"): {} sum to {}{}, but {} is {}", where, printable(step.label),
                       what, sum == kEnough ? "at least " : "",
                       with_commas(static_cast<std::uint64_t>(sum)), of,
                       with_commas(static_cast<std::uint64_t>(wanted))));
    };
    Whole sum = 0;
    for (const auto& [name, value] : step.places) sum = std::min(sum + value, kEnough);
    check("the places", sum, "mapped", step.mapped);

    // Reasons of a later gortstat may belong to any place, which then has more than we know of.
    const bool all_known = step.reasons.size() == kReasonCount;
    for (const ReasonInfo& of : kReasons) {
      Whole by_reason = 0;
      for (const ReasonInfo& reason : kReasons) {
        if (reason.place == of.place) by_reason += *find_figure(step.reasons, reason.name);
      }
      const Whole* place = find_figure(step.places, place_name(of.place));
      const Whole wanted = place == nullptr ? 0 : *place;
      if (by_reason < wanted && !all_known) continue;
      check(fmt::format("the reasons of {}", place_name(of.place)), by_reason, "the place", wanted);
    }
  }

  void add_settings(const Json& root) {
    for (const char* key : {"gortstat", "map_type"}) {
      if (root.contains(key)) dump_.settings.emplace_back(key, string(root, "", key));
    }
    if (root.contains("gc_percent")) {
      const bool off = whole(root, "", "gc_percent") < 0;
      dump_.settings.emplace_back("GOGC", off ? "off" : root["gc_percent"].dump());
    }
    if (root.contains("memory_limit")) {
      std::optional<std::uint64_t> limit;
      if (!root["memory_limit"].is_null()) {
        limit = static_cast<std::uint64_t>(whole(root, "", "memory_limit"));
      }
      dump_.settings.emplace_back("GOMEMLIMIT", memory_limit_text(limit));
    }
    if (root.contains("seed")) {
      (void)whole(root, "", "seed");
      dump_.settings.emplace_back("seed", root["seed"].dump());
    }
  }

  DumpRemedy remedy(const Json& in, const std::string& where) const {
    return {string(in, where, "remedy"), figures(in, where, false)};
  }

  std::string_view text_;
  Dump dump_;
};

}  // namespace

const Whole* find_figure(const Figures& figures, std::string_view name) {
  const auto found = std::find_if(figures.begin(), figures.end(),
                                  [&](const auto& figure) { return figure.first == name; });
  return found == figures.end() ? nullptr : &found->second;
}

Dump parse_dump(std::string path, std::string_view text) {
  return DumpParser(std::move(path), text).run();
}

}  // namespace gort::tool
