#pragma once
// What a model is on disk: a folder.
//
//   config.json              settings, networks' configurations, where the VAE is and its checksum; written last
//   unet.safetensors         the trained UNet
//   extractor.safetensors    the (adapted) ResNet
//   dic.safetensors          features of the good images and the bins of their distances
//   calibration.json         ranges of the maps and the threshold, learned on good images
//   vae.safetensors          the VAE, where it was copied (else config.json says where it lies)
//   loss.csv, loss.png       how training went
//   events.out.tfevents.*    the same for TensorBoard, and how adaptation went
//   work/                    latents and checkpoint, for resuming; may be deleted once the model is finished
//
// A folder without config.json is an unfinished training. Each file is replaced atomically, and config.json holds the
// checksums of the others, so that a mixture of two trainings is noticed.

#include <charconv>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "d3ad/anomaly/calibration.hpp"
#include "d3ad/diffusion/implicit_conditioning.hpp"
#include "d3ad/model/networks.hpp"
#include "d3ad/model/settings_json.hpp"
#include "d3ad/models/resnet.hpp"
#include "d3ad/models/unet.hpp"

namespace d3ad {

struct ModelConfig {
  static constexpr int kFormat = 1;

  std::string category;
  int training_images = 0, held_back_images = 0;
  Settings settings;
  UNetConfig unet;
  ResNetConfig extractor;
  std::string extractor_source, extractor_source_sha256;
  nlohmann::json vae;              // the network's configuration
  std::filesystem::path vae_path;  // "vae.safetensors" where it was copied, else an absolute path
  std::string vae_sha256;
  float latent_scale = 1;
  std::map<std::string, std::string> sha256;  // of the folder's other files, by name
};

inline nlohmann::json to_json_object(const ModelConfig& c) {
  return {
      {"format", ModelConfig::kFormat},
      {"category", c.category},
      {"training_images", c.training_images},
      {"held_back_images", c.held_back_images},
      {"settings", c.settings},
      {"unet", c.unet},
      {"extractor", c.extractor},
      {"extractor_source", {{"path", c.extractor_source}, {"sha256", c.extractor_source_sha256}}},
      {"vae",
       {{"config", c.vae}, {"path", c.vae_path.string()}, {"sha256", c.vae_sha256}, {"latent_scale", c.latent_scale}}},
      {"files", c.sha256}};
}

// The folder's files and how they are read and written.
class ModelFolder {
 public:
  explicit ModelFolder(std::filesystem::path path) : path_(std::move(path)) {}

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const char* name) const { return path_ / name; }
  bool finished() const { return std::filesystem::exists(path_ / "config.json"); }

  // Reads config.json; every failure is a sentence that names the file and the field.
  ModelConfig read() const {
    D3AD_CHECK(std::filesystem::is_directory(path_), "model '", path_.string(),
               "' is not a folder; make one with d3ad train");
    D3AD_CHECK(finished(), "model '", path_.string(),
               "' has no config.json: its training is not finished; run d3ad train again with the same --model");
    const auto file = path_ / "config.json";
    const auto json = detail::parse_json_file(file);
    ModelConfig c;
    try {
      D3AD_CHECK(json.at("format").get<int>() == ModelConfig::kFormat, "'", file.string(), "' is of format ",
                 json.at("format").get<int>(), ", this program reads ", ModelConfig::kFormat,
                 "; train the model again");
      c.category = json.at("category").get<std::string>();
      c.training_images = json.at("training_images").get<int>();
      c.held_back_images = json.value("held_back_images", 0);
      c.settings = settings_of(json.at("settings"), file);
      c.unet = json.at("unet").get<UNetConfig>();
      c.extractor = json.at("extractor").get<ResNetConfig>();
      c.extractor_source = json.at("extractor_source").at("path").get<std::string>();
      c.extractor_source_sha256 = json.at("extractor_source").at("sha256").get<std::string>();
      const auto& vae = json.at("vae");
      c.vae = vae.at("config");
      c.vae_path = vae.at("path").get<std::string>();
      c.vae_sha256 = vae.at("sha256").get<std::string>();
      c.latent_scale = vae.at("latent_scale").get<float>();
      c.sha256 = json.at("files").get<std::map<std::string, std::string>>();
    } catch (const nlohmann::json::exception& error) {
      fail("'", file.string(), "' is not a model's configuration (", error.what(), "); train the model again");
    }
    return c;
  }

