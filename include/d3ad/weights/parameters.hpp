#pragma once
// A network's tensors: a store that owns them and the named path by which layers ask for theirs.
//
//   ParameterStore<Cpu> store;
//   FileSource source("unet.safetensors");
//   Params<Cpu> params(store, source);                                   // the root
//   Parameter<Cpu>* w = (params / "down" / 0 / 0).make("weight", {64, 4, 3, 3}, Init::fan_in, 36);
//   w->name() == "down.0.0.weight"; w->shape() == Shape{.n = 64, .h = 3, .w = 3, .c = 4}
//
//   save_parameters(store, "unet.safetensors", {{"kind", "unet"}});      // file order again
//   load_into(store, source);                                            // new values into the same tensors
//   keep_narrow(ctx, store);                                             // bfloat16 from now on: half the memory
//
// A store outlives the layers that hold its addresses, which never move.

#include <cstdint>
#include <deque>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "d3ad/backend/ops.hpp"
#include "d3ad/core/parameter.hpp"
#include "d3ad/weights/source.hpp"

namespace d3ad {

template <class Device>
class ParameterStore {
 public:
  ParameterStore() = default;
  ParameterStore(ParameterStore&&) = default;
  ParameterStore& operator=(ParameterStore&&) = default;
  ParameterStore(const ParameterStore&) = delete;
  ParameterStore& operator=(const ParameterStore&) = delete;

  // A new tensor, not yet filled; dims in file order.
  Parameter<Device>& add(const std::string& name, const std::vector<std::int64_t>& dims, bool trainable = true) {
    D3AD_CHECK(!by_name_.count(name), "parameter '", name, "' is asked for twice; give each layer a name of its own");
    auto& parameter = parameters_.emplace_back(name, dims, channels_last(dims), trainable);
    by_name_.emplace(name, &parameter);
    return parameter;
  }
  // nullptr if there is none.
  Parameter<Device>* find(const std::string& name) {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : found->second;
  }
  const Parameter<Device>* find(const std::string& name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : found->second;
  }

  // In the order they were added.
  auto begin() { return parameters_.begin(); }
  auto end() { return parameters_.end(); }
  auto begin() const { return parameters_.begin(); }
  auto end() const { return parameters_.end(); }

  // The addresses of all, as an optimizer takes them.
  std::vector<Parameter<Device>*> parameters() {
    std::vector<Parameter<Device>*> all;
    for (auto& parameter : parameters_) all.push_back(&parameter);
    return all;
  }

  std::size_t size() const { return parameters_.size(); }  // tensors
  std::int64_t values() const {                            // numbers in them
    std::int64_t sum = 0;
    for (const auto& parameter : parameters_) sum += parameter.size();
    return sum;
  }
  // No more changes: see Parameter::freeze.
  void freeze() {
    for (auto& parameter : parameters_) parameter.freeze();
  }
  void drop_gradients() {
    for (auto& parameter : parameters_) parameter.drop_gradient();
  }

 private:
  std::deque<Parameter<Device>> parameters_;
  std::unordered_map<std::string, Parameter<Device>*> by_name_;
};

namespace detail {

// A tensor as the source gives it, in file order. Not from malloc, which would keep the memory.
inline Tensor<float, Cpu> read_values(WeightSource& source, const TensorRequest& request) {
  Tensor<float, Cpu> values({.c = dims_size(request.dims)});
  source.read(request, values.data());
  return values;
}

// Values in file order into the parameter, channels last on its device.
template <class Device>
void set_values(Parameter<Device>& parameter, const float* values) {
  if constexpr (std::is_same_v<Device, Cpu>) {
    to_channels_last(parameter.edit().data, values, parameter.dims());
  } else {
    std::vector<float> reordered(static_cast<std::size_t>(parameter.size()));
    to_channels_last(reordered.data(), values, parameter.dims());
    const std::vector<Weight<Device>> numbers(reordered.begin(), reordered.end());
    copy_from_host(parameter.edit(), numbers.data());
  }
}

// Its values on the host in file order.
template <class Device>
std::vector<float> file_values(const Parameter<Device>& parameter) {
  std::vector<float> inside(static_cast<std::size_t>(parameter.size()));
  if (parameter.narrow()) {
    std::vector<bfloat16> narrow(inside.size());
    copy_to_host(narrow.data(), parameter.narrow_value());
    for (std::size_t i = 0; i < inside.size(); ++i) inside[i] = narrow[i];
  } else {
    std::vector<Weight<Device>> numbers(inside.size());
    copy_to_host(numbers.data(), std::as_const(*parameter.plain()).view());
    for (std::size_t i = 0; i < inside.size(); ++i) inside[i] = static_cast<float>(numbers[i]);
  }
  return to_file_order(inside, parameter.dims());
}

}  // namespace detail

// A place in the tree of names, a store to put tensors into and a source to read them from. Cheap to copy.
template <class Device>
class Params {
 public:
  using device = Device;

