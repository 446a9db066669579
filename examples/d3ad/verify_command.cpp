// d3ad verify: runs what a reference file holds and compares, tensor by tensor.
//
//   d3ad verify golden/unet_small.safetensors golden/resnet18.safetensors --weights data/weights
//   d3ad verify --device cuda --precision half golden/*.safetensors
//
// A reference file's metadata says its `kind` and how to run it. weights_tools/README.md says how such files are made.
// The kinds are schedule, resize, unet, vae, tae, resnet, reconstruct, train_unet, adapt_resnet, dic, anomaly_map and
// metrics; include/d3ad/METHOD.md says what each checks. Each is one function below.

#include <fmt/core.h>

#include <cmath>

#include "device.hpp"
#include "verify.hpp"

namespace program {

namespace {

using namespace d3ad;
namespace fs = std::filesystem;

struct Kind {
  void (*run)(const ReferenceFile&, Comparisons&);
  bool on_device;
};

const std::map<std::string, Kind>& kinds() {
  static const std::map<std::string, Kind> all{{"schedule", {verify_schedule, false}},
                                               {"resize", {verify_resize, false}},
                                               {"unet", {verify_unet, true}},
                                               {"vae", {verify_vae, true}},
                                               {"tae", {verify_tae, true}},
                                               {"resnet", {verify_resnet, true}},
                                               {"reconstruct", {verify_reconstruct, true}},
                                               {"train_unet", {verify_train_unet, true}},
                                               {"adapt_resnet", {verify_adapt_resnet, true}},
                                               {"dic", {verify_dic, false}},
                                               {"anomaly_map", {verify_anomaly_map, true}},
                                               {"metrics", {verify_metrics, false}}};
  return all;
}

}  // namespace

// ---- Comparisons ----

void Comparisons::add(const std::string& name, std::span<const double> got, std::span<const double> want,
                      double tolerance) {
  D3AD_CHECK(got.size() == want.size(), "'", name, "' has ", want.size(), " numbers in the file, ", got.size(),
             " were computed");
  double worst = 0, largest = 0;
  bool finite = true;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(got[i]) != std::isnan(want[i])) finite = false;
    if (std::isnan(want[i]) && std::isnan(got[i])) continue;
    if (got[i] == want[i]) continue;
    worst = std::max(worst, std::abs(got[i] - want[i]));
    largest = std::max(largest, std::abs(want[i]));
  }
  for (const double w : want)
    if (std::isfinite(w)) largest = std::max(largest, std::abs(w));
  const bool close = finite && worst <= tolerance * largest;
  const double relative = largest > 0 ? worst / largest : worst > 0 ? INFINITY : 0.0;
  fmt::print("  {:44} {:>9} values   max abs {:.3e}   max rel {:.3e}   allowed {:.1e}   {}\n", name, got.size(), worst,
             relative, tolerance, close ? "ok" : "OVER");
  failed_ += close ? 0 : 1;
  ++compared_;
}

void Comparisons::add_levels(const std::string& name, std::span<const double> got, std::span<const double> want,
                             double levels) {
  D3AD_CHECK(got.size() == want.size(), "'", name, "' has ", want.size(), " numbers in the file, ", got.size(),
             " were computed");
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) worst = std::max(worst, std::abs(got[i] - want[i]));
  fmt::print("  {:44} {:>9} values   max abs {:.3e}   allowed {:g}   {}\n", name, got.size(), worst, levels,
             worst <= levels ? "ok" : "OVER");
  failed_ += worst <= levels ? 0 : 1;
  ++compared_;
}

// ---- ReferenceFile ----

ReferenceFile::ReferenceFile(const fs::path& path, std::vector<fs::path> look_in, CommonOptions options)
    : file(std::make_shared<const SafetensorsFile>(path)),
      common(std::move(options)),
      allowed(tolerances(common.precision)),
      look_in_(std::move(look_in)) {
  look_in_.insert(look_in_.begin(), {path.parent_path().empty() ? fs::path(".") : path.parent_path(), fs::path(".")});
}

std::string ReferenceFile::text(const std::string& key, const std::string& otherwise) const {
  const auto metadata = file->metadata();
  const auto it = metadata.find(key);
  return it == metadata.end() ? otherwise : it->second;
}
std::string ReferenceFile::text(const std::string& key) const {
  const auto metadata = file->metadata();
  const auto it = metadata.find(key);
  D3AD_CHECK(it != metadata.end(), "'", file->path(), "': its metadata does not say '", key, "'");
  return it->second;
}
double ReferenceFile::number(const std::string& key) const {
  const std::string value = text(key);
  char* end = nullptr;
  const double number = std::strtod(value.c_str(), &end);
  D3AD_CHECK(!value.empty() && end == value.c_str() + value.size(), "'", file->path(), "': metadata '", key, "' is '",
             value, "', expected a number");
  return number;
}
double ReferenceFile::number(const std::string& key, double otherwise) const {
  return text(key, "").empty() ? otherwise : number(key);
}
nlohmann::json ReferenceFile::config() const {
  auto json = nlohmann::json::parse(text("config", "{}"), nullptr, false);
  D3AD_CHECK(json.is_object(), "'", file->path(), "': metadata 'config' is not a JSON object");
  return json;
}

