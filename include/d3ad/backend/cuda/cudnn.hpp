#pragma once
// Convolutions by cuDNN's graph API: channels last, float, half or bfloat16, added up in float, on the context's
// stream.
//
//   cuda::convolve(ctx, convolution, y, x, w);
//   cuda::convolve_backward_data(ctx, convolution, dx, dy, w);      dx overwritten
//   cuda::convolve_backward_weights(ctx, convolution, dw, x, dy);   dw overwritten
//
// The plan for each set of shapes and alignments is made once and kept by the context: the first engine in the
// heuristic's order that gives the same bits in every run, adds up in float and (float without Options::tf32)
// multiplies in float, whose workspace is not larger than kMostConvWorkspace. Padding may differ before and after, and
// channels need no padding: cuDNN 9 has engines for all of that, slower ones where operands are not aligned to 16 bytes
// or channels are no multiple of 8.

#include <cudnn.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "d3ad/backend/cuda/check.hpp"
#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/backend/cuda/convolution.hpp"
#include "d3ad/backend/cuda/workspace.hpp"

namespace d3ad::cuda {

inline void check_cudnn(cudnnStatus_t status, std::string_view call) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  std::array<char, 512> more{};
  cudnnGetLastErrorString(more.data(), more.size());
  fail("CUDA: ", call_name(call), " failed: ", cudnnGetErrorString(status), more[0] ? " (" : "", more.data(),
       more[0] ? ")" : "");
}
#define D3AD_CUDNN_CHECK(call) ::d3ad::cuda::check_cudnn((call), #call)

inline constexpr std::int64_t kMostConvWorkspace = std::int64_t{512} << 20;

// The library's handle, on a stream. Copies share it.
class CudnnHandle {
 public:
  explicit CudnnHandle(cudaStream_t stream) {
    cudnnHandle_t handle = nullptr;
    D3AD_CUDNN_CHECK(cudnnCreate(&handle));
    handle_ = std::shared_ptr<std::remove_pointer_t<cudnnHandle_t>>(handle, [](auto* h) { cudnnDestroy(h); });
    D3AD_CUDNN_CHECK(cudnnSetStream(handle, stream));
  }
  cudnnHandle_t get() const { return handle_.get(); }

 private:
  std::shared_ptr<std::remove_pointer_t<cudnnHandle_t>> handle_;
};

// A descriptor of the graph API: attributes, then finalize().
class BackendDescriptor {
 public:
  explicit BackendDescriptor(cudnnBackendDescriptorType_t type) {
    cudnnBackendDescriptor_t descriptor = nullptr;
    D3AD_CUDNN_CHECK(cudnnBackendCreateDescriptor(type, &descriptor));
    descriptor_.reset(descriptor);
  }
  cudnnBackendDescriptor_t get() const { return descriptor_.get(); }

  template <class V>
  BackendDescriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                         std::initializer_list<V> values) {
    D3AD_CUDNN_CHECK(
        cudnnBackendSetAttribute(get(), name, type, static_cast<std::int64_t>(values.size()), values.begin()));
    return *this;
  }
  BackendDescriptor& set(cudnnBackendAttributeName_t name, std::initializer_list<std::int64_t> values) {
    return set(name, CUDNN_TYPE_INT64, values);
  }
  BackendDescriptor& set(cudnnBackendAttributeName_t name, const BackendDescriptor& other) {
    return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, {other.get()});
  }

  // Whether the library supports what was described; other errors are thrown.
  bool finalize() {
    const cudnnStatus_t status = cudnnBackendFinalize(get());
    if (CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_CATEGORY(CUDNN_STATUS_NOT_SUPPORTED)) return false;
    check_cudnn(status, "cudnnBackendFinalize");
    return true;
  }

 private:
  struct Free {
    void operator()(cudnnBackendDescriptor_t d) const noexcept { cudnnBackendDestroyDescriptor(d); }
  };
  std::unique_ptr<std::remove_pointer_t<cudnnBackendDescriptor_t>, Free> descriptor_;
};

