#pragma once
// Convolutions and attention by cuDNN's graph API: channels last, float, half or bfloat16, accumulated in float, on the
// context's stream.
//
//   cuda::convolve(ctx, convolution, y, x, w);
//   cuda::convolve_backward_data(ctx, convolution, dx, dy, w);           // dx is overwritten
//   cuda::convolve_backward_weights(ctx, convolution, dw, x, dy);        // dw is overwritten
//   if (!cuda::fused_attention(ctx, attention, out, qkv))                // there is no engine, and nothing was done
//     attention_by_products(ctx, out, qkv);
//
// The engine for each set of shapes and alignments is chosen once and kept by the context: the first one in the
// heuristic's order that gives the same bits in every run, accumulates in float, multiplies in float if the activations
// are float and Options::tf32 is off, and needs no more workspace than kMostConvWorkspace. Padding may differ before
// and after the image, and the number of channels is free: cuDNN 9 has engines for all of that. They are slower if
// operands are not aligned to 16 bytes or the number of channels is no multiple of 8.

#include <cudnn.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
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
#include "d3ad/backend/cuda/fused_attention.hpp"
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

// cuDNN's handle, on a stream. Copies share it.
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

// A descriptor of the graph API: set its attributes, then finalize() it.
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
  template <class V>
  BackendDescriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                         const std::vector<V>& values) {
    D3AD_CUDNN_CHECK(
        cudnnBackendSetAttribute(get(), name, type, static_cast<std::int64_t>(values.size()), values.data()));
    return *this;
  }
  BackendDescriptor& set(cudnnBackendAttributeName_t name, std::initializer_list<std::int64_t> values) {
    return set(name, CUDNN_TYPE_INT64, values);
  }
  BackendDescriptor& set(cudnnBackendAttributeName_t name, const BackendDescriptor& other) {
    return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, {other.get()});
  }

  // Returns false if cuDNN does not support what was described; throws other errors.
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

// The identifiers of the operands in an operation graph.
enum ConvOperand : std::int64_t { kOperandX = 1, kOperandW = 2, kOperandY = 3 };

// The axes are in cuDNN's order, with the strides of channels last. Empty if cuDNN does not support it.
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

// The addresses of the operands. Which one is the result depends on the pass.
struct ConvPlaces {
  const void *x, *w, *y;
};

// The operation; empty if cuDNN does not support it.
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

// Whether an engine with these notes is accurate enough. exact: float operands are multiplied in float.
inline bool suits(const std::vector<cudnnBackendNumericalNote_t>& notes, bool is_float, bool exact) {
  const auto has = [&](cudnnBackendNumericalNote_t note) {
    return std::find(notes.begin(), notes.end(), note) != notes.end();
  };
  if (has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) || has(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)) return false;
  if (has(CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13)) return false;  // loses four digits
  if (is_float && has(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS)) return false;
  return !exact || !has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
}

// What engines are chosen for.
struct ConvKey {
  std::int64_t pass, type;
  Shape x, w;
  std::int64_t stride, pad, pad_end, x_alignment, w_alignment, y_alignment;
  bool operator==(const ConvKey&) const = default;
};
struct AttentionKey {
  std::int64_t type, images, heads, positions, width, out_alignment, q_alignment, k_alignment, v_alignment;
  bool operator==(const AttentionKey&) const = default;
};

// An engine for a graph of operations, ready to be executed; empty if cuDNN has none.
struct CudnnEngine {
  std::optional<CudnnHandle> handle;                // outlives the execution plan
  std::optional<BackendDescriptor> execution_plan;  // an argument of cudnnBackendExecute
  std::int64_t workspace = 0;                       // bytes
};

