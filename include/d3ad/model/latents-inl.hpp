#pragma once
// Definitions of model/latents.hpp. Included by it unless they are compiled.

#include "d3ad/model/latents.hpp"

namespace d3ad {

D3AD_INLINE float scale_latents(std::vector<float>& values) {
  double sum = 0, squares = 0;
  for (const float v : values) sum += v;
  const double mean = sum / static_cast<double>(values.size());
  for (const float v : values) squares += (v - mean) * (v - mean);
  const double deviation = std::sqrt(squares / static_cast<double>(values.size()));
  const float scale = deviation > 1e-12 ? static_cast<float>(1.0 / deviation) : 1.0f;
  for (float& v : values) v *= scale;
  return scale;
}

D3AD_INLINE void write_latents(const std::filesystem::path& path, const std::string& key, const Latents& latents,
                               float scale) {
  const Shape s = latents.shape;
  SafetensorsWriter writer;
  writer.metadata = {{"key", key}, {"latent_scale", number(scale)}};
  writer.add_floats("latents", {s.n, s.h, s.w, s.c}, latents.values.data());
  writer.write(path);
}

D3AD_INLINE std::optional<float> read_latents(const std::filesystem::path& path, const std::string& key, Latents& out) {
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
