#pragma once
// The state of a training as a file: weights, the optimizer's moments and averages, the step count. A run that resumes
// from it equals an uninterrupted one bit for bit.
//
//   save_training_state(store, optimizer, "checkpoint.safetensors", {{"key", key}});
//   load_training_state(store, optimizer, SafetensorsFile("checkpoint.safetensors"), /*averages=*/true);
//
// Tensors are in file order, named "w.<parameter>", "m.<..>", "v.<..>" and "ema.<..>".

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/autograd/adamw.hpp"
#include "d3ad/weights/parameters.hpp"
#include "d3ad/weights/safetensors.hpp"

namespace d3ad {

// Written atomically; `metadata` comes along.
template <class Device>
void save_training_state(ParameterStore<Device>& store, AdamW<Device>& optimizer, const std::filesystem::path& path,
                         std::map<std::string, std::string> metadata) {
  SafetensorsWriter writer;
  std::vector<std::vector<float>> hold;
  const auto add = [&](const std::string& name, const Parameter<Device>& p, View<const float, Device> view) {
    std::vector<float> host(static_cast<std::size_t>(view.size()));
    copy_to_host(host.data(), view);
    hold.push_back(std::vector<float>(host.size()));
    to_file_order(hold.back().data(), host.data(), p.dims());
    writer.add_floats(name, p.dims(), hold.back().data());
  };
  for (const auto& p : std::as_const(store)) add("w." + p.name(), p, p.value());
  optimizer.each_state([&](const std::string& name, Parameter<Device>& p, Tensor<float, Device>& t) {
    add(name, p, std::as_const(t).view());
  });
  metadata["step"] = std::to_string(optimizer.steps());
  writer.metadata = std::move(metadata);
  writer.write(path);
}

// The file has to hold exactly this network's state. averages: the training keeps them.
template <class Device>
void load_training_state(ParameterStore<Device>& store, AdamW<Device>& optimizer, const SafetensorsFile& file,
                         bool averages) {
  const auto metadata = file.metadata();
  const auto it = metadata.find("step");
  D3AD_CHECK(it != metadata.end() && !it->second.empty() &&
                 it->second.find_first_not_of("0123456789") == std::string::npos && it->second.size() < 16,
             "'", file.path(), "' is not a training checkpoint; delete it to start afresh");
  const auto read = [&](const std::string& name, const Parameter<Device>& p, View<float, Device> view) {
    D3AD_CHECK(file.has(name) && file.dims(name) == p.dims(), "'", file.path(), "': '", name,
               "' is missing or of another shape; the checkpoint is of another network, delete it to start afresh");
    const auto values = file.floats(name);
    std::vector<float> host(values.size());
    to_channels_last(host.data(), values.data(), p.dims());
    copy_from_host(view, host.data());
  };
  const auto steps = std::stoll(it->second);
  if (averages && steps > 0) optimizer.allocate_averages();
  for (auto& p : store) read("w." + p.name(), p, p.edit());
  optimizer.each_state(
      [&](const std::string& name, Parameter<Device>& p, Tensor<float, Device>& t) { read(name, p, t.view()); });
  optimizer.set_steps(steps);
}

}  // namespace d3ad
