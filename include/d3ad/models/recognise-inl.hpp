#pragma once
// Definitions of models/recognise.hpp. Included by it unless they are compiled.

#include "d3ad/models/recognise.hpp"

namespace d3ad::detail {

// Where an autoencoder lies in a checkpoint of all of Stable Diffusion, or of a whole pipeline.
inline std::string autoencoder_prefix(const Checkpoint& file) {
  for (const char* wrapper : {"", "model.", "module."})
    for (const char* part : {"first_stage_model.", "vae.", "autoencoder."}) {
      const std::string prefix = concat(wrapper, part);
      for (const char* probe : {"encoder.conv_in.weight", "encoder.14.weight", "encoder.layers.14.weight"})
        if (file.has(prefix + probe)) return prefix;
    }
  return "";
}

// Looks the networks' own names up in a file of any published spelling.
class NameLookup {
 public:
  NameLookup(const Checkpoint& file, const std::string& prefix) : file_(file), published_(file.names(), prefix) {}
  bool has(const std::string& name) const { return published_.find(name) != nullptr; }
  bool respelt() const { return published_.respelt(); }
  const std::string& path() const { return file_.path(); }
  // Axis `axis` of tensor `name`, which has to have it.
  int dim(const std::string& name, std::size_t axis) const {
    const std::string* stored = published_.find(name);
    D3AD_CHECK(stored, "'", file_.path(), "': '", name, "' is missing; the network cannot be recognised");
    const auto& dims = file_.dims(*stored);
    D3AD_CHECK(axis < dims.size() && dims[axis] >= 1 && dims[axis] <= 1 << 20, "'", file_.path(), "': '", name,
               "' has an unexpected shape");
    return static_cast<int>(dims[axis]);
  }
  // How many of name0, name1, ... there are, up to a limit no network reaches.
  template <class MakeName>
  int count(MakeName&& make) const {
    int n = 0;
    while (n < 1000 && has(make(n))) ++n;
    return n;
  }

 private:
  const Checkpoint& file_;
  PublishedNames published_;
};

inline UNetConfig recognise_unet(const NameLookup& names) {
  UNetConfig c;
  c.base = names.dim("time_embedding.1.weight", 1);
  c.channels = names.dim("down.0.0.weight", 1);
  const auto conv = [](const char* part, int i, int j) { return concat(part, '.', i, '.', j, ".in_layers.2.weight"); };
  const int ups = names.count([&](int i) { return conv("up", i, 0); });
  D3AD_CHECK(ups >= 2 && c.base >= 1, "UNet: ", ups, " up blocks and base ", c.base, " are not a known network");
  int first = ups - 1;  // the last block of the first level of the way up: the one that has a second residual block
  for (int i = ups - 1; i >= 0; --i)
    if (names.has(conv("up", i, 1)) || names.has(conv("up", i, 2))) first = i;
  c.res_blocks = first;
  D3AD_CHECK(c.res_blocks >= 1 && ups % (c.res_blocks + 1) == 0, "UNet: ", ups,
             " up blocks do not split into levels of ", c.res_blocks + 1);
  const int levels = ups / (c.res_blocks + 1);
  c.multipliers.clear();
  c.attention.clear();
  for (int level = 0; level < levels; ++level) {
    const int index = 1 + level * (c.res_blocks + 1);
    c.multipliers.push_back(names.dim(conv("down", index, 0), 0) / c.base);
    if (names.has(concat("down.", index, ".1.to_qkv.weight"))) c.attention.push_back(1 << level);
  }
  return c;
}

inline VaeConfig recognise_vae(const NameLookup& names) {
  VaeConfig c;
  c.block_out_channels.clear();
  const auto resnet = [](int b, int i) { return concat("encoder.down_blocks.", b, ".resnets.", i, ".conv2.weight"); };
  const int blocks = names.count([&](int b) { return resnet(b, 0); });
  for (int b = 0; b < blocks; ++b) c.block_out_channels.push_back(names.dim(resnet(b, 0), 0));
  c.layers_per_block = names.count([&](int i) { return resnet(0, i); });
  c.latent_channels = names.dim("decoder.conv_in.weight", 1);
  return c;
}

inline ResNetConfig recognise_resnet(const NameLookup& names) {
  ResNetConfig c;
  c.bottleneck = names.has("layer1.0.conv3.weight");
  c.width = names.dim("conv1.weight", 0);
  if (c.bottleneck) c.inner_factor = names.dim("layer1.0.conv1.weight", 0) / c.width;
  std::vector<int> blocks;
  for (int layer = 1; layer <= 4; ++layer)
    blocks.push_back(names.count([&](int b) { return concat("layer", layer, '.', b, ".conv1.weight"); }));
  std::string nearest;
  int least = std::numeric_limits<int>::max();
  for (const auto& known : ResNetConfig::names()) {
    auto candidate = ResNetConfig::named(known);
    const bool same_kind = candidate.bottleneck == c.bottleneck && candidate.inner_factor == c.inner_factor;
    int apart = same_kind ? 0 : 100;
    for (std::size_t l = 0; l < (blocks[3] > 0 ? 4 : 3); ++l) apart += std::abs(candidate.blocks[l] - blocks[l]);
    if (apart == 0) {
      candidate.width = c.width;
      if (blocks[3] > 0 && names.has("fc.weight")) candidate.classes = names.dim("fc.weight", 0);
      return candidate;
    }
    if (apart < least) least = apart, nearest = known;
  }
  fail("'", names.path(), "': a ResNet of ", blocks[0], '-', blocks[1], '-', blocks[2], '-', blocks[3],
       c.bottleneck ? " bottleneck" : " basic", " blocks is none of the known architectures; the nearest is ", nearest);
}

// The object that files of our own keep as "config" in their metadata; an empty one if there is none.
inline nlohmann::json metadata_config(const Checkpoint& file) {
  const auto& metadata = file.metadata();
  const auto it = metadata.find("config");
  auto json = it == metadata.end() ? nlohmann::json() : nlohmann::json::parse(it->second, nullptr, false);
  return json.is_object() ? json : nlohmann::json::object();
}

}  // namespace d3ad::detail

