#include <catch2/catch.hpp>

#include <gort/tools/gortstat/error.h>
#include <gort/tools/gortstat/golden_trace.h>

using namespace gort::tool;
using Kind = GoldenOperation::Kind;

namespace {

const std::string kType =
    R"({"op":"type","type":"map[int64]int64","go":"go1.19.8","keysize":8,"elemsize":8,"bucketsize":144})"
    "\n";
const std::string kMake = R"({"op":"make","hint":0})"
                          "\n";
const std::string kNilSnap = R"({"op":"snap","heap_bytes":0})"
                             "\n";

std::string error_of(const std::string& text) {
  try {
    (void)parse_golden_trace("g.jsonl", text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

bool begins(const std::string& text, std::string_view with) { return text.rfind(with, 0) == 0; }

GoldenState one_bucket() {
  GoldenState state;
  state.nil = false;
  state.count = 2;
  state.buckets = {{{{0x89, 0x05, 0, 0, 0, 0, 0, 0}, {"7", "9"}, {}, ""}}};
  return state;
}

// The same, with everything that newer recordings have.
GoldenState detailed_bucket() {
  GoldenState state = one_bucket();
  state.extra = GoldenExtra{GoldenList{1, 2}, std::nullopt, 3};
  state.buckets[0][0].data = "0703";
  state.buckets[0][0].was = {"5"};
  return state;
}

}  // namespace

TEST_CASE("a golden trace is read field by field", "[tool][golden_trace]") {
  const GoldenTrace t = parse_golden_trace(
      "g.jsonl",
      kType +
          R"({"op":"make","hint":9})"
          "\n"
          R"({"op":"set","k":"-7","h":"6e0942f114222b6"})"
          "\n"
          R"({"op":"del","k":"8","h":"ffffffffffffffff"})"
          "\n"
          R"({"op":"clear"})"
          "\n"
          R"({"op":"snap","count":1,"flags":8,"B":1,"noverflow":2,"nevacuate":3,"heap_bytes":-16,)"
          R"("buckets":[[{"top":"8900000000000001","keys":["-7"]},{"top":"0000000000000000","keys":null}],)"
          R"([{"top":"0000000000000000","keys":[]}]],"oldbuckets":[[{"top":"0203040000000000","keys":null}]]})"
          "\n"
          R"({"op":"drop"})"
          "\n" +
          kNilSnap);
  CHECK(t.type == "map[int64]int64");
  CHECK(t.go_major == 1);
  CHECK(t.go_minor == 19);
  CHECK(t.key_size == 8);
  CHECK(t.elem_size == 8);
  CHECK(t.bucket_size == 144);
  REQUIRE(t.operations.size() == 7);
  CHECK(t.operations[0].kind == Kind::make);
  CHECK(t.operations[0].hint == 9);
  CHECK(t.operations[1].kind == Kind::set);
  CHECK(t.operations[1].key == "-7");
  CHECK(t.operations[1].hash == 0x6e0942f114222b6);
  CHECK(t.operations[1].line == 3);
  CHECK(t.operations[2].kind == Kind::del);
  CHECK(t.operations[2].hash == 0xffffffffffffffff);
  CHECK(t.operations[3].kind == Kind::clear);
  CHECK(t.operations[5].kind == Kind::drop);
  CHECK(t.operations[6].snapshot == 1);

  REQUIRE(t.snapshots.size() == 2);
  CHECK(t.snapshots[0].heap_bytes == -16);
  const GoldenState& s = t.snapshots[0].state;
  CHECK_FALSE(s.nil);
  CHECK(s.count == 1);
  CHECK(s.flags == 8);
  CHECK(s.log2_buckets == 1);
  CHECK(s.noverflow == 2);
  CHECK(s.nevacuate == 3);
  REQUIRE(s.buckets.size() == 2);
  REQUIRE(s.buckets[0].size() == 2);
  CHECK(s.buckets[0][0].tophash == std::array<std::uint8_t, 8>{0x89, 0, 0, 0, 0, 0, 0, 1});
  CHECK(s.buckets[0][0].keys == std::vector<std::string>{"-7"});
  CHECK(s.buckets[0][1].keys.empty());
  REQUIRE(s.old_buckets.size() == 1);
  CHECK(s.old_buckets[0][0].tophash[2] == 4);
  CHECK(t.snapshots[1].state.nil);
}

TEST_CASE("loops, NaN keys and what is left of old cells are read", "[tool][golden_trace]") {
  const GoldenTrace t = parse_golden_trace(
      "g.jsonl",
      kType + kMake +
          R"({"op":"set","k":"7ff8000000000001","h":"any","moved":[{"k":"7ff8000000000001","h":"a1"}]})"
          "\n"
          R"({"op":"range","n":2,"start":3,"offset":7,"seen":["4","5"]})"
          "\n"
          R"({"op":"next","n":0,"end":true})"
          "\n"
          R"({"op":"leave"})"
          "\n"
          R"({"op":"snap","count":1,"flags":3,"B":0,"noverflow":0,"nevacuate":0,"heap_bytes":0,)"
          R"("extra":{"overflow":[1,4],"spares":2},)"
          R"("buckets":[[{"top":"8900000000000000","keys":["1"],"was":["2","3"],"data":"0701"}]]})"
          "\n"
          R"({"op":"snap","count":1,"flags":3,"B":0,"noverflow":0,"nevacuate":0,"heap_bytes":0,)"
          R"("buckets":[[{"top":"8900000000000000","keys":["1"],"data":"0701"}]]})"
          "\n");
  using Moved = std::vector<std::pair<std::string, std::uint64_t>>;
  CHECK(t.operations[1].hash == 0);
  CHECK(t.operations[1].moved == Moved{{"7ff8000000000001", 0xa1}});
  CHECK(t.operations[2].kind == Kind::range);
  CHECK(t.operations[2].pairs == 2);
  CHECK(t.operations[2].start == 3);
  CHECK(t.operations[2].offset == 7);
  CHECK(t.operations[2].seen == std::vector<std::string>{"4", "5"});
  CHECK_FALSE(t.operations[2].end);
  CHECK(t.operations[3].kind == Kind::next);
  CHECK(t.operations[3].pairs == 0);
  CHECK(t.operations[3].seen.empty());
  CHECK(t.operations[3].end);
  CHECK(t.operations[4].kind == Kind::leave);
  const GoldenState& s = t.snapshots[0].state;
  REQUIRE(s.extra.has_value());
  CHECK(s.extra->overflow == GoldenList{1, 4});
  CHECK_FALSE(s.extra->old_overflow.has_value());
  CHECK(s.extra->spares == 2);
  CHECK(s.buckets[0][0].was == std::vector<std::string>{"2", "3"});
  CHECK(s.buckets[0][0].data == "0701");
  // A recording with data that says nothing of an extra means that there is none.
  REQUIRE(t.snapshots[1].state.extra.has_value());
  CHECK_FALSE(t.snapshots[1].state.extra->overflow.has_value());
}

TEST_CASE("a set type has no elemsize", "[tool][golden_trace]") {
  const GoldenTrace t = parse_golden_trace(
      "g.jsonl",
      R"({"op":"type","type":"map[int32]struct{}","go":"go1.23","keysize":4,"bucketsize":48})"
      "\r\n" +
          kNilSnap);
  CHECK(t.elem_size == 0);
  CHECK(t.go_minor == 23);
}

TEST_CASE("a truncated golden line is an error with its line", "[tool][golden_trace]") {
  CHECK(
      begins(error_of(kType + kMake + R"({"op":"set","k":"1","h")"), "g.jsonl:3: no JSON: byte "));
  CHECK(error_of(kType + "1e999\n") == "g.jsonl:2: no JSON: number overflow parsing '1e999'");
  CHECK(error_of(kType + "[1]\n") == "g.jsonl:2: a line must be a JSON object");
}

TEST_CASE("the type line comes first, and once", "[tool][golden_trace]") {
  CHECK(error_of(kMake + kType) == "g.jsonl:1: the first line must be the type line");
  CHECK(error_of(kType + kType) == "g.jsonl:2: type: a second type line");
  CHECK(error_of("\n\n") == "g.jsonl: no type line");
  CHECK(error_of(kType + kMake) == "g.jsonl: no snapshot in this trace");
}

TEST_CASE("missing and wrong golden fields are errors with their line", "[tool][golden_trace]") {
  const auto line = [](const std::string& text) { return error_of(kType + text + "\n"); };
  CHECK(line(R"({"hint":0})") == "g.jsonl:2: line: field \"op\" is missing");
  CHECK(line(R"({"op":7})") == "g.jsonl:2: line: field \"op\" must be a string");
  CHECK(begins(line(R"({"op":"put"})"), "g.jsonl:2: unknown operation \"put\""));
  CHECK(line(R"({"op":"make"})") == "g.jsonl:2: make: field \"hint\" is missing");
  CHECK(begins(line(R"({"op":"make","hint":-1})"),
               "g.jsonl:2: make: field \"hint\" must be a whole number from 0"));
  CHECK(line(R"({"op":"set","h":"1"})") == "g.jsonl:2: set: field \"k\" is missing");
  CHECK(line(R"({"op":"set","k":1,"h":"1"})") == "g.jsonl:2: set: field \"k\" must be a string");
  CHECK(line(R"({"op":"set","k":"1","h":"xyz"})") ==
        "g.jsonl:2: set: field \"h\" must be a hash of 64 bits in hexadecimal, not \"xyz\"");
  CHECK(begins(line(R"({"op":"del","k":"1","h":"10000000000000000"})"),
               "g.jsonl:2: del: field \"h\""));
  CHECK(line(R"({"op":"set","k":"1","h":"1","moved":[{"k":"2"}]})") ==
        "g.jsonl:2: set: field \"moved\" must be made of objects with strings \"k\" and \"h\"");
  CHECK(line(R"({"op":"range","n":1,"offset":0})") ==
        "g.jsonl:2: range: field \"start\" is missing");
  CHECK(line(R"({"op":"range","n":1,"start":0,"offset":8})") ==
        "g.jsonl:2: range: field \"offset\" must be a whole number from 0 to 7");
  CHECK(line(R"({"op":"next","n":1,"seen":[7]})") ==
        "g.jsonl:2: next: field \"seen\" must be an array of strings");
  CHECK(line(R"({"op":"next","n":1,"end":1})") ==
        "g.jsonl:2: next: field \"end\" must be true or false");
  CHECK(line(R"({"op":"snap"})") == "g.jsonl:2: snap: field \"heap_bytes\" is missing");
  CHECK(line(R"({"op":"snap","heap_bytes":-9223372036854775808})") ==
        "g.jsonl:2: field \"heap_bytes\": must be within 2^56 of 0");
  CHECK(line(R"({"op":"snap","heap_bytes":0,"count":1})") ==
        "g.jsonl:2: snap: field \"flags\" is missing");
  CHECK(begins(line(R"({"op":"snap","heap_bytes":0,"count":0,"flags":256})"),
               "g.jsonl:2: snap: field \"flags\" must be a whole number from 0 to 255"));
}

TEST_CASE("bucket dumps must have the recorder's shape", "[tool][golden_trace]") {
  const auto snap = [](const std::string& buckets) {
    return error_of(
        kType +
        R"({"op":"snap","count":1,"flags":0,"B":0,"noverflow":0,"nevacuate":0,"heap_bytes":0,)"
        R"("buckets":)" +
        buckets + "}\n");
  };
  CHECK(snap(R"([[{"top":"8900000000000000","keys":["1"]}]])") == "no error");
  CHECK(begins(snap("3"), "g.jsonl:2: snap: field \"buckets\" must be an array"));
  CHECK(begins(snap("[[]]"), "g.jsonl:2: snap: field \"buckets\" must be an array"));
  CHECK(begins(snap(R"([[{"top":"89","keys":["1"]}]])"), "g.jsonl:2: snap: field \"buckets\""));
  CHECK(begins(snap(R"([[{"top":"89zz000000000000","keys":[]}]])"), "g.jsonl:2: snap: field"));
  CHECK(begins(snap(R"([[{"top":"8900000000000000","keys":[1]}]])"), "g.jsonl:2: snap: field"));
  CHECK(begins(snap(R"([[{"top":"8900000000000000"}]])"), "g.jsonl:2: snap: field \"buckets\""));
  CHECK(
      snap(R"([[{"top":"8900000000000000","keys":[]}],[{"top":"8900000000000000","keys":[]}]])") ==
      "g.jsonl:2: snap: 2 bucket chains, but B = 0");
}

TEST_CASE("what is in an extra must fit", "[tool][golden_trace]") {
  const auto extra = [](const std::string& text) {
    return error_of(
        kType +
        R"({"op":"snap","count":1,"flags":0,"B":0,"noverflow":0,"nevacuate":0,"heap_bytes":0,)"
        R"("buckets":[[{"top":"8900000000000000","keys":["1"],"data":"0701"}]],"extra":)" +
        text + "}\n");
  };
  CHECK(extra(R"({"spares":9223372036854775807})") == "no error");
  CHECK(begins(extra(R"({"spares":9223372036854775808})"),
               "g.jsonl:2: snap: field \"extra\" must be an object with \"spares\", a whole number "
               "below 2^63"));
  CHECK(
      begins(extra(R"({"spares":0,"overflow":[1,18446744073709551615]})"),
             "g.jsonl:2: snap: field \"extra\" must be made of lists of two whole numbers below"));
}

TEST_CASE("only recordings of bucket maps are accepted", "[tool][golden_trace]") {
  const auto go = [](const std::string& version) {
    return error_of(R"({"op":"type","type":"map[int64]int64","go":")" + version +
                    R"(","keysize":8,"elemsize":8,"bucketsize":144})"
                    "\n" +
                    kNilSnap);
  };
  CHECK(go("go1.23.4") == "no error");
  CHECK(go("go1.24") ==
        "g.jsonl:1: type: go1.24: since Go 1.24 maps are no longer made of buckets");
  CHECK(begins(go("devel +abc"), "g.jsonl:1: type: field \"go\" must be a release"));
  CHECK(begins(go("go1"), "g.jsonl:1: type: field \"go\" must be a release"));
  CHECK(begins(go("go2.0"), "g.jsonl:1: type: field \"go\" must be a release"));
}

