#pragma once
// Definitions of pipeline/baselines.hpp. Included by it unless they are compiled.

#include <algorithm>

#include "d3ad/data/image_loader.hpp"
#include "d3ad/methods/learners.hpp"
#include "d3ad/pipeline/baselines.hpp"

namespace d3ad::detail {

// The baseline's own settings; options that it shares with the model's method are as they are there.
inline Settings baseline_settings(const std::string& name, const Settings& model) {
  Settings settings = Settings::of_method(name);
  take_options(settings, model, [](const Option&) { return true; });
  return settings;
}

}  // namespace d3ad::detail

namespace d3ad {

template <class Device>
std::vector<std::unique_ptr<Method<Device>>> baselines(Detector<Device>& detector, const std::vector<Sample>& good,
                                                       std::vector<std::string>& left_out) {
  const MethodInfo& own = detector.method().info();
  std::vector<std::filesystem::path> paths;
  for (const auto& s : good) paths.push_back(s.image);
  ImageLoader loader(paths, detector.tiling());
  std::vector<std::filesystem::path> readable;
  for (const auto& path : paths) {
    const auto item = loader.next();
    if (item.error.empty())
      readable.push_back(path);
    else
      left_out.push_back(item.error);
  }
  D3AD_CHECK(!readable.empty(), "baselines: there are no good images to learn from");
  const GoodImages images(readable, {.tiling = detector.tiling(), .held_back = 0, .seed = 0});
  const TrainEvents events;
  std::vector<std::unique_ptr<Method<Device>>> out;
  for (const auto& name : method_names()) {
    const MethodInfo& info = method_info(name);
    if (!info.baseline || name == own.name || (info.needs_vae && !own.needs_vae) ||
        (info.needs_extractor && !own.needs_extractor))
      continue;
    auto settings = detail::baseline_settings(name, detector.settings());
    out.push_back(make_method<Device>(name, detector.method().shared_networks(), settings));
    TrainRequest request;
    request.settings = settings;
    const ModelFolder folder{std::filesystem::path()};
    Learning<Device> learning{detector.context(), Group::alone(), request, events, images, folder};
    learn(*out.back(), learning, Stage::train);
  }
  return out;
}

}  // namespace d3ad
