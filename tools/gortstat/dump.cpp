#include <gort/tools/gortstat/dump.h>

#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/json_input.h>
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
    if (const std::int64_t schema = whole(root, "", "schema"); schema != 1) {
      fail(fmt::format("schema {}: this gortstat reads schema 1", schema));
    }
    if (root.contains("trace")) dump_.trace = string(root, "", "trace");
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

  static std::optional<std::int64_t> whole(const Json& value) {
    if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
    if (!value.is_number_integer()) return std::nullopt;
    constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (value.is_number_unsigned() && value.get<std::uint64_t>() > kMax) return std::nullopt;
    return value.get<std::int64_t>();
  }

  std::int64_t whole(const Json& in, const std::string& where, const char* name) const {
    const std::optional<std::int64_t> value = whole(field(in, where, name));
    if (!value) fail(fmt::format("{} must be a whole number", name_in(where, name)));
    return *value;
  }

  std::int64_t bytes(const Json& value, const std::string& name) const {
    const std::optional<std::int64_t> number = whole(value);
    if (!number) fail(fmt::format("{} must be a whole number", name));
    constexpr std::int64_t kMax = std::int64_t{1} << 56;
    if (*number < 0 || *number > kMax) {
      fail(fmt::format("{} must be a number of bytes, at most 2^56", name));
    }
    return *number;
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
      } else if (const std::optional<std::int64_t> number = whole(value)) {
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
    out.memstats = figures(field(in, where, "memstats"), where + ".memstats", false);
    const Json& map = field(in, where, "map");
    if (!map.is_null()) out.map = figures(map, where + ".map", false);
    out.rss = bytes(in, where, "rss");
    // Places in any number may be more than 64 bits hold: the sum stops above what mapped can be.
    constexpr std::int64_t kEnough = std::int64_t{1} << 60;
    std::int64_t sum = 0;
    for (const auto& [name, value] : out.places) sum = std::min(sum + value, kEnough);
    if (sum != out.mapped) {
      fail(fmt::format("{} (\"{}\"): the places sum to {}{}, but mapped is {}", in_ledger,
                       printable(out.label), sum == kEnough ? "at least " : "",
                       with_commas(static_cast<std::uint64_t>(sum)),
                       with_commas(static_cast<std::uint64_t>(out.mapped))));
    }
    return out;
  }

  DumpRemedy remedy(const Json& in, const std::string& where) const {
    return {string(in, where, "remedy"), figures(in, where, false)};
  }

  std::string_view text_;
  Dump dump_;
};

}  // namespace

const std::int64_t* find_figure(const Figures& figures, std::string_view name) {
  const auto found = std::find_if(figures.begin(), figures.end(),
                                  [&](const auto& figure) { return figure.first == name; });
  return found == figures.end() ? nullptr : &found->second;
}

Dump parse_dump(std::string path, std::string_view text) {
  return DumpParser(std::move(path), text).run();
}

}  // namespace gort::tool
