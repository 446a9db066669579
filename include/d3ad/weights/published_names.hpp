#pragma once
// The names that a published checkpoint has for the tensors of d3ad's networks.
//
//   PublishedNames names(checkpoint.names(), "first_stage_model.");
//   *names.find("decoder.conv_norm_out.weight")      "first_stage_model.decoder.norm_out.weight"
//
// These are undone, in this order: a prefix (if the file holds other networks too), the wrappers of tools that train in
// parallel, and the spelling:
//
//   CompVis' autoencoder   encoder.down.I.block.J, decoder.up.I (counted from the other end), mid.block_1, mid.attn_1
//   diffusers' tiny one    encoder.layers.I; decoder.layers.I, which does not count TAESD's clamp before it
//
// (nn::VaeAttention itself knows query, key, value and proj_attn.) weights_tools/d3ad_weights/naming.py has the same
// table for Python, in both directions.

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "d3ad/core/check.hpp"
#include "d3ad/core/compiled.hpp"

namespace d3ad {

namespace detail {

// "encoder.down.1.block.0.norm1.weight" at its dots; the parts lie in the name, which has to outlive them.
std::vector<std::string_view> name_parts(std::string&& name) = delete;

}  // namespace detail

// A tensor's name, without prefix and wrappers, as the networks ask for it; as it is if no spelling is known.
std::string own_name(std::string_view name, int decoder_levels);

class PublishedNames {
 public:
  PublishedNames(const std::vector<std::string>& stored, const std::string& prefix);

  // The name in the file; nullptr if there is none.
  const std::string* find(const std::string& own) const;
  // The networks' name of a tensor under the prefix.
  const std::string& own(const std::string& stored) const { return own_.at(stored); }
  // Whether any name of the file is spelt otherwise than the networks spell it, wrappers apart.
  bool respelt() const;

 private:
  // Tools that train in parallel put these before every name, once or twice.
  static constexpr std::string_view kWrappers[] = {"module.", "model."};

  std::string unwrapped(std::string_view name) const;

  std::string prefix_;
  std::map<std::string, std::string> by_own_;  // own -> stored
  std::map<std::string, std::string> own_;     // stored -> own
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/weights/published_names-inl.hpp"
#endif