  Params(ParameterStore<Device>& store, WeightSource& source, std::string prefix = "")
      : store_(&store), source_(&source), name_(std::move(prefix)) {}

  Params operator/(std::string_view part) const { return {*store_, *source_, join(part)}; }
  Params operator/(int part) const { return *this / std::string_view(std::to_string(part)); }

  const std::string& name() const { return name_; }
  // Whether the source has the tensor `leaf` here.
  bool has(std::string_view leaf) const { return source_->has(join(leaf)); }

  // Reads the tensor `leaf` (dims in file order). fan_in 0: the product of all axes but the first.
  Parameter<Device>* make(std::string_view leaf, const std::vector<std::int64_t>& dims, Init init = Init::fan_in,
                          std::int64_t fan_in = 0, bool trainable = true) const {
    return make_from(join(leaf), join(leaf), dims, init, fan_in, trainable);
  }
  // The same under any of several names: the first the source has. In the store it has the first name.
  Parameter<Device>* make_any(std::initializer_list<const char*> leaves, const std::vector<std::int64_t>& dims,
                              Init init = Init::fan_in, std::int64_t fan_in = 0, bool trainable = true) const {
    D3AD_CHECK(leaves.size() > 0, "parameter under '", name_, "': no name was given");
    const std::string first = join(*leaves.begin());
    for (const char* leaf : leaves)
      if (has(leaf)) return make_from(first, join(leaf), dims, init, fan_in, trainable);
    return make_from(first, first, dims, init, fan_in, trainable);  // says what is missing
  }

 private:
  std::string join(std::string_view part) const {
    return name_.empty() ? std::string(part) : name_ + "." + std::string(part);
  }
  Parameter<Device>* make_from(const std::string& name, const std::string& stored,
                               const std::vector<std::int64_t>& dims, Init init, std::int64_t fan_in,
                               bool trainable) const {
    if (fan_in == 0 && init == Init::fan_in) {
      D3AD_CHECK(dims.size() >= 2, "parameter '", name, "': a random start of ", dims_text(dims), " needs its fan_in");
      fan_in = 1;
      for (std::size_t i = 1; i < dims.size(); ++i) fan_in *= dims[i];
    }
    const auto values = detail::read_values(*source_, {stored, dims, init, fan_in});  // first: the store stays clean
    Parameter<Device>& parameter = store_->add(name, dims, trainable);
    detail::set_values(parameter, values.data());
    return &parameter;
  }

  ParameterStore<Device>* store_;
  WeightSource* source_;
  std::string name_;
};

// All tensors under their names, atomically; one at a time is in memory. stored: F32, BF16 or F16.
template <class Device>
void save_parameters(const ParameterStore<Device>& store, const std::filesystem::path& path,
                     std::map<std::string, std::string> metadata = {}, DType stored = DType::f32) {
  SafetensorsWriter writer;
  writer.metadata = std::move(metadata);
  for (const Parameter<Device>& parameter : store)
    writer.add_made(
        parameter.name(), parameter.dims(),
        [&parameter](const std::string&, std::size_t) { return detail::file_values(parameter); }, stored);
  writer.write(path);
}

// New values for all tensors of the store, which keep their addresses. Nothing changes if one is missing; after
// another failure (a wrong shape, NaN) some are new and some old.
template <class Device>
void load_into(ParameterStore<Device>& store, WeightSource& source) {
  for (const Parameter<Device>& parameter : store)  // reading what is not there says so
    if (!source.has(parameter.name())) detail::read_values(source, {parameter.name(), parameter.dims()});
  for (Parameter<Device>& parameter : store)
    detail::set_values(parameter, detail::read_values(source, {parameter.name(), parameter.dims()}).data());
}

// Stores the weights of convolutions and products (all with two axes or more) as bfloat16 and freezes the store. They
// take half the memory and are widened each time they are used; results are those of weights rounded to 8 bits.
template <class Device>
void keep_narrow(Context<Device>& ctx, ParameterStore<Device>& store) {
  for (Parameter<Device>& parameter : store) {
    if (parameter.dims().size() < 2 || parameter.narrow()) continue;
    Tensor<bfloat16, Device> narrow(parameter.shape());
    ops::narrow(ctx, narrow.view(), parameter.value());
    parameter.adopt_narrow(std::move(narrow));
  }
  store.freeze();
}

}  // namespace d3ad