namespace d3ad {

D3AD_INLINE Recognised recognise(const Checkpoint& file, const nlohmann::json& beside) {
  Recognised out;
  out.prefix = detail::autoencoder_prefix(file);
  const detail::NameLookup names(file, out.prefix);
  nlohmann::json given = detail::metadata_config(file);  // what no shape tells
  given.update(beside);
  if (names.has("time_embedding.1.weight") && names.has("down.0.0.weight")) {
    UNetConfig c = detail::recognise_unet(names);
    out.kind = NetworkKind::unet;
    out.heads_known = false;
    if (given.contains("heads") && given["heads"].is_number_integer()) {
      c.heads = given["heads"].get<int>();
      out.heads_known = true;
    }
    c.check();
    out.config = c;
    out.spelling = "the D3AD implementation's";
  } else if (names.has("decoder_unet.conv_in.weight")) {
    out.kind = NetworkKind::consistency_decoder;
    out.spelling = "diffusers'";
  } else if (names.has("encoder.conv_in.weight") && names.has("decoder.conv_in.weight")) {
    VaeConfig c = detail::recognise_vae(names);
    if (given.contains("norm_num_groups") && given["norm_num_groups"].is_number_integer())
      c.norm_groups = given["norm_num_groups"].get<int>();
    if (given.contains("scaling_factor") && given["scaling_factor"].is_number())
      c.scaling_factor = given["scaling_factor"].get<float>();
    c.check();
    out.kind = NetworkKind::vae;
    out.config = c;
    const bool old = names.has("encoder.mid_block.attentions.0.proj_attn.weight");
    out.spelling = names.respelt() ? "CompVis'" : old ? "diffusers', the old ones of the attention" : "diffusers'";
  } else if (names.has("encoder.14.weight") && names.has("decoder.19.weight")) {
    out.kind = NetworkKind::tiny_vae;
    out.config = TinyVaeConfig{.latent_channels = names.dim("encoder.14.weight", 0),
                               .midblock_group_norm = names.has("encoder.11.pool.0.weight"),
                               .width = names.dim("encoder.14.weight", 1)};
    out.spelling = names.respelt() ? "diffusers'" : "TAESD's";
  } else if (names.has("conv1.weight") && names.has("layer1.0.conv1.weight")) {
    out.kind = NetworkKind::resnet;
    out.config = detail::recognise_resnet(names);
    out.spelling = "torchvision's and timm's";
  }
  return out;
}

D3AD_INLINE bool make_recognised(const Params<Cpu>& params, const Recognised& found) {
  switch (found.kind) {
    case NetworkKind::unet:
      UNet<Cpu>(params, found.config.get<UNetConfig>());
      return true;
    case NetworkKind::vae:
      Vae<Cpu>(params, found.config.get<VaeConfig>());
      return true;
    case NetworkKind::tiny_vae:
      TinyVae<Cpu>(params, found.config.get<TinyVaeConfig>());
      return true;
    case NetworkKind::resnet:
      ResNet<Cpu>(params, found.config.get<ResNetConfig>());
      return true;
    case NetworkKind::consistency_decoder:
    case NetworkKind::unknown:
      break;
  }
  return false;
}

}  // namespace d3ad
