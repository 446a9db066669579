// Safetensors: what is written comes back in every type, equal content gives equal bytes, and no header can lie.

#include "d3ad/weights/safetensors.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "support/safetensors_bytes.hpp"
#include "support/temporary_folder.hpp"

namespace safetensors_test {

using namespace d3ad;
using test::contains;

namespace {

std::string refusal_of(const std::string& text) {
  return test::refusal([&] { SafetensorsFile(test::to_bytes(text), "lies.safetensors"); });
}
std::string refusal_of(const std::string& header, std::size_t data) {
  return refusal_of(test::safetensors_text(header, std::string(data, '\0')));
}
std::string entry(const std::string& name, const std::string& type, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + R"(":{"dtype":")" + type + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

}  // namespace

TEST_CASE("every type comes back as float and as integer") {
  const test::TemporaryFolder folder;
  const std::vector<double> f64{1.5, -2.25, 1e300};
  const std::vector<std::int64_t> i64{-3, 1'000'000'007};
  const std::vector<std::int32_t> i32{-7, 70'000};
  const std::vector<std::int16_t> i16{-300, 300};
  const std::vector<std::int8_t> i8{-100, 100};
  const std::vector<std::uint8_t> u8{0, 255}, flags{0, 1, 7};
  const std::vector<float> values{0.0f, 1.0f, -1.0f, 3.14159265f, 65504.0f, 1e-7f};

  SafetensorsWriter writer;
  writer.metadata = {{"kind", "test"}, {"text", "\"quoted\"\n\xc3\xa9"}};
  writer.add("f64", {3}, DType::f64, f64.data());
  writer.add("i64", {2}, DType::i64, i64.data());
  writer.add("i32", {2}, DType::i32, i32.data());
  writer.add("i16", {2}, DType::i16, i16.data());
  writer.add("i8", {2}, DType::i8, i8.data());
  writer.add("u8", {2}, DType::u8, u8.data());
  writer.add("flags", {3}, DType::boolean, flags.data());
  writer.add_floats("f32", {2, 3}, values.data());
  writer.add_floats("f64 of floats", {6}, values, DType::f64);
  writer.add_floats("f16", {6}, values, DType::f16);
  writer.add_floats("bf16", {6}, values, DType::bf16);
  writer.add_ints("ints", {2}, i64);
  writer.add_floats("nothing", {0, 4}, std::vector<float>{});
  writer.add_floats("single", {}, std::vector<float>{42.0f});
  writer.write(folder / "all.safetensors");

  const SafetensorsFile file(folder / "all.safetensors");
  CHECK(file.size() == 14);
  CHECK(file.metadata() == writer.metadata);
  CHECK(file.path() == (folder / "all.safetensors").string());
  CHECK(file.names().front() == "bf16");
  CHECK(file.has("u8"));
  CHECK(!file.has("u9"));
  CHECK(file.dtype("f16") == DType::f16);
  CHECK(file.dims("f32") == std::vector<std::int64_t>{2, 3});
  CHECK(file.dims("single").empty());
  CHECK(file.count("nothing") == 0);
  CHECK(file.bytes("f64").size() == 24);
  CHECK(reinterpret_cast<std::uintptr_t>(file.bytes("f64").data()) % 8 == 0);

  CHECK(file.floats("f64") == std::vector<float>{1.5f, -2.25f, std::numeric_limits<float>::infinity()});
  CHECK(file.floats("f32") == values);
  CHECK(file.floats("f64 of floats") == values);
  CHECK(file.floats("single") == std::vector<float>{42.0f});
  CHECK(file.floats("i8") == std::vector<float>{-100.0f, 100.0f});
  CHECK(file.floats("flags") == std::vector<float>{0.0f, 1.0f, 1.0f});
  CHECK(file.floats("nothing").empty());
  CHECK(file.ints("i64") == i64);
  CHECK(file.ints("ints") == i64);
  CHECK(file.ints("i32") == std::vector<std::int64_t>{-7, 70'000});
  CHECK(file.ints("i16") == std::vector<std::int64_t>{-300, 300});
  CHECK(file.ints("i8") == std::vector<std::int64_t>{-100, 100});
  CHECK(file.ints("u8") == std::vector<std::int64_t>{0, 255});
  CHECK(file.ints("flags") == std::vector<std::int64_t>{0, 1, 1});
  const auto halves = file.floats("f16"), brains = file.floats("bf16");
  for (std::size_t i = 0; i < values.size(); ++i) {
    CHECK(halves[i] == static_cast<float>(half(values[i])));
    CHECK(brains[i] == static_cast<float>(bfloat16(values[i])));
  }
  file.release_pages("f32");
  CHECK(file.floats("f32") == values);

  CHECK(contains(test::refusal([&] { static_cast<void>(file.ints("f32")); }), "tensor 'f32' holds F32"));
  const std::string why = test::refusal([&] { static_cast<void>(file.dims("f23")); });
  CHECK(contains(why, "all.safetensors: there is no tensor 'f23'; the nearest are 'f"));
}

TEST_CASE("all 65536 halves and bfloat16s come through a file") {
  std::string data;
  for (int bits = 0; bits < 65536; ++bits) data += {static_cast<char>(bits & 0xff), static_cast<char>(bits >> 8)};
  for (const char* type : {"F16", "BF16"}) {
    const std::string header = "{" + entry("x", type, "[65536]", "[0,131072]") + "}";
    const SafetensorsFile file(test::to_bytes(test::safetensors_text(header, data)), "x");
    const auto values = file.floats("x");
    int wrong = 0;
    for (int bits = 0; bits < 65536; ++bits) {
      half h;
      bfloat16 b;
      h.bits = b.bits = static_cast<std::uint16_t>(bits);
      const float want = type[0] == 'F' ? static_cast<float>(h) : static_cast<float>(b);
      const float got = values[static_cast<std::size_t>(bits)];
      wrong += std::isnan(want) ? !std::isnan(got) : got != want;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("tensors need no alignment") {
  std::string data(1, '\x01');
  const float value = 2.5f;
  data.append(reinterpret_cast<const char*>(&value), sizeof(value));
  const std::string header =
      "{" + entry("odd", "F32", "[1]", "[1,5]") + "," + entry("byte", "U8", "[1]", "[0,1]") + "}  ";
  const SafetensorsFile file(test::to_bytes(test::safetensors_text(header + " ", data)), "x");
  CHECK(file.floats("odd") == std::vector<float>{2.5f});
}

TEST_CASE("equal content gives equal bytes, whatever the order of adding") {
  const test::TemporaryFolder folder;
  const std::vector<float> a{1, 2, 3}, b{4};
  const auto write = [&](const std::string& name, bool turned) {
    SafetensorsWriter writer;
    writer.metadata = {{"z", "1"}, {"a", "2"}};
    if (turned) writer.add_floats("b", {1}, b);
    writer.add_floats("a", {3}, a, DType::bf16);
    if (!turned) writer.add_floats("b", {1}, b.data());
    writer.write(folder / name);
    return read_file(folder / name, 10'000);
  };
  const std::string first = write("1", false);
  CHECK(first == write("2", true));
  // By hand: metadata first, the wider type first, padded to 8.
  const std::string want = R"({"__metadata__":{"a":"2","z":"1"},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                           R"("a":{"dtype":"BF16","shape":[3],"data_offsets":[4,10]}})";
  CHECK(first.substr(8, want.size()) == want);
  CHECK((first.size() - 10) % 8 == 0);
}

TEST_CASE("the writer refuses what no file can hold, and leaves the old file") {
  const test::TemporaryFolder folder;
  write_atomically(folder / "a", "old");
  const std::vector<float> large{1.0f, 65520.0f};
  SafetensorsWriter writer;
  writer.add_floats("w", {2}, large.data(), DType::f16);
  CHECK(contains(test::refusal([&] { writer.write(folder / "a"); }), "tensor 'w' holds 65520, which F16 cannot"));
  CHECK(read_file(folder / "a", 10) == "old");
  CHECK(folder.entries() == 1);
  const auto add = [](const std::string& name, std::vector<std::int64_t> dims, DType type) {
    SafetensorsWriter other;
    const float value = 0;
    return test::refusal([&] { other.add_floats(name, dims, &value, type); });
  };
  CHECK(contains(add("w", {-1}, DType::f32), "tensor 'w': dimensions [-1]: -1 is negative"));
  CHECK(contains(add("w", {1LL << 40, 1LL << 40}, DType::f32), "too many elements"));
  CHECK(contains(add("__metadata__", {1}, DType::f32), "no tensor can be named"));
  CHECK(contains(add("w", {1}, DType::i32), "cannot be stored as I32"));
  CHECK(contains(test::refusal([&] { writer.add_floats("w", {2}, large.data()); }), "added twice"));
  SafetensorsWriter bad;
  bad.add_floats("\xff", {1}, std::vector<float>{1.0f});
  CHECK(contains(test::refusal([&] { bad.write(folder / "b"); }), "not valid UTF-8"));
  SafetensorsWriter wrong;
  wrong.add_floats("w", {3}, std::vector<float>{1.0f});
  CHECK(contains(test::refusal([&] { wrong.write(folder / "b"); }), "has 1 values, its dimensions ask for 3"));
  CHECK(contains(test::refusal([&] { wrong.add_ints("i", {3}, {1}); }), "has 1 values for the dimensions [3]"));
  CHECK(folder.entries() == 1);
}

TEST_CASE("what is not a safetensors file is refused") {
  CHECK(contains(refusal_of(""), "lies.safetensors: the file is empty"));
  CHECK(contains(refusal_of("short"), "5 bytes are too few"));
  CHECK(contains(refusal_of("PK\x03\x04 a zip archive, as .pth files are"), "not a safetensors file"));
  CHECK(contains(test::refusal([] { SafetensorsFile file("/tmp"); }), "it is a folder"));
  CHECK(contains(test::refusal([] { SafetensorsFile file("/no/such.safetensors"); }), "No such file"));
  CHECK(refusal_of("{}", 0).empty());  // no tensors at all is no lie
}

TEST_CASE("a header's length is checked before anything is read") {
  const std::string good = "{" + entry("w", "F32", "[2]", "[0,8]") + "}";
  const std::string data(8, '\0');
  REQUIRE(refusal_of(good, 8).empty());
  const auto claim = [&](std::int64_t length) { return refusal_of(test::safetensors_text(good, data, length)); };
  CHECK(contains(claim(100'000'001), "a header of 100000001 bytes, the format allows 100000000"));
  CHECK(contains(claim(100'000'000), "a header of 100000000 bytes, but only"));
  CHECK(contains(claim(INT64_MAX), "the format allows"));
  CHECK(contains(claim(0), "it is empty"));
  CHECK(contains(claim(static_cast<std::int64_t>(good.size()) - 1), "no valid JSON"));
  CHECK(contains(claim(static_cast<std::int64_t>(good.size()) + 1), "zero byte"));
  std::string all_ones = test::safetensors_text(good, data);
  all_ones.replace(0, 8, 8, '\xff');
  CHECK(contains(refusal_of(all_ones), "the format allows"));
}

TEST_CASE("a file cut short anywhere is refused") {
  const std::string whole = test::safetensors_text("{" + entry("w", "F32", "[2]", "[0,8]") + "}", std::string(8, '\1'));
  REQUIRE(refusal_of(whole).empty());
  for (std::size_t size = 0; size < whole.size(); ++size) CHECK(!refusal_of(whole.substr(0, size)).empty());
  CHECK(contains(refusal_of(whole + "x"), "the tensors end at byte 8 of the data, but the file holds 9"));
}

TEST_CASE("offsets that lie are refused") {
  const auto two = [](const std::string& first, const std::string& second) {
    return "{" + entry("a", "F32", "[2]", first) + "," + entry("b", "F32", "[2]", second) + "}";
  };
  REQUIRE(refusal_of(two("[0,8]", "[8,16]"), 16).empty());
  REQUIRE(refusal_of(two("[8,16]", "[0,8]"), 16).empty());
  CHECK(contains(refusal_of(two("[0,8]", "[4,12]"), 12),
                 "tensor 'b' begins at byte 4 of the data, expected 8: there is an overlap"));
  CHECK(contains(refusal_of(two("[0,8]", "[0,8]"), 8), "an overlap"));
  CHECK(contains(refusal_of(two("[0,8]", "[12,20]"), 20),
                 "tensor 'b' begins at byte 12 of the data, expected 8: there is a hole"));
  CHECK(contains(refusal_of(two("[4,12]", "[12,20]"), 20), "a hole"));
  CHECK(contains(refusal_of(two("[0,8]", "[8,16]"), 15), "tensor 'b': its bytes end at 16, but the file holds 15"));
  CHECK(contains(refusal_of(two("[0,8]", "[16,8]"), 16), "before their begin at 16"));
  CHECK(contains(refusal_of(two("[0,8]", "[18446744073709551608,16]"), 16), "before their begin"));
  CHECK(contains(refusal_of(two("[0,8]", "[8,18446744073709551615]"), 16), "its bytes end at 18446744073709551615"));
  CHECK(contains(refusal_of(two("[0,8]", "[8,18446744073709551616]"), 16), "the number 18446744073709551616"));
  CHECK(contains(refusal_of(two("[0,8]", "[-8,16]"), 16), "the negative number -8 in data_offsets of tensor 'b'"));
  CHECK(contains(refusal_of(two("[0,8]", "[8,16.0]"), 16), "the number 16.0"));
  CHECK(contains(refusal_of(two("[0,8]", "[8]"), 16), "tensor 'b' lacks"));
  CHECK(contains(refusal_of(two("[0,8]", "[8,16,24]"), 16), "more than two numbers"));
  CHECK(contains(refusal_of(two("[0,8]", "\"8\""), 16), "the string '8' in data_offsets of tensor 'b'"));
}

TEST_CASE("shapes and types that lie are refused") {
  const auto one = [](const std::string& type, const std::string& shape) {
    return refusal_of("{" + entry("w", type, shape, "[0,8]") + "}", 8);
  };
  REQUIRE(one("F32", "[2]").empty());
  REQUIRE(one("F32", "[2,1,1]").empty());
  CHECK(contains(one("F32", "[3]"), "tensor 'w': F32 [3] needs 3 times 4 bytes, but it has 8"));
  CHECK(contains(one("F64", "[2]"), "needs 2 times 8 bytes"));
  CHECK(contains(one("F32", "[0]"), "needs 0 times 4 bytes"));
  CHECK(contains(one("F32", "[-2]"), "the negative number -2"));
  CHECK(contains(one("F32", "[2.5]"), "the number 2.5"));
  CHECK(contains(one("F32", "[9223372036854775808]"), "is too large"));
  // Products that wrap around to 2 in 64 bits, and dimensions times type that do.
  CHECK(contains(one("F32", "[4294967296,4294967296]"), "too many elements"));
  CHECK(contains(one("F32", "[2,9223372036854775809]"), "too large"));
  CHECK(contains(one("F32", "[4611686018427387906]"), "too many elements"));
  CHECK(contains(one("F64", "[2305843009213693953]"), "too many elements"));
  CHECK(contains(one("F32", "[0,4294967296,4294967296]"), "too many elements"));
  CHECK(contains(one("F32", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2]"), "more than 16 axes"));
  CHECK(contains(one("F32", "2"), "the number 2 in shape of tensor 'w'"));
  CHECK(contains(one("F32", "[[2]]"), "an array in shape of tensor 'w'"));
  CHECK(contains(one("F32", "[{}]"), "an object in shape"));
  CHECK(contains(one("F32", "null"), "null in shape"));
  CHECK(contains(one("F32", "[true]"), "a truth value"));
  CHECK(contains(one("F8_E4M3", "[8]"), "tensor 'w' has the type 'F8_E4M3', expected F64"));
  CHECK(contains(one("f32", "[2]"), "has the type 'f32'"));
  CHECK(contains(one("F32\\u0000", "[2]"), "has the type 'F32?'"));
}

TEST_CASE("a header of another form is refused") {
  const std::string w = entry("w", "F32", "[2]", "[0,8]");
  REQUIRE(refusal_of("{" + w + "}", 8).empty());
  CHECK(contains(refusal_of("{" + w + "," + w + "}", 8), "'w' stands in it twice"));
  CHECK(contains(refusal_of(R"({"__metadata__":{},"__metadata__":{},)" + w + "}", 8),
                 "'__metadata__' stands in it twice"));
  CHECK(contains(refusal_of(R"({"__metadata__":{"k":"1","k":"2"},)" + w + "}", 8),
                 "the metadata 'k' stands in it twice"));
  CHECK(contains(refusal_of(R"({"w":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
                 "the field 'dtype' twice"));
  CHECK(contains(refusal_of(R"({"w":{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}})", 8),
                 "the field 'shape' twice"));
  CHECK(contains(refusal_of(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}})", 8),
                 "the unknown field 'x'"));
  CHECK(contains(refusal_of(R"({"w":{"dtype":"F32","data_offsets":[0,8]}})", 8), "lacks one of"));
  CHECK(contains(refusal_of(R"({"w":{"shape":[2],"data_offsets":[0,8]}})", 8), "lacks one of"));
  CHECK(contains(refusal_of(R"({"w":{}})", 0), "lacks one of"));
  CHECK(contains(refusal_of(R"({"w":7})", 0), "the number 7 for 'w'"));
  CHECK(contains(refusal_of(R"({"w":[]})", 0), "an array for 'w'"));
  CHECK(contains(refusal_of(R"({"__metadata__":{"k":1}})", 0), "in the metadata 'k', where a string was expected"));
  CHECK(contains(refusal_of(R"({"__metadata__":{"k":{"a":"b"}}})", 0), "an object in the metadata 'k'"));
  CHECK(contains(refusal_of(R"({"__metadata__":null})", 0), "null for '__metadata__'"));
  CHECK(contains(refusal_of("{} {}", 0), "no valid JSON"));
  CHECK(contains(refusal_of(std::string("{}\0 hidden", 10), 0), "zero byte"));
  CHECK(contains(refusal_of("{\"\xff\":1}", 0), "no valid JSON"));
  CHECK(contains(refusal_of("{\"w\":", 0), "no valid JSON"));
  CHECK(contains(refusal_of("{'w':1}", 0), "no valid JSON"));
  CHECK(contains(refusal_of(R"({"\u001b[31m":1})", 0), "'?[31m'"));  // nothing a terminal would act on
}

TEST_CASE("deep and endless JSON costs nothing") {
  const std::size_t deep = 5'000'000;
  std::string objects;
  for (std::size_t i = 0; i < deep / 5; ++i) objects += R"({"a":)";
  CHECK(contains(refusal_of(objects, 0), "the unknown field 'a'"));
  CHECK(contains(refusal_of(R"({"a":)" + std::string(deep, '['), 0), "an array for 'a'"));
  CHECK(contains(refusal_of(R"({"a":{"shape":[)" + std::string(deep, '['), 0), "an array in shape"));
  CHECK(contains(refusal_of(R"({"__metadata__":)" + objects, 0), "an object in the metadata"));
  std::string axes = R"({"a":{"shape":[1)";
  for (std::size_t i = 0; i < deep / 2; ++i) axes += ",1";
  CHECK(contains(refusal_of(axes, 0), "more than 16 axes"));
  // A sentence stays readable, however long the name.
  const std::string why = refusal_of("{\"" + std::string(deep, 'n') + "\":1}", 0);
  CHECK(contains(why, "nnn..."));
  CHECK(why.size() < 400);
  CHECK(refusal_of("{\"a\":" + std::string(deep, '9') + "}", 0).size() < 400);
}

TEST_CASE("every golden file is read") {
  int files = 0;
  for (const auto& item : std::filesystem::directory_iterator(D3AD_GOLDEN)) {
    if (item.path().extension() != ".safetensors") continue;
    const SafetensorsFile file(item.path());
    ++files;
    CAPTURE(file.path());
    CHECK(file.metadata().count("kind") == 1);
    REQUIRE(file.size() > 0);
    for (const std::string& name : file.names()) {
      bool finite = true;
      for (const float value : file.floats(name)) finite = finite && std::isfinite(value);
      CHECK(finite);
    }
  }
  CHECK(files >= 17);
  const SafetensorsFile schedule(std::string(D3AD_GOLDEN) + "/schedule.safetensors");
  CHECK(schedule.floats("betas").front() == doctest::Approx(0.0015));
  CHECK(schedule.floats("betas").back() == doctest::Approx(0.0195));
  const SafetensorsFile dic(std::string(D3AD_GOLDEN) + "/dic.safetensors");
  const auto histogram = dic.ints("histogram");
  CHECK(std::accumulate(histogram.begin(), histogram.end(), std::int64_t{0}) == 64);
}

}  // namespace safetensors_test
