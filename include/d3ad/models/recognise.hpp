#pragma once
// Which of the known networks a file of weights holds, and at which size, from the names and shapes alone.
//
//   const Recognised net = recognise(checkpoint);     // {kind, config, prefix, spelling, heads_known}
//   if (net.kind == NetworkKind::unknown) ...
//   FileSource source(checkpoint, net.prefix);        // the prefix of an autoencoder within Stable Diffusion
//   UNet<Cpu>(params, net.config.get<UNetConfig>());
//
// weights_tools/d3ad_weights/recognise.py does the same in Python; tests/golden/recognise.json is the table on which both
// are tested.
//
// A UNet's weights do not show its number of heads: it is taken from the metadata's "config" if there is one; otherwise
// it is 8, the published value.

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/models/resnet.hpp"
#include "d3ad/models/tiny_vae.hpp"
#include "d3ad/models/unet.hpp"
#include "d3ad/models/vae.hpp"
#include "d3ad/weights/checkpoint.hpp"
#include "d3ad/weights/published_names.hpp"

namespace d3ad {

// consistency_decoder is known by name alone: it is not supported (examples/README.md, Known limits).
enum class NetworkKind { unknown, unet, vae, tiny_vae, resnet, consistency_decoder };

constexpr const char* name(NetworkKind kind) {
  switch (kind) {
    case NetworkKind::unet:
      return "UNet (guided diffusion)";
    case NetworkKind::vae:
      return "AutoencoderKL";
    case NetworkKind::tiny_vae:
      return "tiny autoencoder (TAESD)";
    case NetworkKind::resnet:
      return "ResNet";
    case NetworkKind::consistency_decoder:
      return "OpenAI's consistency decoder (diffusers' ConsistencyDecoderVAE)";
    case NetworkKind::unknown:
      break;
  }
  return "unknown";
}

struct Recognised {
  NetworkKind kind = NetworkKind::unknown;
  nlohmann::json config;
  std::string prefix;    // before all names of the network, if others are in the file too
  std::string spelling;  // whose names the tensors have, for people
  bool heads_known = true;
};

// beside: the config.json of a diffusers folder (model/networks.hpp reads it), which counts more than metadata.
Recognised recognise(const Checkpoint& file, const nlohmann::json& beside = nlohmann::json::object());

// Makes the network, which reads all of its parameters. False if it is none that can be made.
bool make_recognised(const Params<Cpu>& params, const Recognised& found);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/models/recognise-inl.hpp"
#endif