  void write(const ModelConfig& config) const {
    write_atomically(path_ / "config.json", to_json_object(config).dump(2) + "\n");
  }

  // Refuses a file that is not the one the configuration was written with.
  void check_file(const ModelConfig& config, const std::string& name) const {
    const auto it = config.sha256.find(name);
    D3AD_CHECK(it != config.sha256.end(), "model '", path_.string(), "': config.json does not list '", name,
               "'; train the model again");
    D3AD_CHECK(file_sha256(path_ / name) == it->second, "model '", path_.string(), "': '", name,
               "' is not the file this model was made with (another checksum): it is damaged or of another model");
  }

  // ---- dic.safetensors: features [images, length], edges, distances; k and T_max in the metadata ----

  void write_conditioning(const ImplicitConditioning& conditioning) const {
    const auto& state = conditioning.state();
    SafetensorsWriter writer;
    writer.metadata = {{"k", std::to_string(state.k)}, {"T_max", std::to_string(state.T_max)}};
    writer.add_floats("features", {state.features.shape().n, state.features.shape().c}, state.features.data());
    writer.add_floats("edges", {static_cast<std::int64_t>(state.edges.size())}, state.edges.data());
    writer.add_floats("distances", {static_cast<std::int64_t>(state.distances.size())}, state.distances.data());
    writer.write(path_ / "dic.safetensors");
  }
  ImplicitConditioning read_conditioning(int threads) const {
    const SafetensorsFile file(path_ / "dic.safetensors");
    const auto whole = [&](const char* key) {
      const auto metadata = file.metadata();
      const auto it = metadata.find(key);
      int value = 0;
      if (it != metadata.end()) {
        const auto [end, error] = std::from_chars(it->second.data(), it->second.data() + it->second.size(), value);
        if (error != std::errc() || *end != 0) value = 0;
      }
      D3AD_CHECK(value > 0, "'", file.path(), "': its metadata has no '", key, "'; run d3ad calibrate again");
      return value;
    };
    ImplicitConditioning::State state;
    state.k = whole("k");
    state.T_max = whole("T_max");
    const auto dims = file.dims("features");
    D3AD_CHECK(dims.size() == 2 && dims[0] > 0 && dims[1] > 0, "'", file.path(), "': its features are ",
               dims_text(dims), ", expected one row an image; run d3ad calibrate again");
    state.features = Tensor<float, Cpu>({.n = dims[0], .c = dims[1]});
    file.read_floats("features", state.features.data());
    state.edges = file.floats("edges");
    state.distances = file.floats("distances");
    return ImplicitConditioning(std::move(state), threads);
  }

  // ---- calibration.json ----

  void write_calibration(const anomaly::Calibration& calibration) const {
    write_atomically(path_ / "calibration.json", nlohmann::json(calibration).dump(2) + "\n");
  }
  anomaly::Calibration read_calibration() const {
    return detail::parse_json_file(path_ / "calibration.json").get<anomaly::Calibration>();
  }

  // The VAE by copy or by reference, with its checksum.
  template <class Device>
  Loaded<Autoencoder<Device>, Device> load_vae(const ModelConfig& config) const {
    auto where = config.vae_path.is_absolute() ? config.vae_path : path_ / config.vae_path;
    D3AD_CHECK(std::filesystem::exists(where), "model '", path_.string(), "': its VAE '", where.string(),
               "' is not there any more; put it back, or train with --copy-vae");
    auto vae = load_autoencoder<Device>(where);
    D3AD_CHECK(vae.sha256 == config.vae_sha256, "model '", path_.string(), "' was trained with another VAE than '",
               where.string(), "' (checksum ", vae.sha256.substr(0, 12), "..., expected ",
               config.vae_sha256.substr(0, 12), "...)");
    vae->set_latent_scale(config.latent_scale);
    return vae;
  }

 private:
  static Settings settings_of(const nlohmann::json& json, const std::filesystem::path& file) try {
    auto settings = json.get<Settings>();
    if (!json.contains("held_back")) settings.data.held_back = 0;  // models from before there was one
    settings.check();
    return settings;
  } catch (const Error& error) {
    fail("'", file.string(), "': ", error.what());
  }

  std::filesystem::path path_;
};

}  // namespace d3ad
