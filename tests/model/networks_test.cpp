// Networks from files as they are published: every spelling, prefix, storage and folder gives the same network.

#include "d3ad/model/networks.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/autograd/functions.hpp"
#include "d3ad/models/recognise.hpp"
#include "support/compare.hpp"
#include "support/temporary_folder.hpp"

namespace networks_test {

using namespace d3ad;
namespace fs = std::filesystem;
using test::contains;
using test::refusal;

namespace {

using Rename = std::function<std::string(const std::string&)>;

const VaeConfig kVae{.block_out_channels = {32, 64}, .layers_per_block = 1, .latent_channels = 4, .norm_groups = 16};

ParameterStore<Cpu> vae_parameters() {
  ParameterStore<Cpu> store;
  HashSource source("vae.");
  const Vae<Cpu> net(Params<Cpu>(store, source), kVae);
  return store;
}

std::string keep(const std::string& name) { return name; }

// Every part's first occurrence.
std::string replaced(std::string name, std::initializer_list<std::pair<const char*, const char*>> parts) {
  for (const auto& [from, to] : parts)
    if (const auto at = name.find(from); at != std::string::npos) name.replace(at, std::string(from).size(), to);
  return name;
}

// Of kVae's two levels: the decoder's count from the other end.
std::string compvis(const std::string& name) {
  return replaced(name, {{"down_blocks.0.resnets", "down.0.block"},
                         {"down_blocks.1.resnets", "down.1.block"},
                         {"down_blocks.0.downsamplers.0", "down.0.downsample"},
                         {"up_blocks.0.resnets", "up.1.block"},
                         {"up_blocks.1.resnets", "up.0.block"},
                         {"up_blocks.0.upsamplers.0", "up.1.upsample"},
                         {"conv_shortcut", "nin_shortcut"},
                         {"mid_block.resnets.0", "mid.block_1"},
                         {"mid_block.resnets.1", "mid.block_2"},
                         {"mid_block.attentions.0", "mid.attn_1"},
                         {"attn_1.group_norm", "attn_1.norm"},
                         {"attn_1.to_q", "attn_1.q"},
                         {"attn_1.to_k", "attn_1.k"},
                         {"attn_1.to_v", "attn_1.v"},
                         {"attn_1.to_out.0", "attn_1.proj_out"},
                         {"conv_norm_out", "norm_out"}});
}

std::string old_attention(const std::string& name) {
  return replaced(name, {{"to_q", "query"}, {"to_k", "key"}, {"to_v", "value"}, {"to_out.0", "proj_attn"}});
}

Rename prefixed(const std::string& prefix, Rename rename) {
  return [prefix, rename](const std::string& name) { return prefix + rename(name); };
}

// The parameters as a file; CompVis' attention is a 1x1 convolution. others: tensors of other networks beside them.
fs::path write_file(const fs::path& path, const ParameterStore<Cpu>& store, const Rename& rename,
                    DType type = DType::f32, const std::vector<std::string>& others = {}) {
  SafetensorsWriter writer;
  for (const auto& p : store) {
    const std::string name = rename(p.name());
    auto dims = p.dims();
    if (dims.size() == 2 && contains(name, "attn_1")) dims.insert(dims.end(), {1, 1});
    writer.add_floats(name, dims, detail::file_values(p), type);
  }
  for (const std::string& name : others) writer.add_floats(name, {2, 2}, std::vector<float>{1, 2, 3, 4});
  fs::create_directories(path.parent_path());
  writer.write(path);
  return path;
}

// Two shards and their index.
fs::path write_shards(const fs::path& folder, const ParameterStore<Cpu>& store) {
  SafetensorsWriter shards[2];
  const std::string files[] = {"m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors"};
  nlohmann::json map;
  int i = 0;
  for (const auto& p : store) {
    const std::size_t shard = i++ % 3 == 0 ? 0 : 1;
    shards[shard].add_floats(p.name(), p.dims(), detail::file_values(p));
    map[p.name()] = files[shard];
  }
  fs::create_directories(folder);
  for (std::size_t s = 0; s < 2; ++s) shards[s].write(folder / files[s]);
  const fs::path index = folder / "diffusion_pytorch_model.safetensors.index.json";
  write_atomically(index, nlohmann::json{{"weight_map", map}}.dump());
  return index;
}

void write_config(const fs::path& folder, const nlohmann::json& more = nlohmann::json::object()) {
  nlohmann::json json{{"_class_name", "AutoencoderKL"}, {"norm_num_groups", 16}, {"scaling_factor", 0.5}};
  json.update(more);
  write_atomically(folder / "config.json", json.dump());
}

// A decoded image of what the file holds; a file alone says nothing of groups, so 32 are taken there.
Tensor<float, Cpu> decoded(const Loaded<Autoencoder<Cpu>, Cpu>& vae) {
  Context<Cpu> ctx;
  const auto z = test::random({.n = 1, .h = 4, .w = 4, .c = 4}, 5);
  const auto image = vae->decode(ctx, Value<float, Cpu>::borrow(z.view()));
  Tensor<float, Cpu> out(image.shape());
  std::copy_n(image.view().data, image.shape().size(), out.data());
  return out;
}

bool same(const Tensor<float, Cpu>& a, const Tensor<float, Cpu>& b) {
  return a.shape() == b.shape() && std::equal(a.data(), a.data() + a.size(), b.data());
}

}  // namespace

TEST_CASE("an AutoencoderKL is the same under every spelling, prefix and storage") {
  const test::TemporaryFolder folder;
  const auto store = vae_parameters();
  const std::vector<std::string> stable_diffusion{"model.diffusion_model.out.2.weight", "cond_stage_model.x.weight"};
  struct Published {
    Rename rename;
    std::vector<std::string> others;
    const char *prefix, *spelling;
  };
  const Published published[] = {
      {prefixed("module.", keep), {}, "", "diffusers'"},
      {prefixed("model.", keep), {}, "", "diffusers'"},
      {prefixed("module.model.", compvis), {}, "", "CompVis'"},
      {old_attention, {}, "", "diffusers', the old ones of the attention"},
      {compvis, {"loss.discriminator.main.0.weight", "model_ema.decay"}, "", "CompVis'"},
      {prefixed("vae.", keep), {"unet.conv_in.weight"}, "vae.", "diffusers'"},
      {prefixed("first_stage_model.", compvis), stable_diffusion, "first_stage_model.", "CompVis'"},
      {prefixed("first_stage_model.", old_attention), stable_diffusion, "first_stage_model.",
       "diffusers', the old ones of the attention"},
      {prefixed("model.first_stage_model.", compvis), stable_diffusion, "model.first_stage_model.", "CompVis'"},
  };
  for (const DType type : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    CAPTURE(d3ad::name(type));
    const auto own = load_autoencoder<Cpu>(write_file(folder / "own.safetensors", store, keep, type));
    const auto want = decoded(own);
    CHECK(own.whole_file);
    int index = 0;
    for (const auto& p : published) {
      CAPTURE(index++);
      const auto file = write_file(folder / "published.safetensors", store, p.rename, type, p.others);
      const auto found = recognise(Checkpoint(file));
      CHECK(found.kind == NetworkKind::vae);
      CHECK(found.prefix == p.prefix);
      CHECK(found.spelling == p.spelling);
      CHECK(found.config.get<VaeConfig>().block_out_channels == kVae.block_out_channels);
      CHECK(found.config.get<VaeConfig>().layers_per_block == 1);
      const auto vae = load_autoencoder<Cpu>(file);
      CHECK(same(decoded(vae), want));
      CHECK(vae.whole_file == std::string(p.prefix).empty());
    }
  }
}

TEST_CASE("a diffusers folder, a whole pipeline and shards are read as they are") {
  const test::TemporaryFolder folder;
  const auto store = vae_parameters();
  const fs::path vae = folder / "pipeline/vae";
  const auto single = write_file(vae / "diffusion_pytorch_model.safetensors", store, keep);
  CHECK(load_autoencoder<Cpu>(vae)->config()["norm_num_groups"] == 32);  // without config.json, as a file alone
  write_config(vae);
  write_atomically(folder / "pipeline/model_index.json", "{}");
  const auto from_folder = load_autoencoder<Cpu>(vae);
  CHECK(from_folder->config()["norm_num_groups"] == 16);
  CHECK(from_folder->latent_scale() == 0.5f);
  CHECK(!from_folder.whole_file);
  CHECK(from_folder.sha256 == file_sha256(single));
  const auto want = decoded(from_folder);
  CHECK_FALSE(same(decoded(load_autoencoder<Cpu>(single)), want));  // 32 groups there: the folder's config counts
  CHECK(same(decoded(load_autoencoder<Cpu>(folder / "pipeline")), want));

  const auto index = write_shards(folder / "shards", store);
  write_config(folder / "shards");
  const auto from_shards = load_autoencoder<Cpu>(folder / "shards");
  CHECK(same(decoded(from_shards), want));
  CHECK(from_shards.sha256 != from_folder.sha256);
  CHECK(same(decoded(load_autoencoder<Cpu>(index)), want));
  CHECK(load_autoencoder<Cpu>(index).sha256 == from_shards.sha256);

  write_file(folder / "half/diffusion_pytorch_model.fp16.safetensors", store, keep, DType::f16);
  write_config(folder / "half");
  const auto got = test::compare(decoded(load_autoencoder<Cpu>(folder / "half")).view(), want.view(), 0.02);
  CHECK_MESSAGE(got.close, got);

  // What was read is written as one file that says all of it.
  save_parameters(*from_shards.store, folder / "copy.safetensors", {{"config", from_shards->config().dump()}});
  const auto copy = load_autoencoder<Cpu>(folder / "copy.safetensors");
  CHECK(same(decoded(copy), want));
  CHECK(copy->latent_scale() == 0.5f);
}

TEST_CASE("a folder's groups count, where 32 would not even divide the channels") {
  const test::TemporaryFolder folder;
  ParameterStore<Cpu> store;
  HashSource source("vae.");
  const Vae<Cpu> net(Params<Cpu>(store, source),
                     {.block_out_channels = {8, 16}, .layers_per_block = 1, .norm_groups = 4});
  const auto file = write_file(folder / "vae/diffusion_pytorch_model.safetensors", store, keep);
  CHECK(contains(refusal([&] { load_autoencoder<Cpu>(file); }), "8 channels do not split into 32 groups"));
  write_config(folder / "vae", {{"norm_num_groups", 4}});
  CHECK(load_autoencoder<Cpu>(folder / "vae")->config()["norm_num_groups"] == 4);
  write_config(folder / "vae", {{"norm_num_groups", 0}});
  CHECK(contains(refusal([&] { load_autoencoder<Cpu>(folder / "vae"); }), "0 groups"));
  write_atomically(folder / "vae/config.json", "[]");
  CHECK(contains(refusal([&] { load_autoencoder<Cpu>(folder / "vae"); }), "is not a JSON object"));
}

TEST_CASE("folders without what is needed are refused with what is") {
  const test::TemporaryFolder folder;
  const auto store = vae_parameters();
  fs::create_directories(folder / "vae");
  CHECK(contains(refusal([&] { load_autoencoder<Cpu>(folder / "vae"); }),
                 "has no diffusion_pytorch_model.safetensors; give a diffusers folder"));
  write_atomically(folder / "vae/diffusion_pytorch_model.bin", "x");
  CHECK(contains(refusal([&] { load_autoencoder<Cpu>(folder / "vae"); }),
                 "convert its diffusion_pytorch_model.bin with weights_tools first"));
  write_file(folder / "vae/diffusion_pytorch_model.safetensors", store, keep);
  write_config(folder / "vae", {{"shift_factor", 0.1159}});
  CHECK(contains(refusal([&] { load_autoencoder<Cpu>(folder / "vae"); }), "has a shift_factor"));
  write_config(folder / "vae", {{"shift_factor", nullptr}});
  CHECK(load_autoencoder<Cpu>(folder / "vae")->latent_scale() == 0.5f);
  CHECK(contains(refusal([&] { load_extractor<Cpu>(folder / "vae/diffusion_pytorch_model.safetensors"); }),
                 "holds AutoencoderKL; expected a ResNet-18, 34"));
}

TEST_CASE("missing, extra and misshapen tensors are named") {
  const test::TemporaryFolder folder;
  const auto store = vae_parameters();
  const auto typo = [](const std::string& name) { return name == "quant_conv.bias" ? "quant_conv.bais" : name; };
  const std::string missing =
      refusal([&] { load_autoencoder<Cpu>(write_file(folder / "typo.safetensors", store, typo)); });
  CHECK(contains(missing,
                 "1 tensor is missing: 'quant_conv.bias' [8] (the nearest is 'quant_conv.bais'); 1 of its 124 tensors "
                 "were not used: 'quant_conv.bais' [8] (the nearest is 'quant_conv.bias')"));
  const auto typos = [](const std::string& name) { return replaced(name, {{".norm1.bias", ".norm_1.bias"}}); };
  const std::string many =
      refusal([&] { load_autoencoder<Cpu>(write_file(folder / "typos.safetensors", store, typos)); });
  CHECK(contains(many,
                 "10 tensors are missing: 'encoder.down_blocks.0.resnets.0.norm1.bias' [32] (the nearest is "
                 "'encoder.down_blocks.0.resnets.0.norm_1.bias'), 'encoder.down_blocks.1"));
  CHECK(contains(many, " and 5 more; 10 of its 124 tensors were not used: "));
  const auto extra = write_file(folder / "extra.safetensors", store, keep, DType::f32, {"encoder.conv_extra.weight"});
  CHECK(contains(refusal([&] { load_autoencoder<Cpu>(extra); }),
                 "1 of its 125 tensors were not used: 'encoder.conv_extra.weight' [2, 2] (the nearest is "
                 "'encoder.conv_out.weight')"));
  const auto other = folder / "other.safetensors";
  SafetensorsWriter writer;
  writer.add_floats("features.0.weight", {1}, std::vector<float>{1});
  writer.write(other);
  const std::string unknown = "holds no network that is known here (1 tensors, the first is 'features.0.weight')";
  CHECK(contains(refusal([&] { load_autoencoder<Cpu>(other); }), unknown + "; expected an AutoencoderKL"));
  CHECK(contains(refusal([&] { load_extractor<Cpu>(other); }), unknown + "; expected a ResNet-18"));
}

TEST_CASE("the consistency decoder is recognised and refused") {
  const test::TemporaryFolder folder;
  const auto store = vae_parameters();
  const auto without_decoder = [](const std::string& name) { return replaced(name, {{"decoder.", "decoder_unet."}}); };
  for (const char* prefix : {"", "vae."}) {
    CAPTURE(prefix);
    const auto file = write_file(folder / "vae/diffusion_pytorch_model.safetensors", store,
                                 prefixed(prefix, without_decoder), DType::f16);
    CHECK(recognise(Checkpoint(file)).kind == NetworkKind::consistency_decoder);
    const std::string why = refusal([&] { load_autoencoder<Cpu>(folder / "vae"); });
    CHECK(contains(why,
                   "holds OpenAI's consistency decoder (diffusers' ConsistencyDecoderVAE), which is not supported; "
                   "take the VAE whose latents it decodes"));
    CHECK(contains(refusal([&] { load_extractor<Cpu>(file); }), "consistency decoder"));
  }
}

TEST_CASE("the tiny autoencoder is the same under TAESD's and diffusers' names") {
  const test::TemporaryFolder folder;
  ParameterStore<Cpu> store;
  HashSource source("tae.");
  const TinyVae<Cpu> net(Params<Cpu>(store, source), {.latent_channels = 4, .width = 16});
  const auto diffusers = [](const std::string& name) {
    const auto dot = name.find('.', 8);
    const int layer = std::stoi(name.substr(8, dot - 8));
    return concat(name.substr(0, 8), "layers.", name.starts_with("decoder") ? layer - 1 : layer, name.substr(dot));
  };
  const auto own = load_autoencoder<Cpu>(write_file(folder / "own.safetensors", store, keep));
  const auto published = write_file(folder / "published.safetensors", store, diffusers);
  CHECK(recognise(Checkpoint(folder / "own.safetensors")).spelling == "TAESD's");
  CHECK(recognise(Checkpoint(published)).spelling == "diffusers'");
  CHECK(recognise(Checkpoint(published)).kind == NetworkKind::tiny_vae);
  CHECK(same(decoded(load_autoencoder<Cpu>(published)), decoded(own)));
}

TEST_CASE("every ResNet is recognised from its tensors, as extractor and as classifier") {
  const test::TemporaryFolder folder;
  for (const std::string& architecture : ResNetConfig::names())
    for (const int classes : {0, 10}) {
      CAPTURE(architecture);
      CAPTURE(classes);
      auto config = ResNetConfig::named(architecture);
      config.width = 8, config.classes = classes;
      ParameterStore<Cpu> store;
      HashSource source("resnet.");
      const ResNet<Cpu> net(Params<Cpu>(store, source), config);
      const auto file = write_file(folder / "r.safetensors", store, prefixed("module.", keep), DType::f16);
      const auto found = recognise(Checkpoint(file));
      CHECK(found.kind == NetworkKind::resnet);
      CHECK(found.config["architecture"] == architecture);
      CHECK(found.config["classes"] == classes);
      CHECK(found.config["width"] == 8);
      const auto loaded = load_extractor<Cpu>(file);
      CHECK(loaded->config().architecture == architecture);
      CHECK(loaded->channels(3) == (config.bottleneck ? 128 : 32));
      Context<Cpu> ctx;
      const auto x = test::random({.n = 1, .h = 32, .w = 32, .c = 3}, 2);
      const auto want = net.features(ctx, Value<float, Cpu>::borrow(x.view()));
      const auto got = loaded->features(ctx, Value<float, Cpu>::borrow(x.view()));
      const auto close = test::compare(got[2].view(), want[2].view(), 0.02);  // half precision
      CHECK_MESSAGE(close.close, close);
    }
}

TEST_CASE("ResNets of other shapes are refused with what they are") {
  const test::TemporaryFolder folder;
  ParameterStore<Cpu> store;
  HashSource source("resnet.");
  ResNetConfig config;
  config.blocks = {3, 5, 6, 3}, config.width = 8;
  const ResNet<Cpu> net(Params<Cpu>(store, source), config);
  const auto file = write_file(folder / "r.safetensors", store, keep);
  CHECK(contains(refusal([&] { load_extractor<Cpu>(file); }),
                 "a ResNet of 3-5-6-0 basic blocks is none of the known architectures; the nearest is resnet34"));
}

}  // namespace networks_test
