#include <gort/tools/gortstat/golden_trace.h>

#include <charconv>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/input.h>
#include <gort/tools/gortstat/json_input.h>
#include <gort/tools/gortstat/text.h>

namespace gort::tool {
namespace {

using Json = nlohmann::json;
using Kind = GoldenOperation::Kind;

// The newest Go whose maps are made of buckets by default.
constexpr int kLastBucketMapMinor = 23;
// Snapshots list every bucket, so no recording comes near this.
constexpr std::int64_t kMaxLog2Buckets = 32;
// What stands for the hash of a NaN, which is another one each time.
constexpr std::string_view kAnyHash = "any";

class LineObject {
 public:
  LineObject(const std::string& path, std::size_t line, std::string_view text)
      : path_(path), line_(line), object_(parse_json<Json>(path, line, text)) {
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
    if (!is_natural(value, max)) wrong(name, fmt::format("a whole number from 0 to {}", max));
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

  std::uint64_t hash(const char* name) const { return parse_hash(name, string(name)); }

  /// True for the field's being there and true.
  bool flag(const char* name) const {
    if (!has(name)) return false;
    const Json& value = field(name);
    if (!value.is_boolean()) wrong(name, "true or false");
    return value.get<bool>();
  }

  /// Empty if the field is missing.
  std::vector<std::string> strings(const char* name) const {
    std::vector<std::string> result;
    if (has(name) && !read_strings(field(name), result)) wrong(name, "an array of strings");
    return result;
  }

  std::vector<std::pair<std::string, std::uint64_t>> hashes(const char* name) const {
    std::vector<std::pair<std::string, std::uint64_t>> result;
    if (!has(name)) return result;
    const Json& array = field(name);
    if (!array.is_array()) wrong(name, "an array");
    for (const Json& pair : array) {
      if (!pair.is_object() || !pair.contains("k") || !pair["k"].is_string() ||
          !pair.contains("h") || !pair["h"].is_string()) {
        wrong(name, "made of objects with strings \"k\" and \"h\"");
      }
      result.emplace_back(pair["k"].get<std::string>(),
                          parse_hash(name, pair["h"].get<std::string>()));
    }
    return result;
  }

  GoldenExtra extra(const char* name) const {
    GoldenExtra result;
    if (!has(name)) return result;
    const Json& value = field(name);
    if (!value.is_object() || !value.contains("spares") || !is_natural(value["spares"])) {
      wrong(name, "an object with \"spares\", a whole number below 2^63");
    }
    result.spares = value["spares"].get<std::int64_t>();
    const auto list = [&](const char* which) -> std::optional<GoldenList> {
      if (!value.contains(which)) return std::nullopt;
      const Json& pair = value[which];
      if (!pair.is_array() || pair.size() != 2 || !is_natural(pair[0]) || !is_natural(pair[1])) {
        wrong(name, "made of lists of two whole numbers below 2^63, length and capacity");
      }
      return GoldenList{pair[0].get<std::int64_t>(), pair[1].get<std::int64_t>()};
    };
    result.overflow = list("overflow");
    result.old_overflow = list("oldoverflow");
    return result;
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
  std::uint64_t parse_hash(const char* name, const std::string& text) const {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
      wrong(name, fmt::format("a hash of 64 bits in hexadecimal, not {}", in_quotes(text)));
    }
    return value;
  }

  static bool is_natural(const Json& value,
                         std::int64_t max = std::numeric_limits<std::int64_t>::max()) {
    return value.is_number_unsigned() &&
           value.get<std::uint64_t>() <= static_cast<std::uint64_t>(max);
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
    if (!keys.is_null() && !read_strings(keys, result.keys)) {
      wrong(name, "made of buckets whose \"keys\" are strings");
    }
    if (bucket.contains("was") && !read_strings(bucket["was"], result.was)) {
      wrong(name, "made of buckets whose \"was\" are strings");
    }
    if (bucket.contains("data")) {
      if (!bucket["data"].is_string()) wrong(name, "made of buckets whose \"data\" is a string");
      result.data = bucket["data"].get<std::string>();
    }
    return result;
  }

  static bool read_strings(const Json& array, std::vector<std::string>& out) {
    if (!array.is_array()) return false;
    for (const Json& one : array) {
      if (!one.is_string()) return false;
      out.push_back(one.get<std::string>());
    }
    return true;
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
  constexpr std::int64_t kMostBytes = std::int64_t{1} << 56;  // differences must not overflow
  if (result.heap_bytes < -kMostBytes || result.heap_bytes > kMostBytes) {
    line.fail("field \"heap_bytes\": must be within 2^56 of 0");
  }
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
  if (!state.buckets.empty() && !state.buckets[0][0].data.empty()) {
    state.extra = line.extra("extra");
  }
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
    operation.moved = line.hashes("moved");
    if (line.string("h") != kAnyHash) operation.hash = line.hash("h");
  } else if (name == "clear") {
    operation.kind = Kind::clear;
  } else if (name == "drop") {
    operation.kind = Kind::drop;
  } else if (name == "range" || name == "next") {
    operation.kind = name == "range" ? Kind::range : Kind::next;
    const auto count = [&line](const char* field, std::int64_t max) {
      return static_cast<std::uint64_t>(line.natural(field, max));
    };
    operation.pairs = count("n", std::numeric_limits<std::int64_t>::max());
    if (name == "range") {
      operation.start = count("start", std::numeric_limits<std::uint32_t>::max());
      operation.offset = count("offset", 7);
    }
    operation.seen = line.strings("seen");
    operation.end = line.flag("end");
  } else if (name == "leave") {
    operation.kind = Kind::leave;
  } else if (name == "snap") {
    operation.kind = Kind::snap;
    operation.snapshot = trace.snapshots.size();
    trace.snapshots.push_back(parse_snapshot(line));
  } else {
    line.fail(
        fmt::format("unknown operation {}; known are type, make, set, del, clear, drop, "
                    "range, next, leave, snap",
                    in_quotes(name)));
  }
  trace.operations.push_back(std::move(operation));
}

// What no map could do: to be nil and written to. And no loop: to go on before it begins.
void check_order(const std::string& path, const GoldenTrace& trace) {
  bool nil = true;
  bool in_loop = false;
  for (const GoldenOperation& operation : trace.operations) {
    if (operation.kind == Kind::make) nil = false;
    if (operation.kind == Kind::drop) nil = true;
    if (operation.kind == Kind::set && nil) {
      throw InputError(path, operation.line, "set: the map is nil here; a make must come first");
    }
    if (operation.kind == Kind::range) in_loop = true;
    if (operation.kind == Kind::leave) in_loop = false;
    if (operation.kind == Kind::next && !in_loop) {
      throw InputError(path, operation.line, "next: no loop is open; a range must come first");
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

}  // namespace gort::tool
