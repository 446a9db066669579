// The spellings of published checkpoints, name by name, and names that are none.

#include "d3ad/weights/published_names.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace published_names_test {

using namespace d3ad;

TEST_CASE("CompVis' names of the autoencoder") {
  const std::pair<const char*, const char*> names[] = {
      {"encoder.conv_in.weight", "encoder.conv_in.weight"},
      {"encoder.down.0.block.1.norm1.weight", "encoder.down_blocks.0.resnets.1.norm1.weight"},
      {"encoder.down.1.block.0.nin_shortcut.bias", "encoder.down_blocks.1.resnets.0.conv_shortcut.bias"},
      {"encoder.down.2.downsample.conv.weight", "encoder.down_blocks.2.downsamplers.0.conv.weight"},
      {"encoder.mid.block_1.conv1.weight", "encoder.mid_block.resnets.0.conv1.weight"},
      {"encoder.mid.block_2.conv2.bias", "encoder.mid_block.resnets.1.conv2.bias"},
      {"encoder.mid.attn_1.norm.weight", "encoder.mid_block.attentions.0.group_norm.weight"},
      {"encoder.mid.attn_1.q.weight", "encoder.mid_block.attentions.0.to_q.weight"},
      {"decoder.mid.attn_1.k.bias", "decoder.mid_block.attentions.0.to_k.bias"},
      {"decoder.mid.attn_1.v.weight", "decoder.mid_block.attentions.0.to_v.weight"},
      {"decoder.mid.attn_1.proj_out.bias", "decoder.mid_block.attentions.0.to_out.0.bias"},
      {"decoder.up.3.block.2.conv1.weight", "decoder.up_blocks.0.resnets.2.conv1.weight"},
      {"decoder.up.0.block.0.nin_shortcut.weight", "decoder.up_blocks.3.resnets.0.conv_shortcut.weight"},
      {"decoder.up.1.upsample.conv.bias", "decoder.up_blocks.2.upsamplers.0.conv.bias"},
      {"encoder.norm_out.weight", "encoder.conv_norm_out.weight"},
      {"decoder.norm_out.bias", "decoder.conv_norm_out.bias"},
      {"decoder.conv_out.weight", "decoder.conv_out.weight"},
      {"quant_conv.weight", "quant_conv.weight"}};
  std::vector<std::string> stored{"model.diffusion_model.out.weight"};
  for (const auto& name : names) {
    const std::string theirs = name.first, ours = name.second;
    CAPTURE(theirs);
    CHECK(own_name(theirs, 4) == ours);
    stored.push_back(std::string("first_stage_model.") + theirs);
  }
  const PublishedNames published(stored, "first_stage_model.");
  CHECK(published.respelt());
  for (const auto& name : names) {
    const std::string theirs = name.first, ours = name.second;
    CAPTURE(ours);
    REQUIRE(published.find(ours));
    CHECK(*published.find(ours) == std::string("first_stage_model.") + theirs);
    CHECK(published.own(*published.find(ours)) == ours);
  }
  CHECK(!published.find("diffusion_model.out.weight"));
}

TEST_CASE("the tiny autoencoder's layers of diffusers") {
  CHECK(own_name("encoder.layers.0.weight", 0) == "encoder.0.weight");
  CHECK(own_name("encoder.layers.14.bias", 0) == "encoder.14.bias");
  CHECK(own_name("decoder.layers.0.weight", 0) == "decoder.1.weight");
  CHECK(own_name("decoder.layers.2.conv.4.bias", 0) == "decoder.3.conv.4.bias");
  CHECK(own_name("decoder.layers.18.weight", 0) == "decoder.19.weight");
}

TEST_CASE("names that are spelt as the networks spell them stay") {
  const std::vector<std::string> own{"conv1.weight",
                                     "layer1.0.downsample.0.weight",
                                     "encoder.down_blocks.0.resnets.0.conv1.weight",
                                     "decoder.up_blocks.3.upsamplers.0.conv.weight",
                                     "encoder.mid_block.attentions.0.query.weight",
                                     "encoder.14.weight",
                                     "decoder.1.weight",
                                     "down.0.0.weight",
                                     "time_embedding.1.weight"};
  for (const std::string& name : own) CHECK(own_name(name, 4) == name);
  CHECK(!PublishedNames(own, "").respelt());
}

TEST_CASE("wrappers of one or two tools are taken off, and are no spelling") {
  const PublishedNames names({"module.conv1.weight", "model.bn1.weight", "module.model.fc.weight"}, "");
  CHECK(*names.find("conv1.weight") == "module.conv1.weight");
  CHECK(*names.find("bn1.weight") == "model.bn1.weight");
  CHECK(*names.find("fc.weight") == "module.model.fc.weight");
  CHECK(!names.respelt());
}

TEST_CASE("what looks like a spelling but is none stays as it is") {
  for (const std::string name : {"",
                                 ".",
                                 "encoder",
                                 "encoder.",
                                 "encoder.down",
                                 "encoder.down.0",
                                 "encoder.down.0.block.0",
                                 "encoder.down.x.block.0.c",
                                 "encoder.down.-1.block.0.c.w",
                                 "encoder.down.0000.block.0.c.w",
                                 "encoder.down.0.block.x.c.w",
                                 "encoder.up.0.block.0.c.w",
                                 "decoder.down.0.block.0.c.w",
                                 "decoder.up.4.block.0.c.w",
                                 "decoder.up.99999999999.block.0.c.w",
                                 "encoder.down.0.upsample.conv.w",
                                 "encoder.mid.block_3.c.w",
                                 "encoder.mid.attn_1.q",
                                 "encoder.mid.attn_1.x.w",
                                 "encoder.layers.x.w",
                                 "encoder.layers..w",
                                 "encoder...",
                                 "other.mid.block_1.c.w"}) {
    CAPTURE(name);
    CHECK(own_name(name, 4) == name);
  }
}

}  // namespace published_names_test
