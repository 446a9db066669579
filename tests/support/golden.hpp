#pragma once
// Golden files: reference inputs and outputs as channels-last tensors.
//
//   test::Golden golden("unet_small");
//   auto x = golden.tensor("x");                 // Tensor<float, Cpu>, axes turned
//   auto t = golden.steps("t");                  // Tensor<int32_t, Cpu>
//   golden.config()                              // the metadata's config, parsed
//   test::compare(got, want, test::kTolerances.network)

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "d3ad/backend/cpu/memory.hpp"
#include "d3ad/core/tolerance.hpp"
#include "d3ad/core/value.hpp"
#include "d3ad/weights/safetensors.hpp"

namespace d3ad::test {

// How far results in float may be from a golden file's.
inline constexpr Tolerances kTolerances{};

class Golden {
 public:
  explicit Golden(const std::string& name) : file(std::string(D3AD_GOLDEN) + "/" + name + ".safetensors") {}

  Tensor<float, Cpu> tensor(const std::string& name) const {
    const auto values = file.floats(name);
    Tensor<float, Cpu> out(channels_last(file.dims(name)));
    to_channels_last(out.data(), values.data(), file.dims(name));
    return out;
  }
  Tensor<std::int32_t, Cpu> steps(const std::string& name) const {
    const auto values = file.ints(name);
    Tensor<std::int32_t, Cpu> out({.n = static_cast<std::int64_t>(values.size())});
    for (std::size_t i = 0; i < values.size(); ++i) out.data()[i] = static_cast<std::int32_t>(values[i]);
    return out;
  }
  nlohmann::json config() const { return nlohmann::json::parse(file.metadata().at("config")); }
  double number(const std::string& key) const { return std::stod(file.metadata().at(key)); }

  SafetensorsFile file;
};

template <class T>
Value<T, Cpu> borrow(const Tensor<T, Cpu>& tensor) {
  return Value<T, Cpu>::borrow(tensor.view());
}

}  // namespace d3ad::test