namespace detail {

template <class T>
constexpr cudnnDataType_t cudnn_type() {
  if constexpr (std::is_same_v<T, float>)
    return CUDNN_DATA_FLOAT;
  else if constexpr (std::is_same_v<T, half>)
    return CUDNN_DATA_HALF;
  else {
    static_assert(std::is_same_v<T, bfloat16>, "convolutions are of float, half or bfloat16");
    return CUDNN_DATA_BFLOAT16;
  }
}

// How the operands are called in a plan.
enum ConvOperand : std::int64_t { kOperandX = 1, kOperandW = 2, kOperandY = 3 };

// In cuDNN's order of axes, with the strides of channels last.
inline std::optional<BackendDescriptor> tensor_descriptor(std::int64_t id, Shape s, cudnnDataType_t type,
                                                          const void* place) {
  BackendDescriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, {id})
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, {type})
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, {std::int64_t{alignment(place)}})
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, {s.n, s.c, s.h, s.w})
      .set(CUDNN_ATTR_TENSOR_STRIDES, {s.h * s.w * s.c, std::int64_t{1}, s.w * s.c, s.c});
  if (!tensor.finalize()) return std::nullopt;
  return tensor;
}

// What a convolution reads and writes: each is the result in one of the passes.
struct ConvPlaces {
  const void *x, *w, *y;
};

// The operation, where cuDNN can say it at all.
inline std::optional<BackendDescriptor> conv_operation(ConvPass pass, const Convolution& c, cudnnDataType_t type,
                                                       const ConvPlaces& at) {
  const auto x = tensor_descriptor(kOperandX, c.x, type, at.x);
  const auto w = tensor_descriptor(kOperandW, c.w, type, at.w);
  const auto y = tensor_descriptor(kOperandY, c.y, type, at.y);
  if (!x || !w || !y) return std::nullopt;
  const std::int64_t stride = c.config.stride, before = c.config.pad, behind = c.config.end(), one = 1;
  BackendDescriptor geometry(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  geometry.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, {CUDNN_DATA_FLOAT})
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, {CUDNN_CROSS_CORRELATION})
      .set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, {std::int64_t{2}})
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, {before, before})
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, {behind, behind})
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, {one, one})
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, {stride, stride});
  if (!geometry.finalize()) return std::nullopt;
  struct Names {
    cudnnBackendDescriptorType_t operation;
    cudnnBackendAttributeName_t geometry, x, w, y, alpha, beta;
  };
  const Names names = pass == ConvPass::forward ? Names{CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                                                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                                                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                                                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                                                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                                                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                                                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA}
                      : pass == ConvPass::backward_data
                          ? Names{CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA}
                          : Names{CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
  BackendDescriptor operation(names.operation);
  operation.set(names.geometry, geometry)
      .set(names.x, *x)
      .set(names.w, *w)
      .set(names.y, *y)
      .set(names.alpha, CUDNN_TYPE_FLOAT, {1.0f})
      .set(names.beta, CUDNN_TYPE_FLOAT, {0.0f});
  if (!operation.finalize()) return std::nullopt;
  return operation;
}

inline std::vector<cudnnBackendNumericalNote_t> numerical_notes(const BackendDescriptor& engine_config) {
  BackendDescriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t where = engine.get();
  std::int64_t count = 0;
  D3AD_CUDNN_CHECK(cudnnBackendGetAttribute(engine_config.get(), CUDNN_ATTR_ENGINECFG_ENGINE,
                                            CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &where));
  std::vector<cudnnBackendNumericalNote_t> notes(CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
  D3AD_CUDNN_CHECK(cudnnBackendGetAttribute(where, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                            CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, notes.data()));
  notes.resize(static_cast<std::size_t>(count));
  return notes;
}

// Whether what the library says of an engine's numbers is good enough. exact: products of float, in float.
inline bool suits(const std::vector<cudnnBackendNumericalNote_t>& notes, bool is_float, bool exact) {
  const auto has = [&](cudnnBackendNumericalNote_t note) {
    return std::find(notes.begin(), notes.end(), note) != notes.end();
  };
  if (has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) || has(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)) return false;
  if (has(CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13)) return false;  // loses four digits
  if (is_float && has(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS)) return false;
  return !exact || !has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
}

// One convolution, ready to be run; empty where the library has no engine for it.
struct ConvPlan {
  std::optional<CudnnHandle> handle;      // outlives the plan
  std::optional<BackendDescriptor> plan;  // of cudnnBackendExecute
  std::int64_t workspace = 0;
};

