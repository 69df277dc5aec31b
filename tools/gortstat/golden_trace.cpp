#include <gort/tools/gortstat/golden_trace.h>

#include <charconv>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/input.h>
#include <gort/tools/gortstat/text.h>

namespace gort::tool {
namespace {

using Json = nlohmann::json;
using Kind = GoldenOperation::Kind;

// The newest Go whose maps are made of buckets by default.
constexpr int kLastBucketMapMinor = 23;
// Snapshots list every bucket, so no recording comes near this.
constexpr std::int64_t kMaxLog2Buckets = 32;

class LineObject {
 public:
  LineObject(const std::string& path, std::size_t line, std::string_view text)
      : path_(path), line_(line) {
    try {
      object_ = Json::parse(text);
    } catch (const Json::parse_error& error) {
      fail(fmt::format("no JSON: byte {}: {}", error.byte, reason(error.what())));
    }
    if (!object_.is_object()) fail("a line must be a JSON object");
    operation_ = string("op");
  }

  const std::string& operation() const { return operation_; }
  bool has(const char* name) const { return object_.contains(name); }

  std::string string(const char* name) const {
    const Json& value = field(name);
    if (!value.is_string()) wrong(name, "a string");
    return value.get<std::string>();
  }

  std::int64_t natural(const char* name, std::int64_t max) const {
    const Json& value = field(name);
    if (!value.is_number_unsigned() ||
        value.get<std::uint64_t>() > static_cast<std::uint64_t>(max)) {
      wrong(name, fmt::format("a whole number from 0 to {}", max));
    }
    return value.get<std::int64_t>();
  }

  std::int64_t integer(const char* name) const {
    const Json& value = field(name);
    const bool too_large = value.is_number_unsigned() &&
                           value.get<std::uint64_t>() >
                               static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (!value.is_number_integer() || too_large) wrong(name, "a whole number of 64 bits");
    return value.get<std::int64_t>();
  }

  std::uint64_t hash(const char* name) const {
    const std::string text = string(name);
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
      wrong(name, fmt::format("a hash of 64 bits in hexadecimal, not {}", in_quotes(text)));
    }
    return value;
  }

  std::vector<GoldenChain> chains(const char* name) const {
    std::vector<GoldenChain> result;
    const Json& array = field(name);
    if (!array.is_array()) wrong(name, "an array of bucket chains");
    for (const Json& chain : array) {
      if (!chain.is_array() || chain.empty()) wrong(name, "an array of bucket chains");
      GoldenChain& out = result.emplace_back();
      for (const Json& bucket : chain) out.push_back(parse_bucket(name, bucket));
    }
    return result;
  }

  [[noreturn]] void fail(std::string_view what) const { throw InputError(path_, line_, what); }

 private:
  // nlohmann prefixes what happened with "[json.exception...] parse error at line 1, column 9: ".
  static std::string reason(std::string_view what) {
    const std::size_t colon = what.find(": ");
    return printable(colon == std::string_view::npos ? what : what.substr(colon + 2));
  }

  const Json& field(const char* name) const {
    const auto found = object_.find(name);
    if (found == object_.end()) fail(fmt::format("{}: field \"{}\" is missing", shown(), name));
    return *found;
  }

  [[noreturn]] void wrong(const char* name, std::string_view wanted) const {
    fail(fmt::format("{}: field \"{}\" must be {}", shown(), name, wanted));
  }

  std::string shown() const { return operation_.empty() ? "line" : printable(operation_); }