fs::path ReferenceFile::find(const std::string& name) const {
  std::string places;
  for (const auto& folder : look_in_) {
    if (fs::exists(folder / name)) return folder / name;
    places += (places.empty() ? "'" : ", '") + folder.string() + "'";
  }
  fail("'", file->path(), "' needs '", name, "', which is not in ", places, "; say where it is with --weights");
}

std::unique_ptr<WeightSource> ReferenceFile::weights() const {
  const std::string where = text("weights");
  if (where == "hash") return std::make_unique<HashSource>(text("prefix", ""));
  return std::make_unique<FileSource>(find(where), text("prefix", ""));
}

Tensor<float, Cpu> ReferenceFile::tensor(const std::string& name) const {
  const auto values = file->floats(name);
  Tensor<float, Cpu> out(channels_last(file->dims(name)));
  to_channels_last(out.data(), values.data(), file->dims(name));
  return out;
}
std::vector<double> ReferenceFile::doubles(const std::string& name) const {
  const auto values = file->floats(name);
  return {values.begin(), values.end()};
}
std::vector<std::int32_t> ReferenceFile::integers(const std::string& name) const {
  std::vector<std::int32_t> out;
  for (const auto v : file->ints(name)) out.push_back(static_cast<std::int32_t>(v));
  return out;
}
void ReferenceFile::compare_numbers(Comparisons& all, const std::string& name, const std::vector<float>& got,
                                    double tolerance) const {
  const auto dims = file->dims(name);
  D3AD_CHECK(channels_last(dims).size() == static_cast<std::int64_t>(got.size()), "'", file->path(), "': '", name,
             "' is ", dims_text(dims), ", the program computed ", got.size(), " numbers");
  const auto turned = to_file_order(got, dims);
  all.add(name, std::vector<double>(turned.begin(), turned.end()), doubles(name), tolerance);
}

void add_verify(CLI::App& app, int& exit_code) {
  struct Options {
    std::vector<std::string> files, weights;
    CommonOptions common;
  };
  auto* command = app.add_subcommand("verify", "run what reference files hold and compare, tensor by tensor");
  auto options = std::make_shared<Options>();
  command->add_option("FILE", options->files, "reference files (safetensors with a 'kind' in the metadata)")
      ->required();
  command->add_option("--weights", options->weights, "folders to look for weights and maps in, beside the file's own");
  options->common.add_device(*command);
  command->footer(
      "Tolerances in float: 1e-4 of the largest value for a network's output, 1e-3 for gradients, 1e-5 for schedule,\n"
      "distances, maps and metrics, exact for bins and T, one level for resized images. In tf32 and half 2e-2 for a\n"
      "network and 5e-2 for gradients and what comes after steps, in bfloat16 1.5e-1 and 2e-1; each line says its "
      "own.\n"
      "schedule, resize, dic and metrics are computed on the host on any device.\n"
      "Exit code: 0 all within tolerance, 1 a tensor is over it, 2 a file could not be run.");
  command->callback([options, &exit_code] {
    std::vector<fs::path> look_in(options->weights.begin(), options->weights.end());
    on_device(options->common, [](auto&) {});  // a device that is not there is said once
    bool broken = false;
    for (const auto& path : options->files) {
      try {
        const ReferenceFile reference(path, look_in, options->common);
        const std::string kind = reference.text("kind");
        const auto it = kinds().find(kind);
        std::string known;
        for (const auto& [name, what] : kinds()) known += (known.empty() ? "" : ", ") + name;
        D3AD_CHECK(it != kinds().end(), "'", path, "' is of kind '", kind, "'; known are ", known);
        const bool elsewhere = options->common.device != "cpu" && !it->second.on_device;
        fmt::print("{} ({}{})\n", path, kind, elsewhere ? ", on the host" : "");
        Comparisons all;
        it->second.run(reference, all);
        D3AD_CHECK(all.compared() > 0, "'", path, "' holds nothing to compare");
        if (all.failed() > 0 && exit_code == 0) exit_code = 1;
      } catch (const nlohmann::json::exception& error) {
        std::fprintf(stderr, "d3ad: '%s': its config is not understood (%s)\n", path.c_str(), error.what());
        broken = true;
      } catch (const Error& error) {
        std::fprintf(stderr, "d3ad: %s\n", error.what());
        broken = true;
      }
    }
    if (broken) exit_code = 2;
  });
}

}  // namespace program