// The first engine that suits, from the library's lists in their order.
inline ConvPlan find_conv_plan(const CudnnHandle& handle, ConvPass pass, const Convolution& c, cudnnDataType_t type,
                               const ConvPlaces& at, bool tf32) {
  const auto operation = conv_operation(pass, c, type, at);
  if (!operation) return {};
  BackendDescriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, *operation);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, {handle.get()});
  if (!graph.finalize()) return {};
  const bool is_float = type == CUDNN_DATA_FLOAT;
  ConvPlan large;  // the one of the smallest workspace, where none has little
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    BackendDescriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, {mode});
    if (!heuristic.finalize()) continue;
    std::int64_t count = 0;
    D3AD_CUDNN_CHECK(cudnnBackendGetAttribute(heuristic.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                              CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr));
    std::vector<BackendDescriptor> configs;
    std::vector<cudnnBackendDescriptor_t> places;
    for (std::int64_t i = 0; i < count; ++i) {
      configs.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
      places.push_back(configs.back().get());
    }
    D3AD_CUDNN_CHECK(cudnnBackendGetAttribute(heuristic.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                              CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &count, places.data()));
    for (std::int64_t i = 0; i < count; ++i) {
      const auto& config = configs[static_cast<std::size_t>(i)];
      if (!suits(numerical_notes(config), is_float, is_float && !tf32)) continue;
      BackendDescriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, {handle.get()});
      if (!plan.finalize()) continue;
      std::int64_t bytes = 0, one = 0;
      D3AD_CUDNN_CHECK(cudnnBackendGetAttribute(plan.get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64,
                                                1, &one, &bytes));
      const bool fits = bytes <= kMostConvWorkspace;
      if (fits || !large.plan || bytes < large.workspace) large = {handle, std::move(plan), bytes};
      if (fits) return large;
    }
  }
  return large;
}

template <class T>
void run_conv(Context<CudaOf<T>>& ctx, ConvPass pass, const Convolution& c, const ConvPlaces& at) {
  char key[192];
  std::snprintf(key, sizeof key, "convolution %d %d n%lld h%lld w%lld c%lld o%lld k%d s%d p%d e%d a%u %u %u",
                static_cast<int>(pass), static_cast<int>(cudnn_type<T>()), static_cast<long long>(c.x.n),
                static_cast<long long>(c.x.h), static_cast<long long>(c.x.w), static_cast<long long>(c.x.c),
                static_cast<long long>(c.w.n), static_cast<int>(c.config.kernel), c.config.stride, c.config.pad,
                c.config.end(), alignment(at.x), alignment(at.w), alignment(at.y));
  const auto& plan = ctx.template plan<ConvPlan>(key, [&] {
    const auto& handle = ctx.template plan<CudnnHandle>("cudnn", [&] { return CudnnHandle(ctx.stream()); });
    return find_conv_plan(handle, pass, c, cudnn_type<T>(), at, ctx.tf32());
  });
  if (!plan.plan)
    fail("CUDA: cuDNN has no engine for the ", name(pass), " of x ", c.x, " with weight ", c.w, ", stride ",
         c.config.stride, " and padding ", c.config.pad, " and ", c.config.end(),
         " on this GPU (bfloat16 needs compute capability 8.0); use float activations");
  const Workspace<T> workspace(ctx, static_cast<std::size_t>(plan.workspace));
  BackendDescriptor operands(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  operands.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, {std::int64_t{kOperandX}, kOperandW, kOperandY})
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, {at.x, at.w, at.y})
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, {workspace.data()});
  D3AD_CHECK(operands.finalize(), "CUDA: cuDNN does not take the operands of the ", name(pass));
  D3AD_CUDNN_CHECK(cudnnBackendExecute(plan.handle->get(), plan.plan->get(), operands.get()));
}

}  // namespace detail

template <class T>
void convolve(Context<CudaOf<T>>& ctx, const Convolution& c, T* y, const T* x, const T* w) {
  detail::run_conv(ctx, ConvPass::forward, c, {x, w, y});
}

template <class T>
void convolve_backward_data(Context<CudaOf<T>>& ctx, const Convolution& c, T* dx, const T* dy, const T* w) {
  detail::run_conv(ctx, ConvPass::backward_data, c, {dx, w, dy});
}

template <class T>
void convolve_backward_weights(Context<CudaOf<T>>& ctx, const Convolution& c, T* dw, const T* x, const T* dy) {
  detail::run_conv(ctx, ConvPass::backward_weights, c, {x, dw, dy});
}

}  // namespace d3ad::cuda
