#include <gort/tools/gortstat/map_trace.h>

#include <algorithm>
#include <limits>
#include <optional>

#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/input.h>
#include <gort/tools/gortstat/text.h>

namespace gort::tool {
namespace {

using Kind = TraceOperation::Kind;

constexpr bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r';
}

std::string_view without_leading_space(std::string_view text) {
  const auto* end = text.data() + text.size();
  const auto* first = std::find_if_not(text.data(), end, is_space);
  return {first, static_cast<std::size_t>(end - first)};
}

// One line, taken apart from the left.
class LineParser {
 public:
  LineParser(const std::string& path, std::size_t number, std::string_view line)
      : path_(path), number_(number), rest_(without_leading_space(line)) {}

  bool is_blank_or_comment() const { return at_end(); }

  std::optional<std::string_view> word() {
    if (rest_.empty()) return std::nullopt;
    const auto* end = std::find_if(rest_.data(), rest_.data() + rest_.size(), is_space);
    const std::string_view result(rest_.data(), static_cast<std::size_t>(end - rest_.data()));
    rest_ = without_leading_space(rest_.substr(result.size()));
    return result;
  }

  std::string_view required_word(std::string_view operation, std::string_view field) {
    const std::optional<std::string_view> result = word();
    if (!result) fail(fmt::format("{}: {} is missing", operation, field));
    return *result;
  }

  std::uint64_t number(std::string_view operation, std::string_view field, std::uint64_t max) {
    if (at_end()) fail(fmt::format("{}: {} is missing", operation, field));
    const std::string_view text = *word();
    const ParsedNumber parsed = parse_unsigned(text, max);
    if (parsed.state == NumberState::not_a_number) {
      fail(fmt::format("{}: {} must be a whole number, not {}", operation, field, in_quotes(text)));
    }
    if (parsed.state == NumberState::too_large) {
      fail(fmt::format("{}: {} is too large: {}", operation, field, in_quotes(text)));
    }
    return parsed.value;
  }

  // The rest of the line up to a comment, without space at its end.
  std::string_view label() {
    std::string_view result = rest_.starts_with("# ") || rest_ == "#" ? "" : rest_;
    for (std::size_t at = 1; at < result.size(); ++at) {
      const bool hash = result[at] == '#' && is_space(result[at - 1]);
      if (hash && (at + 1 == result.size() || is_space(result[at + 1])))
        result = result.substr(0, at);
    }
    while (!result.empty() && is_space(result.back())) result.remove_suffix(1);
    if (result.empty()) fail("mark: LABEL is missing");
    return result;
  }

  bool at_end() const { return rest_.empty() || rest_.front() == '#'; }

  void expect_end(std::string_view operation) {
    if (!at_end())
      fail(fmt::format("{}: unexpected {} after the last field", operation, in_quotes(*word())));
  }

  [[noreturn]] void fail(std::string_view what) const { throw InputError(path_, number_, what); }

 private:
  const std::string& path_;
  std::size_t number_;
  std::string_view rest_;
};

std::optional<Kind> kind_of(std::string_view name) {
#define GORT_TRACE_MATCH(kind, noun) \
  if (name == #kind) return Kind::kind;
  GORT_TRACE_OPERATIONS(GORT_TRACE_MATCH)
#undef GORT_TRACE_MATCH
  return std::nullopt;
}

TraceOperation parse_operation(LineParser& line) {
  const std::string_view name = *line.word();
  const std::optional<Kind> kind = kind_of(name);
  if (!kind) {
    line.fail(fmt::format(
        "unknown operation {}; known are make, set, del, get, clear, drop, gc, release, mark",
        in_quotes(name)));
  }
  TraceOperation result;
  result.kind = *kind;
  switch (*kind) {
    case Kind::make:
      // Go's hint is an int.
      result.number = line.number(name, "HINT", std::numeric_limits<std::int64_t>::max());
      break;
    case Kind::set:
      result.text = line.required_word(name, "KEY");
      if (!line.at_end()) {
        result.number = line.number(name, "BYTES", std::numeric_limits<std::size_t>::max());
      }
      break;
    case Kind::del:
    case Kind::get:
      result.text = line.required_word(name, "KEY");
      break;
    case Kind::mark:
      result.text = line.label();
      return result;
    case Kind::clear:
    case Kind::drop:
    case Kind::gc:
    case Kind::release:
      break;
  }
  line.expect_end(name);
  return result;
}

}  // namespace

void parse_map_trace(std::string path, std::string text, MapTrace& trace) {
  trace.path = std::move(path);
  trace.text = std::move(text);
  trace.operations.clear();
  std::size_t dropped_at = 0;  // line; 0: the map is not nil
  LineReader lines(trace.text);
  while (const std::optional<std::string_view> line = lines.next()) {
    LineParser parser(trace.path, lines.number(), *line);
    if (parser.is_blank_or_comment()) continue;
    TraceOperation operation = parse_operation(parser);
    operation.line = lines.number();
    if (operation.kind == Kind::drop) dropped_at = operation.line;
    if (operation.kind == Kind::make) dropped_at = 0;
    if (operation.kind == Kind::set && dropped_at != 0) {
      parser.fail(fmt::format("set: the map is nil since the drop in line {}; `make` one first",
                              dropped_at));
    }
    trace.operations.push_back(operation);
  }
  if (trace.operations.empty()) throw InputError(trace.path, 0, "no operation in this trace");
}

}  // namespace gort::tool