// The first engine that suits(), in the order of cuDNN's lists; if none is within kMostConvWorkspace, the one with the
// smallest workspace.
inline CudnnEngine find_engine(const CudnnHandle& handle, const std::vector<BackendDescriptor>& operations,
                               bool is_float, bool exact) {
  std::vector<cudnnBackendDescriptor_t> places;
  for (const auto& o : operations) places.push_back(o.get());
  BackendDescriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, places);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, {handle.get()});
  if (!graph.finalize()) return {};
  CudnnEngine best;
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    BackendDescriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, {mode});
    if (!heuristic.finalize()) continue;
    std::int64_t count = 0;
    D3AD_CUDNN_CHECK(cudnnBackendGetAttribute(heuristic.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                              CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr));
    std::vector<BackendDescriptor> configs;
    places.clear();
    for (std::int64_t i = 0; i < count; ++i) {
      configs.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
      places.push_back(configs.back().get());
    }
    D3AD_CUDNN_CHECK(cudnnBackendGetAttribute(heuristic.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                              CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &count, places.data()));
    for (std::int64_t i = 0; i < count; ++i) {
      const auto& config = configs[static_cast<std::size_t>(i)];
      if (!suits(numerical_notes(config), is_float, exact)) continue;
      BackendDescriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, {handle.get()});
      if (!plan.finalize()) continue;
      std::int64_t bytes = 0, one = 0;
      D3AD_CUDNN_CHECK(cudnnBackendGetAttribute(plan.get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64,
                                                1, &one, &bytes));
      const bool fits = bytes <= kMostConvWorkspace;
      if (fits || !best.execution_plan || bytes < best.workspace) best = {handle, std::move(plan), bytes};
      if (fits) return best;
    }
  }
  return best;
}

// Executes an engine; memory[i] is that of the tensor with the identifier tensors[i].
template <class T>
void run_engine(Context<CudaOf<T>>& ctx, const CudnnEngine& engine, const std::vector<std::int64_t>& tensors,
                const std::vector<const void*>& memory, const char* what) {
  const Workspace<T> workspace(ctx, static_cast<std::size_t>(engine.workspace));
  BackendDescriptor operands(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  operands.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, tensors)
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, memory)
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, {workspace.data()});
  D3AD_CHECK(operands.finalize(), "CUDA: cuDNN does not take the operands of the ", what);
  D3AD_CUDNN_CHECK(cudnnBackendExecute(engine.handle->get(), engine.execution_plan->get(), operands.get()));
}

template <class T>
const CudnnHandle& cudnn_handle(Context<CudaOf<T>>& ctx) {
  return ctx.template kept<CudnnHandle>([&] { return CudnnHandle(ctx.stream()); });
}