  GoldenBucket parse_bucket(const char* name, const Json& bucket) const {
    if (!bucket.is_object() || !bucket.contains("top") || !bucket.contains("keys")) {
      wrong(name, "made of buckets with \"top\" and \"keys\"");
    }
    GoldenBucket result;
    const Json& top = bucket["top"];
    if (!top.is_string() || top.get_ref<const std::string&>().size() != 16) {
      wrong(name, "made of buckets with a \"top\" of 16 hexadecimal digits");
    }
    const auto& digits = top.get_ref<const std::string&>();
    for (std::size_t cell = 0; cell < result.tophash.size(); ++cell) {
      const char* first = digits.data() + 2 * cell;
      const auto [end, error] = std::from_chars(first, first + 2, result.tophash[cell], 16);
      if (error != std::errc() || end != first + 2) {
        wrong(name, "made of buckets with a \"top\" of 16 hexadecimal digits");
      }
    }
    const Json& keys = bucket["keys"];  // null: none
    if (!keys.is_null() && !keys.is_array()) wrong(name, "made of buckets with an array \"keys\"");
    for (const Json& key : keys) {
      if (!key.is_string()) wrong(name, "made of buckets whose \"keys\" are strings");
      result.keys.push_back(key.get<std::string>());
    }
    return result;
  }

  const std::string& path_;
  std::size_t line_;
  Json object_;
  std::string operation_;
};

// "go1.19.8" -> 1, 19.
void parse_go_version(const LineObject& line, GoldenTrace& trace) {
  const std::string text = line.string("go");
  const auto bad = [&]() {
    line.fail(fmt::format("type: field \"go\" must be a release like \"go1.19.8\", not {}",
                          in_quotes(text)));
  };
  if (!text.starts_with("go")) bad();
  const char* end = text.data() + text.size();
  const auto major = std::from_chars(text.data() + 2, end, trace.go_major);
  if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.') bad();
  const auto minor = std::from_chars(major.ptr + 1, end, trace.go_minor);
  if (minor.ec != std::errc() || trace.go_major != 1 || trace.go_minor < 0) bad();
  if (trace.go_minor > kLastBucketMapMinor) {
    line.fail(fmt::format("type: {}: since Go 1.24 maps are no longer made of buckets", text));
  }
}

void parse_type(const LineObject& line, GoldenTrace& trace) {
  trace.type = line.string("type");
  parse_go_version(line, trace);
  trace.key_size = line.natural("keysize", 255);
  // The recorder leaves out a size of 0 (a set: map[K]struct{}).
  trace.elem_size = line.has("elemsize") ? line.natural("elemsize", 255) : 0;
  trace.bucket_size = line.natural("bucketsize", 65535);
}

GoldenSnapshot parse_snapshot(const LineObject& line) {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  GoldenSnapshot result;
  result.heap_bytes = line.integer("heap_bytes");
  GoldenState& state = result.state;
  // A snapshot of a nil map has no header.
  state.nil = !line.has("count") && !line.has("B");
  if (state.nil) return result;
  state.count = line.natural("count", kMax);
  state.flags = line.natural("flags", 255);
  state.log2_buckets = line.natural("B", kMaxLog2Buckets);
  state.noverflow = line.natural("noverflow", 65535);
  state.nevacuate = line.natural("nevacuate", kMax);
  if (line.has("buckets")) {
    state.buckets = line.chains("buckets");
    if (state.buckets.size() != std::size_t{1} << state.log2_buckets) {
      line.fail(fmt::format("snap: {} bucket chains, but B = {}", state.buckets.size(),
                            state.log2_buckets));
    }
  }
  if (line.has("oldbuckets")) state.old_buckets = line.chains("oldbuckets");
  return result;
}

void parse_operation(const LineObject& line, std::size_t number, GoldenTrace& trace) {
  GoldenOperation operation;
  operation.line = number;
  const std::string& name = line.operation();
  if (name == "make") {
    operation.kind = Kind::make;
    operation.hint =
        static_cast<std::uint64_t>(line.natural("hint", std::numeric_limits<std::int64_t>::max()));
  } else if (name == "set" || name == "del") {
    operation.kind = name == "set" ? Kind::set : Kind::del;
    operation.key = line.string("k");
    operation.hash = line.hash("h");
  } else if (name == "clear") {
    operation.kind = Kind::clear;
  } else if (name == "drop") {
    operation.kind = Kind::drop;
  } else if (name == "snap") {
    operation.kind = Kind::snap;
    operation.snapshot = trace.snapshots.size();
    trace.snapshots.push_back(parse_snapshot(line));
  } else {
    line.fail(fmt::format("unknown operation {}; known are type, make, set, del, clear, drop, snap",
                          in_quotes(name)));
  }
  trace.operations.push_back(std::move(operation));
}

// What no map could do: to be nil and written to.
void check_order(const std::string& path, const GoldenTrace& trace) {
  bool nil = true;
  for (const GoldenOperation& operation : trace.operations) {
    if (operation.kind == Kind::make) nil = false;
    if (operation.kind == Kind::drop) nil = true;
    if (operation.kind == Kind::set && nil) {
      throw InputError(path, operation.line, "set: the map is nil here; a make must come first");
    }
  }
}

std::string bucket_name(std::string_view array, std::size_t index, std::size_t overflow) {
  return overflow == 0 ? fmt::format("{} {}", array, index)
                       : fmt::format("{} {}, overflow {}", array, index, overflow);
}

void compare_chains(std::string_view array, const std::vector<GoldenChain>& expected,
                    const std::vector<GoldenChain>& got, std::vector<Difference>& out) {
  if (expected.size() != got.size()) {
    out.push_back({fmt::format("number of {}s", array), with_commas(expected.size()),
                   with_commas(got.size())});
    return;
  }
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (expected[i].size() != got[i].size()) {
      out.push_back({fmt::format("{} {}: length of the chain", array, i),
                     with_commas(expected[i].size()), with_commas(got[i].size())});
      continue;
    }
    for (std::size_t j = 0; j < expected[i].size(); ++j) {
      const GoldenBucket& e = expected[i][j];
      const GoldenBucket& g = got[i][j];
      if (e.tophash != g.tophash) {
        out.push_back({bucket_name(array, i, j) + ": tophash",
                       fmt::format("{:02x}", fmt::join(e.tophash, "")),
                       fmt::format("{:02x}", fmt::join(g.tophash, ""))});
      }
      if (e.keys != g.keys) {
        out.push_back({bucket_name(array, i, j) + ": keys",
                       fmt::format("[{}]", printable(fmt::format("{}", fmt::join(e.keys, " ")))),
                       fmt::format("[{}]", printable(fmt::format("{}", fmt::join(g.keys, " "))))});
      }
    }
  }
}

}  // namespace

