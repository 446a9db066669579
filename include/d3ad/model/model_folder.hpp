#pragma once
// What a model is on disk: a folder.
//
//   config.json              settings, networks' configurations, where the VAE is and its checksum; written last
//   extractor.safetensors    the ResNet, fine-tuned if the method does so
//   calibration.json         ranges of the maps and the threshold, learned on good images
//   vae.safetensors          the VAE, if it was copied (otherwise config.json says where it lies)
//   work/                    what resuming needs; may be deleted once the model is finished
//
// and what the method keeps (MethodInfo::files). Of D3AD:
//
//   unet.safetensors         the trained UNet
//   dic.safetensors          features of the good images and the bins of their distances
//   loss.csv, loss.png       how training went
//   events.out.tfevents.*    the same for TensorBoard, and how adaptation went
//
// A folder without config.json is an unfinished training. Each file is replaced atomically, and config.json holds the
// checksums of the others, so that a mixture of two trainings is noticed. A folder without a method in its config.json
// is one of D3AD, from before there were others.

#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>

#include "d3ad/anomaly/calibration.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/diffusion/implicit_conditioning.hpp"
#include "d3ad/model/networks.hpp"
#include "d3ad/model/settings.hpp"
#include "d3ad/models/resnet.hpp"
#include "d3ad/models/unet.hpp"

namespace d3ad {

struct ModelConfig {
  static constexpr int kFormat = 1;

  std::string category;
  int training_images = 0, held_back_images = 0;
  Settings settings;               // the method among them
  std::optional<UNetConfig> unet;  // these, if the method has them
  std::optional<ResNetConfig> extractor;
  std::string extractor_source, extractor_source_sha256;
  std::string vae;                 // the network's configuration, as JSON; empty: the method needs none
  std::filesystem::path vae_path;  // "vae.safetensors" if it was copied, otherwise an absolute path
  std::string vae_sha256;
  float latent_scale = 1;
  std::map<std::string, std::string> sha256;  // of the folder's other files, by name
};

nlohmann::json to_json_object(const ModelConfig& c);

// What is wrong with a model as a whole; the cause lets a program say what to do.
class ModelError : public Error {
 public:
  enum class Cause { missing, unfinished, calibration, no_vae };
  ModelError(Cause cause, const std::string& text) : Error(text), cause_(cause) {}
  Cause cause() const { return cause_; }

 private:
  Cause cause_;
};

// The folder's files and how they are read and written.
class ModelFolder {
 public:
  explicit ModelFolder(std::filesystem::path path) : path_(std::move(path)) {}

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  bool finished() const { return std::filesystem::exists(path_ / "config.json"); }

  // Reads config.json; every failure is a sentence that names the file and the field.
  ModelConfig read() const;

  void write(const ModelConfig& config) const;

  // Refuses a file that is not the one the configuration was written with.
  void check_file(const ModelConfig& config, const std::string& name) const;

  // ---- dic.safetensors: features [images, length], edges, distances; k and T_max in the metadata ----

  void write_conditioning(const ImplicitConditioning& conditioning) const;
  ImplicitConditioning read_conditioning(int threads) const;

  // ---- calibration.json ----

  void write_calibration(const anomaly::Calibration& calibration) const;
  anomaly::Calibration read_calibration() const;

  // The VAE by copy or by reference, with its checksum.
  template <class Device>
  Loaded<Autoencoder<Device>, Device> load_vae(const ModelConfig& config) const;

 private:
  std::filesystem::path path_;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/model/model_folder-inl.hpp"
#endif
