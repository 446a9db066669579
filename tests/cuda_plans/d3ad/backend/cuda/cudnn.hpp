#pragma once
// include/d3ad/backend/cuda/cudnn.hpp as it is, on cuDNN as it is, for a GPU that is described instead of present:
// every graph is built, every engine is looked for and every plan is made, as on that GPU; only running one does
// nothing.
//
//   plans::Target target(plans::gpus()[4]);     the GPU that plans are made for, until the target goes
//   ... networks, on an emulated device that does nothing either (emulation::dry()) ...
//   target.plans()                              what was asked for, each once, and the engine it would run on

#include <cudnn.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "gpus.hpp"

#if CUDNN_VERSION < 90800
#error "cuDNN makes plans without a GPU from 9.8 on"
#endif

namespace plans {

// A plan that would have been run.
struct Made {
  bool attention = false;  // else a convolution
  bool tensor_cores = false;
  std::int64_t workspace = 0;  // bytes
};

class Target {
 public:
  explicit Target(const Gpu& gpu) {
    const std::string json = gpu.json();
    require(cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &properties_));
    require(cudnnBackendSetAttribute(properties_, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                                     static_cast<std::int64_t>(json.size()), json.data()));
    require(cudnnBackendFinalize(properties_));
    present() = this;
  }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;
  ~Target() {
    present() = nullptr;
    cudnnBackendDestroyDescriptor(properties_);
  }

  static Target*& present() {
    static Target* target = nullptr;
    return target;
  }
  const cudnnBackendDescriptor_t& properties() const { return properties_; }
  std::map<cudnnBackendDescriptor_t, Made>& plans() { return plans_; }
  std::int64_t operands = 0;  // of the next plan that is run

 private:
  static void require(cudnnStatus_t status) {
    if (status == CUDNN_STATUS_SUCCESS) return;
    std::array<char, 512> more{};
    cudnnGetLastErrorString(more.data(), more.size());
    std::fprintf(stderr, "cuDNN does not take the described GPU: %s %s\n", cudnnGetErrorString(status), more.data());
    std::exit(1);
  }

  cudnnBackendDescriptor_t properties_ = nullptr;
  std::map<cudnnBackendDescriptor_t, Made> plans_;
};

// ---- the functions that want a GPU, where they are told of a described one ----

inline cudnnStatus_t create(cudnnHandle_t* handle) {
  static char something;
  *handle = reinterpret_cast<cudnnHandle_t>(&something);
  return CUDNN_STATUS_SUCCESS;
}

inline cudnnStatus_t set_attribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                   cudnnBackendAttributeType_t type, std::int64_t count, const void* values) {
  const auto tell = [&](cudnnBackendAttributeName_t where) {
    return cudnnBackendSetAttribute(descriptor, where, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                                    &Target::present()->properties());
  };
  if (name == CUDNN_ATTR_OPERATIONGRAPH_HANDLE) return CUDNN_STATUS_SUCCESS;
  if (name == CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS) Target::present()->operands = count;
  if (name == CUDNN_ATTR_EXECUTION_PLAN_HANDLE) return tell(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
  if (name == CUDNN_ATTR_ENGINEHEUR_MODE)
    if (const cudnnStatus_t status = tell(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP); status != CUDNN_STATUS_SUCCESS)
      return status;
  return cudnnBackendSetAttribute(descriptor, name, type, count, values);
}

// The engine of a plan says whether it is one of tensor cores.
inline bool on_tensor_cores(cudnnBackendDescriptor_t plan) {
  cudnnBackendDescriptor_t config = nullptr, engine = nullptr;
  std::int64_t count = 0;
  std::array<cudnnBackendNumericalNote_t, CUDNN_NUMERICAL_NOTE_TYPE_COUNT> notes{};
  bool found = false;
  if (cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &config) == CUDNN_STATUS_SUCCESS &&
      cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine) == CUDNN_STATUS_SUCCESS &&
      cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count,
                               &config) == CUDNN_STATUS_SUCCESS &&
      cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count,
                               &engine) == CUDNN_STATUS_SUCCESS &&
      cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                               CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, notes.data()) == CUDNN_STATUS_SUCCESS)
    for (std::int64_t i = 0; i < count; ++i)
      found = found || notes[static_cast<std::size_t>(i)] == CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
  cudnnBackendDestroyDescriptor(engine);
  cudnnBackendDestroyDescriptor(config);
  return found;
}

inline cudnnStatus_t execute(cudnnBackendDescriptor_t plan) {
  Target& target = *Target::present();
  if (target.plans().count(plan)) return CUDNN_STATUS_SUCCESS;
  Made made{.attention = target.operands > 3, .tensor_cores = on_tensor_cores(plan)};
  std::int64_t count = 0;
  const cudnnStatus_t status = cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                                        CUDNN_TYPE_INT64, 1, &count, &made.workspace);
  if (status == CUDNN_STATUS_SUCCESS) target.plans().emplace(plan, made);
  return status;
}

}  // namespace plans

#define cudnnCreate(handle) plans::create(handle)
#define cudnnDestroy(handle) static_cast<void>(handle)
#define cudnnSetStream(handle, stream) (static_cast<void>(handle), static_cast<void>(stream), CUDNN_STATUS_SUCCESS)
#define cudnnBackendSetAttribute(descriptor, name, type, count, values) \
  plans::set_attribute(descriptor, name, type, count, values)
#define cudnnBackendExecute(handle, plan, operands) \
  (static_cast<void>(handle), static_cast<void>(operands), plans::execute(plan))
#include "../../../../../include/d3ad/backend/cuda/cudnn.hpp"  // not the emulation's
#undef cudnnCreate
#undef cudnnDestroy
#undef cudnnSetStream
#undef cudnnBackendSetAttribute
#undef cudnnBackendExecute
