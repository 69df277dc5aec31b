#include <gort/tools/gortstat/golden_trace.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <gort/tools/gortstat/text.h>

namespace gort::tool {
namespace {

std::string bucket_name(std::string_view array, std::size_t index, std::size_t overflow) {
  return overflow == 0 ? fmt::format("{} {}", array, index)
                       : fmt::format("{} {}, overflow {}", array, index, overflow);
}

void compare_buckets(const std::string& name, const GoldenBucket& e, const GoldenBucket& g,
                     std::vector<Difference>& out) {
  if (e.tophash != g.tophash) {
    out.push_back({name + ": tophash", fmt::format("{:02x}", fmt::join(e.tophash, "")),
                   fmt::format("{:02x}", fmt::join(g.tophash, ""))});
  }
  if (e.keys != g.keys) out.push_back({name + ": keys", keys_text(e.keys), keys_text(g.keys)});
  if (e.data.empty()) return;
  if (e.data != g.data) out.push_back({name + ": data", printable(e.data), g.data});
  if (e.was != g.was) {
    out.push_back({name + ": keys in cells not live", keys_text(e.was), keys_text(g.was)});
  }
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
      compare_buckets(bucket_name(array, i, j), e, g, out);
    }
  }
}

void compare_extras(const GoldenExtra& expected, const GoldenExtra& got,
                    std::vector<Difference>& out) {
  const auto list = [&out](std::string_view what, const std::optional<GoldenList>& e,
                           const std::optional<GoldenList>& g) {
    const auto text = [](const std::optional<GoldenList>& l) {
      return l ? fmt::format("{} of {}", l->length, l->capacity) : "none";
    };
    if (e != g) out.push_back({std::string(what), text(e), text(g)});
  };
  list("list of overflow buckets", expected.overflow, got.overflow);
  list("list of old overflow buckets", expected.old_overflow, got.old_overflow);
  if (expected.spares != got.spares) {
    out.push_back(
        {"spare buckets", fmt::format("{}", expected.spares), fmt::format("{}", got.spares)});
  }
}

}  // namespace

std::string keys_text(const std::vector<std::string>& keys) {
  return fmt::format("[{}]", printable(fmt::format("{}", fmt::join(keys, " "))));
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
  if (expected.extra) compare_extras(*expected.extra, got.extra.value_or(GoldenExtra{}), out);
  compare_chains("bucket", expected.buckets, got.buckets, out);
  compare_chains("old bucket", expected.old_buckets, got.old_buckets, out);
  return out;
}

}  // namespace gort::tool