TEST_CASE("a set before any make is an error", "[tool][golden_trace]") {
  CHECK(error_of(kType +
                 R"({"op":"set","k":"1","h":"1"})"
                 "\n" +
                 kNilSnap) == "g.jsonl:2: set: the map is nil here; a make must come first");
}

TEST_CASE("a loop that goes on before it begins is an error", "[tool][golden_trace]") {
  const std::string next = R"({"op":"next","n":1})"
                           "\n";
  const std::string range = R"({"op":"range","n":1,"start":0,"offset":0})"
                            "\n";
  CHECK(error_of(kType + kMake + range + next + kNilSnap) == "no error");
  CHECK(error_of(kType + kMake + next + kNilSnap) ==
        "g.jsonl:3: next: no loop is open; a range must come first");
  CHECK(error_of(kType + kMake + range + "{\"op\":\"leave\"}\n" + next + kNilSnap) ==
        "g.jsonl:5: next: no loop is open; a range must come first");
}

TEST_CASE("what a recording has no record of is not compared", "[tool][golden_trace]") {
  CHECK(compare_states(one_bucket(), detailed_bucket()).empty());
}

TEST_CASE("equal states have no differences", "[tool][golden_trace]") {
  CHECK(compare_states(one_bucket(), one_bucket()).empty());
  CHECK(compare_states(detailed_bucket(), detailed_bucket()).empty());
  CHECK(compare_states(GoldenState{}, GoldenState{}).empty());
}