GoldenTrace parse_golden_trace(std::string path, std::string_view text) {
  GoldenTrace trace;
  trace.path = std::move(path);
  bool typed = false;
  LineReader lines(text);
  while (const std::optional<std::string_view> line = lines.next()) {
    if (line->find_first_not_of(" \t") == std::string_view::npos) continue;
    const LineObject object(trace.path, lines.number(), *line);
    const bool is_type = object.operation() == "type";
    if (is_type == typed) {
      object.fail(typed ? "type: a second type line" : "the first line must be the type line");
    }
    if (is_type) {
      parse_type(object, trace);
      trace.type_line = lines.number();
      typed = true;
    } else {
      parse_operation(object, lines.number(), trace);
    }
  }
  if (!typed) throw InputError(trace.path, 0, "no type line");
  if (trace.snapshots.empty()) throw InputError(trace.path, 0, "no snapshot in this trace");
  check_order(trace.path, trace);
  return trace;
}

std::vector<Difference> compare_states(const GoldenState& expected, const GoldenState& got) {
  std::vector<Difference> out;
  if (expected.nil != got.nil) {
    out.push_back({"map", expected.nil ? "nil" : "not nil", got.nil ? "nil" : "not nil"});
    return out;
  }
  const auto number = [&out](std::string_view what, std::int64_t e, std::int64_t g) {
    if (e != g) out.push_back({std::string(what), fmt::format("{}", e), fmt::format("{}", g)});
  };
  number("count", expected.count, got.count);
  number("flags", expected.flags, got.flags);
  number("B", expected.log2_buckets, got.log2_buckets);
  number("noverflow", expected.noverflow, got.noverflow);
  number("nevacuate", expected.nevacuate, got.nevacuate);
  compare_chains("bucket", expected.buckets, got.buckets, out);
  compare_chains("old bucket", expected.old_buckets, got.old_buckets, out);
  return out;
}

}  // namespace gort::tool
