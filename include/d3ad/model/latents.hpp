#pragma once
// The latents a UNet learns from, and their file, which another run with the same images takes them from.
//
//   Latents latents{values, {n, h, w, c}};
//   const float scale = scale_latents(latents.values);
//   write_latents("model/work/latents.safetensors", key, latents, scale);
//   if (auto scale = read_latents("model/work/latents.safetensors", key, latents)) ...
//
// key: a text that is another one if anything is that the latents depend on.

#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "d3ad/core/check.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/core/shape.hpp"
#include "d3ad/data/table.hpp"
#include "d3ad/weights/safetensors.hpp"

namespace d3ad {

struct Latents {
  std::vector<float> values;  // [n, h, w, c], scaled; n = pieces x ways to turn them
  Shape shape;
};

// A tiny VAE's latents are multiplied by 1 / their standard deviation over all training images: does so and returns it.
float scale_latents(std::vector<float>& values);

// scale: what they were multiplied by.
void write_latents(const std::filesystem::path& path, const std::string& key, const Latents& latents, float scale);

// out.shape is what is expected. Fills in the values and returns their scale, or nothing if the file is not there or
// holds others. Throws if it is damaged.
std::optional<float> read_latents(const std::filesystem::path& path, const std::string& key, Latents& out);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/model/latents-inl.hpp"
#endif