template <class T>
void run_conv(Context<CudaOf<T>>& ctx, ConvPass pass, const Convolution& c, const ConvPlaces& at) {
  const ConvKey key{.pass = static_cast<std::int64_t>(pass),
                    .type = cudnn_type<T>(),
                    .x = c.x,
                    .w = c.w,
                    .stride = c.config.stride,
                    .pad = c.config.pad,
                    .pad_end = c.config.end(),
                    .x_alignment = alignment(at.x),
                    .w_alignment = alignment(at.w),
                    .y_alignment = alignment(at.y)};
  const auto& engine = ctx.template kept<KeyedCache<CudnnEngine, ConvKey>>().get(key, [&] {
    auto operation = conv_operation(pass, c, cudnn_type<T>(), at);
    if (!operation) return CudnnEngine();
    std::vector<BackendDescriptor> operations;
    operations.push_back(std::move(*operation));
    constexpr bool kFloat = std::is_same_v<T, float>;
    return find_engine(cudnn_handle(ctx), operations, kFloat, kFloat && !ctx.tf32());
  });
  if (!engine.execution_plan)
    fail("CUDA: cuDNN has no engine for the ", name(pass), " of x ", c.x, " with weight ", c.w, ", stride ",
         c.config.stride, " and padding ", c.config.pad, " and ", c.config.end(),
         " on this GPU (bfloat16 needs compute capability 8.0); use float activations");
  run_engine(ctx, engine, {kOperandX, kOperandW, kOperandY}, {at.x, at.w, at.y}, name(pass));
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

namespace detail {

// Builds a graph of operations on tensors [images, heads, rows, columns]. `supported` becomes false if cuDNN does not
// support one of them.
class AttentionGraph {
 public:
  using Dims = std::array<std::int64_t, 4>;

  BackendDescriptor tensor(cudnnDataType_t type, Dims dims, Dims strides, std::int64_t id, const void* memory) {
    auto t = described(type, dims, strides, id, memory ? alignment(memory) : 16);
    supported = t.finalize() && supported;
    return t;
  }
  // An intermediate tensor, which is not in memory.
  BackendDescriptor between(cudnnDataType_t type, Dims dims) {
    auto t = described(type, dims, {dims[1] * dims[2] * dims[3], dims[2] * dims[3], dims[3], 1}, next_++, 16);
    t.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, {true});
    supported = t.finalize() && supported;
    return t;
  }
  // A number in the host's memory.
  BackendDescriptor number(std::int64_t id) {
    auto t = described(CUDNN_DATA_FLOAT, {1, 1, 1, 1}, {1, 1, 1, 1}, id, 16);
    t.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, {true});
    supported = t.finalize() && supported;
    return t;
  }

  void multiply(const BackendDescriptor& out, const BackendDescriptor& a, const BackendDescriptor& b) {
    BackendDescriptor how(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
    how.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, {CUDNN_DATA_FLOAT});
    supported = how.finalize() && supported;
    BackendDescriptor o(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
    o.set(CUDNN_ATTR_OPERATION_MATMUL_DESC, how)
        .set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, a)
        .set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, b)
        .set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, out);
    add(std::move(o));
  }
  // b: null for functions of one operand.
  void pointwise(cudnnPointwiseMode_t mode, const BackendDescriptor& out, const BackendDescriptor& x,
                 const BackendDescriptor* b) {
    BackendDescriptor how(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    how.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, {mode})
        .set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, {CUDNN_DATA_FLOAT});
    supported = how.finalize() && supported;
    BackendDescriptor o(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    o.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how)
        .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x)
        .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, out);
    if (b) o.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *b);
    add(std::move(o));
  }
  // Reduces each row: out has one column.
  void reduce(cudnnReduceTensorOp_t mode, const BackendDescriptor& out, const BackendDescriptor& x) {
    BackendDescriptor how(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
    how.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, {mode})
        .set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, {CUDNN_DATA_FLOAT});
    supported = how.finalize() && supported;
    BackendDescriptor o(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
    o.set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, how)
        .set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x)
        .set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, out);
    add(std::move(o));
  }

  std::vector<BackendDescriptor> operations;
  bool supported = true;

 private:
  static BackendDescriptor described(cudnnDataType_t type, const Dims& dims, const Dims& strides, std::int64_t id,
                                     std::int64_t aligned) {
    BackendDescriptor t(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    t.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, {id})
        .set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, {type})
        .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, {aligned})
        .set(CUDNN_ATTR_TENSOR_DIMENSIONS, {dims[0], dims[1], dims[2], dims[3]})
        .set(CUDNN_ATTR_TENSOR_STRIDES, {strides[0], strides[1], strides[2], strides[3]});
    return t;
  }
  void add(BackendDescriptor operation) {
    supported = operation.finalize() && supported;
    operations.push_back(std::move(operation));
  }

  std::int64_t next_ = 100;
};

enum : std::int64_t { kQueries = 1, kKeys, kValues, kAttended, kScale };

