#pragma once
// The latents a UNet learns from, and their file, which another run with the same images takes them from.
//
//   Latents latents{values, {n, h, w, c}};
//   const float scale = scale_latents(latents.values);
//   write_latents("model/work/latents.safetensors", key, latents, scale);
//   if (auto scale = read_latents("model/work/latents.safetensors", key, latents)) ...
//
// key: a text that is another one where anything is that the latents depend on.

#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "d3ad/core/check.hpp"
#include "d3ad/core/shape.hpp"
#include "d3ad/data/table.hpp"
#include "d3ad/weights/safetensors.hpp"

namespace d3ad {

struct Latents {
  std::vector<float> values;  // [n, h, w, c], scaled; n = pieces x ways to turn them
  Shape shape;
};

// A tiny VAE's latents are multiplied by 1 / their standard deviation over all training images: does so and returns it.
inline float scale_latents(std::vector<float>& values) {
  double sum = 0, squares = 0;
  for (const float v : values) sum += v;
  const double mean = sum / static_cast<double>(values.size());
  for (const float v : values) squares += (v - mean) * (v - mean);
  const double deviation = std::sqrt(squares / static_cast<double>(values.size()));
  const float scale = deviation > 1e-12 ? static_cast<float>(1.0 / deviation) : 1.0f;
  for (float& v : values) v *= scale;
  return scale;
}

// scale: what they were multiplied by.
inline void write_latents(const std::filesystem::path& path, const std::string& key, const Latents& latents,
                          float scale) {
  const Shape s = latents.shape;
  SafetensorsWriter writer;
  writer.metadata = {{"key", key}, {"latent_scale", number(scale)}};
  writer.add_floats("latents", {s.n, s.h, s.w, s.c}, latents.values.data());
  writer.write(path);
}

// out.shape is what is expected. Fills in the values and returns their scale, or nothing where the file is not there or
// holds others. Throws where it is damaged.
inline std::optional<float> read_latents(const std::filesystem::path& path, const std::string& key, Latents& out) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  const SafetensorsFile file(path);
  const auto metadata = file.metadata();
  if (!metadata.count("key") || metadata.at("key") != key || !file.has("latents") ||
      file.count("latents") != out.shape.size())
    return std::nullopt;
  const std::string& text = metadata.at("latent_scale");
  float scale = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), scale);
  D3AD_CHECK(error == std::errc() && end == text.data() + text.size(), "'", text, "' is not a number");
  out.values = file.floats("latents");
  return scale;
}

}  // namespace d3ad
