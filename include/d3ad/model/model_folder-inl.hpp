#pragma once
// Definitions of model/model_folder.hpp. Included by it unless they are compiled.

#include <charconv>
#include <nlohmann/json.hpp>

#include "d3ad/model/model_folder.hpp"
#include "d3ad/model/settings_json.hpp"

namespace d3ad {

D3AD_INLINE nlohmann::json to_json_object(const ModelConfig& c) {
  nlohmann::json j = {{"format", ModelConfig::kFormat},
                      {"method", c.settings.method},
                      {"category", c.category},
                      {"training_images", c.training_images},
                      {"held_back_images", c.held_back_images},
                      {"settings", c.settings},
                      {"files", c.sha256}};
  if (c.unet) j["unet"] = *c.unet;
  if (c.extractor) {
    j["extractor"] = *c.extractor;
    j["extractor_source"] = {{"path", c.extractor_source}, {"sha256", c.extractor_source_sha256}};
  }
  if (!c.vae.empty())
    j["vae"] = {{"config", nlohmann::json::parse(c.vae)},
                {"path", c.vae_path.string()},
                {"sha256", c.vae_sha256},
                {"latent_scale", c.latent_scale}};
  return j;
}

}  // namespace d3ad

namespace d3ad::detail {

// A model's settings, checked; an Error names the file.
inline Settings settings_of(const nlohmann::json& json, const std::filesystem::path& file) try {
  auto settings = json.get<Settings>();
  if (!json.contains("held_back")) settings.data.held_back = 0;  // models from before there was one
  settings.check();
  return settings;
} catch (const Error& error) {
  fail("'", file.string(), "': ", error.what());
}

}  // namespace d3ad::detail

