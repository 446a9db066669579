#pragma once
// include/d3ad/backend/cuda/cudnn.hpp as it is, on cuDNN as it is, for a GPU that is described instead of present:
// every graph is built, every engine is looked for and every plan is made, as on that GPU; only running one does
// nothing.
//
//   plans::Target target(plans::gpus()[4]);     the GPU that plans are made for, until the target goes
//   ... networks, on an emulated device that does nothing either (emulation::dry()) ...
//   target.plans()                              what was asked for, each once, and the engine it would run on

#include <cudnn.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "gpus.hpp"

#if CUDNN_VERSION < 90800
#error "cuDNN makes plans without a GPU from 9.8 on"
#endif

// The functions that want a GPU, where they are told of a described one.
namespace plans {
cudnnStatus_t create(cudnnHandle_t* handle);
cudnnStatus_t set_attribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                            cudnnBackendAttributeType_t type, std::int64_t count, const void* values);
cudnnStatus_t execute(cudnnBackendDescriptor_t plan);
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

namespace plans {

// A plan that would have been run.
struct Made {
  bool attention = false;  // else a convolution
  bool tensor_cores = false;
  std::int64_t workspace = 0;  // bytes
};

class Target {
 public:
  explicit Target(const Gpu& gpu) : properties_(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR) {
    const std::string json = gpu.json();
    properties_.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                    std::vector<char>(json.begin(), json.end()));
    D3AD_CHECK(properties_.finalize(), "cuDNN does not take the described GPU ", gpu.name);
    present() = this;
  }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;
  ~Target() { present() = nullptr; }

  static Target*& present() {
    static Target* target = nullptr;
    return target;
  }
  cudnnBackendDescriptor_t properties() const { return properties_.get(); }
  std::map<cudnnBackendDescriptor_t, Made>& plans() { return plans_; }
  std::int64_t operands = 0;  // of the next plan that is run

 private:
  d3ad::cuda::BackendDescriptor properties_;
  std::map<cudnnBackendDescriptor_t, Made> plans_;
};

inline cudnnStatus_t create(cudnnHandle_t* handle) {
  static char something;
  *handle = reinterpret_cast<cudnnHandle_t>(&something);
  return CUDNN_STATUS_SUCCESS;
}

inline cudnnStatus_t set_attribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                   cudnnBackendAttributeType_t type, std::int64_t count, const void* values) {
  const auto tell = [&](cudnnBackendAttributeName_t where) {
    const cudnnBackendDescriptor_t gpu = Target::present()->properties();
    return cudnnBackendSetAttribute(descriptor, where, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &gpu);
  };
  if (name == CUDNN_ATTR_OPERATIONGRAPH_HANDLE) return CUDNN_STATUS_SUCCESS;
  if (name == CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS) Target::present()->operands = count;
  if (name == CUDNN_ATTR_EXECUTION_PLAN_HANDLE) return tell(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
  if (name == CUDNN_ATTR_ENGINEHEUR_MODE)
    if (const cudnnStatus_t status = tell(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP); status != CUDNN_STATUS_SUCCESS)
      return status;
  return cudnnBackendSetAttribute(descriptor, name, type, count, values);
}

inline cudnnStatus_t execute(cudnnBackendDescriptor_t plan) {
  Target& target = *Target::present();
  if (target.plans().count(plan)) return CUDNN_STATUS_SUCCESS;
  Made made{.attention = target.operands > 3};
  std::int64_t count = 0;
  d3ad::cuda::BackendDescriptor config(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  cudnnBackendDescriptor_t where = config.get();
  D3AD_CUDNN_CHECK(cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
                                            CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &where));
  const auto notes = d3ad::cuda::detail::numerical_notes(config);
  made.tensor_cores = std::find(notes.begin(), notes.end(), CUDNN_NUMERICAL_NOTE_TENSOR_CORE) != notes.end();
  D3AD_CUDNN_CHECK(cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count,
                                            &made.workspace));
  target.plans().emplace(plan, made);
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace plans
