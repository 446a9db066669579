// Parameters: paths of names, axes turned on the way in and back on the way out, saved and loaded in three types.

#include "d3ad/weights/parameters.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/backend/cpu/memory.hpp"
#include "support/temporary_folder.hpp"

namespace parameters_test {

using namespace d3ad;
using test::contains;
using test::refusal;

namespace {

// A little network's worth of tensors.
void fill(ParameterStore<Cpu>& store, WeightSource& source) {
  const Params<Cpu> root(store, source);
  const auto conv = root / "down" / 0 / "conv";
  conv.make("weight", {6, 4, 3, 5}, Init::fan_in, 60);
  conv.make("bias", {6}, Init::fan_in, 60);
  (root / "norm").make("weight", {6}, Init::ones);
  (root / "norm").make("running_var", {6}, Init::ones, 0, false);
  (root / "to_qkv").make("weight", {8, 4, 1});
}

std::vector<float> values(const Parameter<Cpu>& p) { return {p.value().data, p.value().data + p.size()}; }

}  // namespace

TEST_CASE("names are joined by dots") {
  ParameterStore<Cpu> store;
  InitSource source(1);
  const Params<Cpu> root(store, source);
  CHECK(root.name().empty());
  CHECK((root / "a" / 0 / "b").name() == "a.0.b");
  CHECK(Params<Cpu>(store, source, "x").name() == "x");
  auto* parameter = (root / "down" / 3).make("bias", {5}, Init::zeros);
  CHECK(parameter->name() == "down.3.bias");
  CHECK(parameter->trainable());
  CHECK(store.find("down.3.bias") == parameter);
  CHECK(store.find("down.4.bias") == nullptr);
  CHECK(contains(refusal([&] { (root / "down" / 3).make("bias", {5}, Init::zeros); }),
                 "'down.3.bias' is asked for twice"));
  CHECK(contains(refusal([&] { root.make("alone", {5}); }), "needs its fan_in"));
}

TEST_CASE("a parameter is the file's tensor, channels last") {
  ParameterStore<Cpu> store;
  HashSource source("net.");
  fill(store, source);
  CHECK(store.size() == 5);
  CHECK(store.values() == 360 + 6 + 6 + 6 + 32);
  const Parameter<Cpu>& weight = *store.find("down.0.conv.weight");
  CHECK(weight.shape() == Shape{.n = 6, .h = 3, .w = 5, .c = 4});
  CHECK(weight.dims() == std::vector<std::int64_t>{6, 4, 3, 5});
  std::vector<float> file(360);
  hash_weights("net.down.0.conv.weight", {6, 4, 3, 5}, file.data());
  CHECK(values(weight) == to_channels_last(file, {6, 4, 3, 5}));
  CHECK(values(weight) != file);
  CHECK(!store.find("norm.running_var")->trainable());
  CHECK(store.find("to_qkv.weight")->shape() == Shape{.n = 8, .c = 4});
}

TEST_CASE("addresses stay, also when the store moves") {
  ParameterStore<Cpu> store;
  InitSource source(1);
  const Params<Cpu> root(store, source);
  auto* first = root.make("first", {2}, Init::ones);
  for (int i = 0; i < 1000; ++i) (root / i).make("w", {1}, Init::zeros);
  CHECK(store.find("first") == first);
  const ParameterStore<Cpu> moved = std::move(store);
  CHECK(moved.find("first") == first);
  CHECK(first->value().data[1] == 1.0f);
}

TEST_CASE("a tensor may have several names") {
  const test::TemporaryFolder folder;
  SafetensorsWriter writer;
  writer.add_floats("attn.query.weight", {2, 2}, std::vector<float>{1, 2, 3, 4});
  writer.write(folder / "w.safetensors");
  FileSource source(folder / "w.safetensors");
  ParameterStore<Cpu> store;
  const auto attention = Params<Cpu>(store, source) / "attn";
  CHECK(attention.has("query.weight"));
  CHECK(!attention.has("to_q.weight"));
  const auto* parameter = attention.make_any({"to_q.weight", "query.weight"}, {2, 2});
  CHECK(parameter->name() == "attn.to_q.weight");
  CHECK(values(*parameter) == std::vector<float>{1, 2, 3, 4});
  CHECK(contains(refusal([&] {
                   attention.make_any({"to_k.weight", "key.weight"}, {2, 2});
                 }),
                 "the tensor 'attn.to_k.weight' [2, 2] is missing"));
  CHECK(store.size() == 1);  // a failed one leaves nothing behind
}

TEST_CASE("what is saved is loaded again") {
  const test::TemporaryFolder folder;
  HashSource hash("net.");
  ParameterStore<Cpu> store;
  fill(store, hash);
  for (const DType type : {DType::f32, DType::bf16, DType::f16}) {
    CAPTURE(name(type));
    save_parameters(store, folder / "w.safetensors", {{"kind", "test"}}, type);
    FileSource source(folder / "w.safetensors");
    CHECK(source.file().metadata().at("kind") == "test");
    CHECK(source.file().dtype("norm.weight") == type);
    ParameterStore<Cpu> again;
    fill(again, source);
    source.check_all_read();
    for (const auto& parameter : store) {
      const auto want = values(parameter), got = values(*again.find(parameter.name()));
      // Half a unit in the last place: 2^-9 for bfloat16, 2^-12 for half, of a value's power of two at most.
      const float relative = type == DType::f32 ? 0.0f : type == DType::bf16 ? 0x1p-8f : 0x1p-11f;
      bool close = true, equal = true;
      for (std::size_t i = 0; i < want.size(); ++i) {
        close = close && std::abs(got[i] - want[i]) <= relative * std::abs(want[i]) + 0x1p-25f * (relative > 0);
        equal = equal && got[i] == want[i];
      }
      CHECK(close);
      if (type != DType::f32 && parameter.size() > 10) CHECK(!equal);
    }
  }
  // The file is PyTorch's: names and axes.
  const SafetensorsFile file(folder / "w.safetensors");
  CHECK(file.dims("down.0.conv.weight") == std::vector<std::int64_t>{6, 4, 3, 5});
  CHECK(file.dims("to_qkv.weight") == std::vector<std::int64_t>{8, 4, 1});
}

TEST_CASE("new values come into the same tensors") {
  const test::TemporaryFolder folder;
  HashSource hash("net."), other("other.");
  ParameterStore<Cpu> store, wanted;
  fill(store, hash);
  fill(wanted, other);
  save_parameters(wanted, folder / "w.safetensors");
  FileSource source(folder / "w.safetensors");
  auto* weight = store.find("down.0.conv.weight");
  const auto* address = weight->value().data;
  const auto version = weight->version();
  load_into(store, source);
  CHECK(weight->value().data == address);
  CHECK(weight->version() != version);  // packed copies are stale
  for (const auto& parameter : wanted) CHECK(values(*store.find(parameter.name())) == values(parameter));

  store.add("extra.bias", {2});
  fill(wanted = ParameterStore<Cpu>(), hash);
  const auto before = values(*weight);
  FileSource incomplete(folder / "w.safetensors");
  CHECK(contains(refusal([&] { load_into(store, incomplete); }), "'extra.bias' [2] is missing"));
  CHECK(values(*weight) == before);
}

TEST_CASE("frozen and narrow stores") {
  const test::TemporaryFolder folder;
  HashSource hash("net.");
  ParameterStore<Cpu> store;
  fill(store, hash);
  auto& weight = *store.find("down.0.conv.weight");
  weight.gradient();
  store.freeze();
  CHECK(!weight.has_gradient());
  CHECK(!weight.trainable());
  CHECK(contains(refusal([&] { load_into(store, hash); }), "is frozen"));

  Tensor<bfloat16, Cpu> narrow(weight.shape());
  const auto plain = values(weight);
  for (std::size_t i = 0; i < plain.size(); ++i) narrow.data()[i] = bfloat16(plain[i]);
  weight.adopt_narrow(std::move(narrow));
  save_parameters(store, folder / "w.safetensors");  // narrow ones widened
  const SafetensorsFile file(folder / "w.safetensors");
  const auto saved = to_channels_last(file.floats(weight.name()), weight.dims());
  bool equal = true;
  for (std::size_t i = 0; i < plain.size(); ++i) equal = equal && saved[i] == static_cast<float>(bfloat16(plain[i]));
  CHECK(equal);
}

TEST_CASE("a store kept narrow holds its weights in bfloat16 and its vectors in float") {
  Context<Cpu> ctx({.threads = 2});
  HashSource hash("net.");
  ParameterStore<Cpu> store;
  fill(store, hash);
  keep_narrow(ctx, store);
  for (auto& p : store) {
    CAPTURE(p.name());
    CHECK(p.narrow() == (p.dims().size() >= 2));
    CHECK(p.has_plain() == !p.narrow());
    CHECK(p.frozen());
  }
  keep_narrow(ctx, store);  // once more changes nothing
}

}  // namespace parameters_test
