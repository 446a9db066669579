// Sources of weights: a file (wrapped names, prefixes, wrong shapes, NaN, what is missing or left over), hash, random.

#include "d3ad/weights/source.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "support/temporary_folder.hpp"

namespace source_test {

using namespace d3ad;
using test::contains;
using test::refusal;

namespace {

std::vector<float> read(WeightSource& source, const std::string& name, const std::vector<std::int64_t>& dims,
                        Init init = Init::fan_in, std::int64_t fan_in = 4) {
  std::vector<float> out(static_cast<std::size_t>(dims_size(dims)));
  source.read({name, dims, init, fan_in}, out.data());
  return out;
}

// A file with `names`, each of two values.
std::filesystem::path file_with(const test::TemporaryFolder& folder, const std::vector<std::string>& names) {
  SafetensorsWriter writer;
  for (std::size_t i = 0; i < names.size(); ++i)
    writer.add_floats(names[i], {2}, std::vector<float>{static_cast<float>(i), -1.0f});
  writer.write(folder / "w.safetensors");
  return folder / "w.safetensors";
}

}  // namespace

TEST_CASE("names are found behind the wrappers of other tools") {
  const test::TemporaryFolder folder;
  FileSource source(file_with(folder, {"a.bias", "module.b.bias", "model.c.bias", "module.model.d.bias"}));
  CHECK(read(source, "a.bias", {2})[0] == 0.0f);
  CHECK(read(source, "b.bias", {2})[0] == 1.0f);
  CHECK(read(source, "c.bias", {2})[0] == 2.0f);
  CHECK(source.has("d.bias"));
  CHECK(!source.has("e.bias"));
  CHECK(contains(refusal([&] { source.check_all_read(); }),
                 "1 of its 4 tensors were not used: 'module.model.d.bias' [2]"));
  source.check_all_read([](const std::string& name) { return name == "d.bias"; });
  CHECK(read(source, "d.bias", {2})[0] == 3.0f);
  source.check_all_read();
  CHECK(source.describe() == (folder / "w.safetensors").string());
}

TEST_CASE("a name without wrapper comes before one with it") {
  const test::TemporaryFolder folder;
  FileSource source(file_with(folder, {"a", "module.a"}));
  CHECK(read(source, "a", {2})[0] == 0.0f);
  CHECK(source.left_over() == std::vector<std::string>{"module.a"});
}

TEST_CASE("a prefix selects a part of the file") {
  const test::TemporaryFolder folder;
  FileSource source(file_with(folder, {"other.a", "ema.a", "ema.b"}), "ema.");
  CHECK(read(source, "a", {2})[0] == 1.0f);
  CHECK(source.left_over() == std::vector<std::string>{"ema.b"});
  CHECK(!source.has("other.a"));
}

TEST_CASE("missing tensors are named, with their likes") {
  const test::TemporaryFolder folder;
  FileSource source(file_with(folder, {"conv1.weight", "conv1.bias", "bn1.weight", "layer1.0.conv1.weight"}));
  const std::string why = refusal([&] { read(source, "conv2.weight", {2, 1}); });
  CHECK(contains(why, "w.safetensors: the tensor 'conv2.weight' [2, 1] is missing; the nearest are 'conv1.weight', "));
  CHECK(!contains(why, "layer1"));
}

TEST_CASE("all that is missing and all that is left over is named where that is asked for") {
  const test::TemporaryFolder folder;
  FileSource source(file_with(folder, {"p.conv1.weight", "p.bn1.bais", "q.x"}), "p.");
  source.note_missing();
  CHECK(read(source, "conv1.weight", {2})[1] == -1.0f);
  CHECK(read(source, "bn1.bias", {2}) == std::vector<float>{0, 0});
  CHECK(read(source, "bn1.weight", {2}) == std::vector<float>{0, 0});
  CHECK(
      contains(refusal([&] { source.check_all_read(); }),
               "w.safetensors: 2 tensors are missing: 'p.bn1.bias' [2] (the nearest is 'p.bn1.bais'), 'p.bn1.weight' "
               "[2] (the nearest is 'p.bn1.bais'); 1 of its 3 tensors were not used: 'p.bn1.bais' [2] (the nearest is "
               "'p.bn1.bias'); the file was made for another network"));
  FileSource complete(file_with(folder, {"a"}));
  complete.note_missing();
  read(complete, "a", {2});
  complete.check_all_read();
}

TEST_CASE("shapes must agree, but for trailing ones") {
  const test::TemporaryFolder folder;
  SafetensorsWriter writer;
  writer.add_floats("w", {3, 2, 1}, std::vector<float>{1, 2, 3, 4, 5, 6});
  writer.add_ints("i", {1}, {1});
  writer.write(folder / "w.safetensors");
  FileSource source(folder / "w.safetensors");
  CHECK(read(source, "w", {3, 2}) == read(source, "w", {3, 2, 1, 1}));
  CHECK(contains(refusal([&] { read(source, "w", {2, 3}); }), "tensor 'w' is [3, 2, 1], expected [2, 3]"));
  CHECK(contains(refusal([&] { read(source, "w", {6}); }), "expected [6]"));
  CHECK(contains(refusal([&] { read(source, "w", {3, 2, 2}); }), "expected [3, 2, 2]"));
  CHECK(contains(refusal([&] { read(source, "i", {1}); }), "holds I64, floating point"));
}

TEST_CASE("NaN and infinity in weights are refused") {
  const test::TemporaryFolder folder;
  for (const float bad :
       {std::nanf(""), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()})
    for (const DType type : {DType::f32, DType::bf16, DType::f16}) {
      SafetensorsWriter writer;
      writer.add_floats("w", {3}, std::vector<float>{1.0f, 2.0f, bad}, type);
      writer.write(folder / "w.safetensors");
      FileSource source(folder / "w.safetensors");
      CHECK(contains(refusal([&] { read(source, "w", {3}); }), "at element 2; such weights are of no use"));
    }
  SafetensorsWriter writer;  // beyond float's range
  const double large = 1e300;
  writer.add("w", {1}, DType::f64, &large);
  writer.write(folder / "w.safetensors");
  FileSource source(folder / "w.safetensors");
  CHECK(contains(refusal([&] { read(source, "w", {1}); }), "holds inf"));
}

TEST_CASE("what is left over is listed, batch counters are not") {
  const test::TemporaryFolder folder;
  FileSource source(file_with(folder, {"a", "b", "c", "d", "e", "f", "g", "bn.num_batches_tracked"}));
  CHECK(contains(refusal([&] { source.check_all_read(); }),
                 "7 of its 8 tensors were not used: 'a' [2], 'b' [2], 'c' [2], 'd' [2], 'e' [2] and 2 more"));
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g"}) read(source, name, {2});
  source.check_all_read();
}

TEST_CASE("hash weights take the prefix into the name") {
  HashSource source("unet.");
  CHECK(source.has("anything"));
  CHECK(read(source, "out.2.bias", {4})[0] == doctest::Approx(0.00770116).epsilon(1e-6));
}

TEST_CASE("a random start is uniform, repeatable, and of any order") {
  InitSource first(7), second(7), other(8);
  const auto a = read(first, "a.weight", {100, 100}, Init::fan_in, 100);
  read(second, "b.weight", {3, 3});
  CHECK(read(second, "a.weight", {100, 100}, Init::fan_in, 100) == a);
  CHECK(read(other, "a.weight", {100, 100}, Init::fan_in, 100) != a);
  CHECK(read(first, "b.weight", {100, 100}, Init::fan_in, 100) != a);

  // +-1/sqrt(100): mean 0 and variance (2/10)^2/12, each within five standard errors of 10 000 draws.
  double sum = 0, squares = 0;
  for (const float value : a) sum += value, squares += static_cast<double>(value) * value;
  const double variance = 0.04 / 12;
  CHECK(std::abs(sum / 1e4) < 5 * std::sqrt(variance / 1e4));
  CHECK(std::abs(squares / 1e4 - variance) < 5 * variance * std::sqrt(0.8 / 1e4));
  const auto [low, high] = std::minmax_element(a.begin(), a.end());
  CHECK(*low >= -0.1f);
  CHECK(*low < -0.099f);
  CHECK(*high < 0.1f);
  CHECK(*high > 0.099f);

  const Rng rng(7, Rng::stream("a.weight"));
  for (std::size_t i = 0; i < 9; ++i) CHECK(a[i] == (2.0f * rng.uniform(i) - 1.0f) * 0.1f);
  CHECK(read(first, "a.weight", {200, 1000}, Init::fan_in, 100)[9999] == a[9999]);  // by several threads
  CHECK(read(first, "x", {5}, Init::ones) == std::vector<float>(5, 1.0f));
  CHECK(read(first, "x", {5}, Init::zeros) == std::vector<float>(5, 0.0f));
  CHECK(contains(refusal([&] { read(first, "x", {5}, Init::fan_in, 0); }), "fan_in 0 is not positive"));
}

TEST_CASE("the nearest names are the nearest") {
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("abc", "abc") == 0);
  CHECK(nearest_names({"aa", "ab", "zz", "a"}, "aa", 2) == "; the nearest are 'aa', 'a'");
  CHECK(nearest_names({"x"}, "y") == "; the nearest is 'x'");
  CHECK(nearest_names({}, "y").empty());
  CHECK(printable("a\x1b[2J\x7f") == "a?[2J?");
}

}  // namespace source_test