namespace d3ad {

D3AD_INLINE ModelConfig ModelFolder::read() const {
  using Cause = ModelError::Cause;
  if (!std::filesystem::is_directory(path_))
    throw ModelError(Cause::missing, concat("model '", path_.string(), "' is not a folder"));
  if (!finished())
    throw ModelError(Cause::unfinished,
                     concat("model '", path_.string(), "' has no config.json: its training is not finished"));
  const auto file = path_ / "config.json";
  const auto json = detail::parse_json_file(file);
  ModelConfig c;
  try {
    D3AD_CHECK(json.at("format").get<int>() == ModelConfig::kFormat, "'", file.string(), "' is of format ",
               json.at("format").get<int>(), ", this program reads ", ModelConfig::kFormat, "; train the model again");
    c.category = json.at("category").get<std::string>();
    c.training_images = json.at("training_images").get<int>();
    c.held_back_images = json.value("held_back_images", 0);
    c.settings = detail::settings_of(json.at("settings"), file);
    const std::string method = json.value("method", "d3ad");
    D3AD_CHECK(method == c.settings.method, "'", file.string(), "' is of the method '", method, "', its settings of '",
               c.settings.method, "'");
    if (c.settings.of_d3ad()) c.unet = json.at("unet").get<UNetConfig>();
    if (c.settings.needs_extractor()) {
      c.extractor = json.at("extractor").get<ResNetConfig>();
      c.extractor_source = json.at("extractor_source").at("path").get<std::string>();
      c.extractor_source_sha256 = json.at("extractor_source").at("sha256").get<std::string>();
    }
    if (c.settings.needs_vae()) {
      const auto& vae = json.at("vae");
      c.vae = vae.at("config").dump();
      c.vae_path = vae.at("path").get<std::string>();
      c.vae_sha256 = vae.at("sha256").get<std::string>();
      c.latent_scale = vae.at("latent_scale").get<float>();
    }
    c.sha256 = json.at("files").get<std::map<std::string, std::string>>();
  } catch (const nlohmann::json::exception& error) {
    fail("'", file.string(), "' is not a model's configuration (", error.what(), "); train the model again");
  }
  return c;
}

D3AD_INLINE void ModelFolder::write(const ModelConfig& config) const {
  write_atomically(path_ / "config.json", to_json_object(config).dump(2) + "\n");
}

D3AD_INLINE void ModelFolder::check_file(const ModelConfig& config, const std::string& name) const {
  const auto it = config.sha256.find(name);
  D3AD_CHECK(it != config.sha256.end(), "model '", path_.string(), "': config.json does not list '", name,
             "'; train the model again");
  D3AD_CHECK(file_sha256(path_ / name) == it->second, "model '", path_.string(), "': '", name,
             "' is not the file this model was made with (another checksum): it is damaged or of another model");
}

D3AD_INLINE void ModelFolder::write_conditioning(const ImplicitConditioning& conditioning) const {
  const auto& state = conditioning.state();
  SafetensorsWriter writer;
  writer.metadata = {{"k", std::to_string(state.k)}, {"T_max", std::to_string(state.T_max)}};
  writer.add_floats("features", {state.features.shape().n, state.features.shape().c}, state.features.data());
  writer.add_floats("edges", {static_cast<std::int64_t>(state.edges.size())}, state.edges.data());
  writer.add_floats("distances", {static_cast<std::int64_t>(state.distances.size())}, state.distances.data());
  writer.write(path_ / "dic.safetensors");
}

D3AD_INLINE ImplicitConditioning ModelFolder::read_conditioning(int threads) const {
  const SafetensorsFile file(path_ / "dic.safetensors");
  const auto whole = [&](const char* key) {
    const auto metadata = file.metadata();
    const auto it = metadata.find(key);
    int value = 0;
    if (it != metadata.end()) {
      const auto [end, error] = std::from_chars(it->second.data(), it->second.data() + it->second.size(), value);
      if (error != std::errc() || *end != 0) value = 0;
    }
    if (value <= 0)
      throw ModelError(ModelError::Cause::calibration,
                       concat("'", file.path(), "': its metadata has no '", key, "', expected a whole number"));
    return value;
  };
  ImplicitConditioning::State state;
  state.k = whole("k");
  state.T_max = whole("T_max");
  const auto dims = file.dims("features");
  if (dims.size() != 2 || dims[0] <= 0 || dims[1] <= 0)
    throw ModelError(ModelError::Cause::calibration,
                     concat("'", file.path(), "': its features are ", dims_text(dims), ", expected one row an image"));
  state.features = Tensor<float, Cpu>({.n = dims[0], .c = dims[1]});
  file.read_floats("features", state.features.data());
  state.edges = file.floats("edges");
  state.distances = file.floats("distances");
  return ImplicitConditioning(std::move(state), threads);
}

D3AD_INLINE void ModelFolder::write_calibration(const anomaly::Calibration& calibration) const {
  write_atomically(path_ / "calibration.json", nlohmann::json(calibration).dump(2) + "\n");
}

D3AD_INLINE anomaly::Calibration ModelFolder::read_calibration() const {
  return detail::parse_json_file(path_ / "calibration.json").get<anomaly::Calibration>();
}

template <class Device>
Loaded<Autoencoder<Device>, Device> ModelFolder::load_vae(const ModelConfig& config) const {
  auto where = config.vae_path.is_absolute() ? config.vae_path : path_ / config.vae_path;
  if (!std::filesystem::exists(where))
    throw ModelError(ModelError::Cause::no_vae,
                     concat("model '", path_.string(), "': its VAE '", where.string(), "' is not there any more"));
  auto vae = load_autoencoder<Device>(where);
  D3AD_CHECK(vae.sha256 == config.vae_sha256, "model '", path_.string(), "' was trained with another VAE than '",
             where.string(), "' (checksum ", vae.sha256.substr(0, 12), "..., expected ",
             config.vae_sha256.substr(0, 12), "...)");
  vae->set_latent_scale(config.latent_scale);
  return vae;
}

}  // namespace d3ad