// softmax(scale q k^T) v in the form that cuDNN recognises: the softmax by its parts, with the logarithm of its sum,
// which is not used here, and with probabilities of the activations' type.
inline std::optional<std::vector<BackendDescriptor>> attention_operations(const FusedAttention& a, cudnnDataType_t type,
                                                                          const void* out, const void* q, const void* k,
                                                                          const void* v) {
  const std::int64_t n = a.images, h = a.heads, s = a.positions, d = a.width, row = 3 * h * d;
  AttentionGraph g;
  const auto queries = g.tensor(type, {n, h, s, d}, {s * row, 3 * d, row, 1}, kQueries, q),
             keys = g.tensor(type, {n, h, d, s}, {s * row, 3 * d, 1, row}, kKeys, k),
             values = g.tensor(type, {n, h, s, d}, {s * row, 3 * d, row, 1}, kValues, v),
             attended = g.tensor(type, {n, h, s, d}, {s * h * d, d, h * d, 1}, kAttended, out),
             scale = g.number(kScale);
  const AttentionGraph::Dims square{n, h, s, s}, column{n, h, s, 1};
  const auto products = g.between(CUDNN_DATA_FLOAT, square), scores = g.between(CUDNN_DATA_FLOAT, square),
             largest = g.between(CUDNN_DATA_FLOAT, column), below = g.between(CUDNN_DATA_FLOAT, square),
             powers = g.between(CUDNN_DATA_FLOAT, square), sum = g.between(CUDNN_DATA_FLOAT, column),
             logarithm = g.between(CUDNN_DATA_FLOAT, column), statistics = g.between(CUDNN_DATA_FLOAT, column),
             probabilities = g.between(type, square);
  g.multiply(products, queries, keys);
  g.pointwise(CUDNN_POINTWISE_MUL, scores, products, &scale);
  g.reduce(CUDNN_REDUCE_TENSOR_MAX, largest, scores);
  g.pointwise(CUDNN_POINTWISE_SUB, below, scores, &largest);
  g.pointwise(CUDNN_POINTWISE_EXP, powers, below, nullptr);
  g.reduce(CUDNN_REDUCE_TENSOR_ADD, sum, powers);
  g.pointwise(CUDNN_POINTWISE_LOG, logarithm, sum, nullptr);
  g.pointwise(CUDNN_POINTWISE_ADD, statistics, largest, &logarithm);
  g.pointwise(CUDNN_POINTWISE_DIV, probabilities, powers, &sum);
  g.multiply(attended, probabilities, values);
  if (!g.supported) return std::nullopt;
  return std::move(g.operations);
}

}  // namespace detail

// Attention in one pass, without scores in memory. Returns false if cuDNN has no engine for it; then nothing was done.
// qkv and out are those of ops/attention.hpp.
template <class T>
bool fused_attention(Context<CudaOf<T>>& ctx, const FusedAttention& a, T* out, const T* qkv) {
  if constexpr (std::is_same_v<T, float>) {
    return false;  // cuDNN has engines for half and bfloat16 only
  } else {
    const T *const k = qkv + a.width, *const v = k + a.width;
    const detail::AttentionKey key{.type = detail::cudnn_type<T>(),
                                   .images = a.images,
                                   .heads = a.heads,
                                   .positions = a.positions,
                                   .width = a.width,
                                   .out_alignment = alignment(out),
                                   .q_alignment = alignment(qkv),
                                   .k_alignment = alignment(k),
                                   .v_alignment = alignment(v)};
    const auto& engine = ctx.template kept<KeyedCache<detail::CudnnEngine, detail::AttentionKey>>().get(key, [&] {
      const auto operations = detail::attention_operations(a, detail::cudnn_type<T>(), out, qkv, k, v);
      return operations ? detail::find_engine(detail::cudnn_handle(ctx), *operations, false, false)
                        : detail::CudnnEngine();
    });
    if (!engine.execution_plan) return false;
    const float scale = a.scale;
    detail::run_engine(ctx, engine,
                       {detail::kQueries, detail::kKeys, detail::kValues, detail::kAttended, detail::kScale},
                       {qkv, k, v, out, &scale}, "attention");
    return true;
  }
}

}  // namespace d3ad::cuda