TEST_CASE("every part of a state is compared", "[tool][golden_trace]") {
  const auto difference = [](auto change) {
    GoldenState got = detailed_bucket();
    change(got);
    const std::vector<Difference> all = compare_states(detailed_bucket(), got);
    REQUIRE(all.size() == 1);
    return all[0].what + ": " + all[0].expected + " / " + all[0].got;
  };
  CHECK(difference([](GoldenState& s) { s.nil = true; }) == "map: not nil / nil");
  CHECK(difference([](GoldenState& s) { s.count = 3; }) == "count: 2 / 3");
  CHECK(difference([](GoldenState& s) { s.flags = 3; }) == "flags: 0 / 3");
  CHECK(difference([](GoldenState& s) { s.log2_buckets = 1; }) == "B: 0 / 1");
  CHECK(difference([](GoldenState& s) { s.noverflow = 1; }) == "noverflow: 0 / 1");
  CHECK(difference([](GoldenState& s) { s.nevacuate = 1; }) == "nevacuate: 0 / 1");
  CHECK(difference([](GoldenState& s) { s.buckets[0][0].tophash[7] = 1; }) ==
        "bucket 0: tophash: 8905000000000000 / 8905000000000001");
  CHECK(difference([](GoldenState& s) {
          s.buckets[0][0].keys = {"9", "7"};
        }) == "bucket 0: keys: [7 9] / [9 7]");
  CHECK(difference([](GoldenState& s) { s.buckets[0].emplace_back(); }) ==
        "bucket 0: length of the chain: 1 / 2");
  CHECK(difference([](GoldenState& s) { s.buckets.clear(); }) == "number of buckets: 1 / 0");
  CHECK(difference([](GoldenState& s) { s.old_buckets.resize(1); }) ==
        "number of old buckets: 0 / 1");
  CHECK(difference([](GoldenState& s) { s.buckets[0][0].data = "0700"; }) ==
        "bucket 0: data: 0703 / 0700");
  CHECK(difference([](GoldenState& s) { s.buckets[0][0].was.clear(); }) ==
        "bucket 0: keys in cells not live: [5] / []");
  CHECK(difference([](GoldenState& s) { s.extra->overflow.reset(); }) ==
        "list of overflow buckets: 1 of 2 / none");
  CHECK(difference([](GoldenState& s) {
          s.extra->old_overflow = {4, 4};
        }) == "list of old overflow buckets: none / 4 of 4");
  CHECK(difference([](GoldenState& s) { s.extra->spares = 0; }) == "spare buckets: 3 / 0");
}
