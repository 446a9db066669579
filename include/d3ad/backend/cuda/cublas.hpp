#pragma once
// Matrix products by cuBLASLt: of float, half or bfloat16, accumulated in float, on the context's stream.
//
//   const cuda::Product product{.rows = m, .columns = n, .depth = k, .b_transposed = true,
//                               .a_stride = k, .b_stride = k, .out_stride = n};
//   cuda::multiply(ctx, product, out, a, b, bias);
//
// The algorithm for each set of sizes, types and alignments is chosen once, by cuBLASLt's heuristic, and kept by the
// context. Only reductions that give the same bits in every run are allowed. If the result is half or bfloat16, the
// bias is rounded to this type, because cuBLASLt takes no other. The workspace comes from the arena.
//
// cuBLASLt's matrices are column-major. There, a row-major matrix is its transpose: out' = B' A'.

// cuda_fp16.h would define another `half` in the global namespace, and ours would be ambiguous under `using namespace`.
#if !defined(CUDA_NO_HALF)
#define CUDA_NO_HALF
#include <cublasLt.h>
#undef CUDA_NO_HALF
#else
#include <cublasLt.h>
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>

#include "d3ad/backend/cuda/check.hpp"
#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/backend/cuda/product.hpp"
#include "d3ad/backend/cuda/workspace.hpp"
#include "d3ad/ops/convert.hpp"

namespace d3ad::cuda {

inline void check_cublas(cublasStatus_t status, std::string_view call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  fail("CUDA: ", call_name(call), " failed: ", cublasLtGetStatusString(status));
}
#define D3AD_CUBLAS_CHECK(call) ::d3ad::cuda::check_cublas((call), #call)

template <class T>
constexpr cudaDataType_t cuda_type() {
  if constexpr (std::is_same_v<T, float>)
    return CUDA_R_32F;
  else if constexpr (std::is_same_v<T, half>)
    return CUDA_R_16F;
  else {
    static_assert(std::is_same_v<T, bfloat16>, "matrix products are of float, half or bfloat16");
    return CUDA_R_16BF;
  }
}

// Owners of cuBLASLt's objects.
class CublasHandle {
 public:
  CublasHandle() {
    cublasLtHandle_t handle = nullptr;
    D3AD_CUBLAS_CHECK(cublasLtCreate(&handle));
    handle_ = std::shared_ptr<std::remove_pointer_t<cublasLtHandle_t>>(handle, [](auto* h) { cublasLtDestroy(h); });
  }
  cublasLtHandle_t get() const { return handle_.get(); }

 private:
  std::shared_ptr<std::remove_pointer_t<cublasLtHandle_t>> handle_;
};

class MatmulDescriptor {
 public:
  explicit MatmulDescriptor(cublasComputeType_t compute) {
    cublasLtMatmulDesc_t descriptor = nullptr;
    D3AD_CUBLAS_CHECK(cublasLtMatmulDescCreate(&descriptor, compute, CUDA_R_32F));
    descriptor_.reset(descriptor);
  }
  template <class V>
  void set(cublasLtMatmulDescAttributes_t what, V value) {
    D3AD_CUBLAS_CHECK(cublasLtMatmulDescSetAttribute(get(), what, &value, sizeof value));
  }
  cublasLtMatmulDesc_t get() const { return descriptor_.get(); }

 private:
  struct Free {
    void operator()(cublasLtMatmulDesc_t d) const noexcept { cublasLtMatmulDescDestroy(d); }
  };
  std::unique_ptr<std::remove_pointer_t<cublasLtMatmulDesc_t>, Free> descriptor_;
};

class MatrixLayout {
 public:
  // Column-major: `stride` elements between columns.
  MatrixLayout(cudaDataType_t type, std::int64_t rows, std::int64_t columns, std::int64_t stride, std::int64_t batch,
               std::int64_t step) {
    cublasLtMatrixLayout_t layout = nullptr;
    D3AD_CUBLAS_CHECK(cublasLtMatrixLayoutCreate(&layout, type, static_cast<std::uint64_t>(rows),
                                                 static_cast<std::uint64_t>(columns), stride));
    layout_.reset(layout);
    if (batch == 1) return;
    const auto count = static_cast<std::int32_t>(batch);
    D3AD_CUBLAS_CHECK(
        cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count));
    D3AD_CUBLAS_CHECK(
        cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step, sizeof step));
  }
  cublasLtMatrixLayout_t get() const { return layout_.get(); }

 private:
  struct Free {
    void operator()(cublasLtMatrixLayout_t l) const noexcept { cublasLtMatrixLayoutDestroy(l); }
  };
  std::unique_ptr<std::remove_pointer_t<cublasLtMatrixLayout_t>, Free> layout_;
};

class MatmulPreference {
 public:
  MatmulPreference() {
    cublasLtMatmulPreference_t preference = nullptr;
    D3AD_CUBLAS_CHECK(cublasLtMatmulPreferenceCreate(&preference));
    preference_.reset(preference);
  }
  template <class V>
  void set(cublasLtMatmulPreferenceAttributes_t what, V value) {
    D3AD_CUBLAS_CHECK(cublasLtMatmulPreferenceSetAttribute(get(), what, &value, sizeof value));
  }
  cublasLtMatmulPreference_t get() const { return preference_.get(); }

 private:
  struct Free {
    void operator()(cublasLtMatmulPreference_t p) const noexcept { cublasLtMatmulPreferenceDestroy(p); }
  };
  std::unique_ptr<std::remove_pointer_t<cublasLtMatmulPreference_t>, Free> preference_;
};

namespace detail {

// What a product is prepared for.
struct MatmulKey {
  std::int64_t type, out_type, rows, columns, depth, a_transposed, b_transposed, a_stride, b_stride, out_stride, batch,
      a_step, b_step, out_step, bias, a_alignment, b_alignment, out_alignment;
  bool operator==(const MatmulKey&) const = default;
};

// A product that is ready to be computed: cuBLASLt's descriptors, and the algorithm that its heuristic chose.
struct PreparedMatmul {
  static constexpr std::uint64_t kMostWorkspace = 32u << 20;

  CublasHandle handle;  // outlives the descriptors
  MatmulDescriptor operation;
  MatrixLayout a, b, out;  // named as in Product; cuBLASLt's first operand is b
  cublasLtMatmulAlgo_t algorithm{};
  std::size_t workspace = 0;

  PreparedMatmul(CublasHandle library, const Product& p, cudaDataType_t type, cudaDataType_t out_type, bool tf32,
                 bool bias, std::uint32_t a_alignment, std::uint32_t b_alignment, std::uint32_t out_alignment)
      : handle(std::move(library)),
        operation(tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F),
        a(type, p.a_transposed ? p.rows : p.depth, p.a_transposed ? p.depth : p.rows, p.a_stride, p.batch, p.a_step),
        b(type, p.b_transposed ? p.depth : p.columns, p.b_transposed ? p.columns : p.depth, p.b_stride, p.batch,
          p.b_step),
        out(out_type, p.columns, p.rows, p.out_stride, p.batch, p.out_step) {
    operation.set(CUBLASLT_MATMUL_DESC_TRANSA, p.b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    operation.set(CUBLASLT_MATMUL_DESC_TRANSB, p.a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    if (bias) {
      operation.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
      operation.set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, out_type);
    }
    MatmulPreference preference;
    preference.set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kMostWorkspace);
    preference.set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                   static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, b_alignment);
    preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, a_alignment);
    preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, out_alignment);
    preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, out_alignment);
    cublasLtMatmulHeuristicResult_t found{};
    int count = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
        handle.get(), operation.get(), b.get(), a.get(), out.get(), out.get(), preference.get(), 1, &found, &count);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED || (status == CUBLAS_STATUS_SUCCESS && count == 0))
      fail("CUDA: cuBLASLt has no algorithm for the product [", p.rows, ", ", p.depth, "] x [", p.depth, ", ",
           p.columns, "] with strides ", p.a_stride, ", ", p.b_stride, ", ", p.out_stride, " at addresses aligned to ",
           a_alignment, ", ", b_alignment, ", ", out_alignment, " bytes; use float activations");
    check_cublas(status, "cublasLtMatmulAlgoGetHeuristic");
    check_cublas(found.state, "cublasLtMatmulAlgoGetHeuristic");
    algorithm = found.algo;
    workspace = found.workspaceSize;
  }
};

}  // namespace detail

// out = alpha A B + beta out + bias of each column (null: none). Out: T or float.
template <class Out, class T>
void multiply(Context<CudaOf<T>>& ctx, const Product& p, Out* out, const T* a, const T* b,
              const float* bias = nullptr) {
  static_assert(std::is_same_v<Out, T> || std::is_same_v<Out, float>, "a product of T is T or float");
  check_product(p);
  const std::uint32_t a_alignment = alignment(a), b_alignment = alignment(b);
  const std::uint32_t out_alignment = alignment(out);
  const detail::MatmulKey key{.type = cuda_type<T>(),
                              .out_type = cuda_type<Out>(),
                              .rows = p.rows,
                              .columns = p.columns,
                              .depth = p.depth,
                              .a_transposed = p.a_transposed,
                              .b_transposed = p.b_transposed,
                              .a_stride = p.a_stride,
                              .b_stride = p.b_stride,
                              .out_stride = p.out_stride,
                              .batch = p.batch,
                              .a_step = p.a_step,
                              .b_step = p.b_step,
                              .out_step = p.out_step,
                              .bias = bias != nullptr,
                              .a_alignment = a_alignment,
                              .b_alignment = b_alignment,
                              .out_alignment = out_alignment};
  auto& prepared = ctx.template kept<KeyedCache<detail::PreparedMatmul, detail::MatmulKey>>().get(key, [&] {
    auto& handle = ctx.template kept<CublasHandle>();
    return detail::PreparedMatmul(handle, p, cuda_type<T>(), cuda_type<Out>(), std::is_same_v<T, float> && ctx.tf32(),
                                  bias != nullptr, a_alignment, b_alignment, out_alignment);
  });
  Value<Out, CudaOf<T>> copy;
  if (bias) {
    const void* values = bias;
    if (!std::is_same_v<Out, float> || alignment(bias) < 16) {
      const Shape shape{.c = p.columns};
      copy = make_value<Out>(ctx, shape);
      values = copy.view().data;
      if constexpr (std::is_same_v<Out, float>)
        D3AD_CUDA_CHECK(cudaMemcpyAsync(copy.view().data, bias, static_cast<std::size_t>(p.columns) * sizeof(float),
                                        cudaMemcpyDeviceToDevice, ctx.stream()));
      else
        ops::convert(ctx, copy.view(), View<const float, CudaOf<T>>(bias, shape));
    }
    prepared.operation.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, values);
  }
  const Workspace<T> workspace(ctx, prepared.workspace);
  D3AD_CUBLAS_CHECK(cublasLtMatmul(prepared.handle.get(), prepared.operation.get(), &p.alpha, b, prepared.b.get(), a,
                                   prepared.a.get(), &p.beta, out, prepared.out.get(), out, prepared.out.get(),
                                   &prepared.algorithm, workspace.data(), prepared.workspace, ctx.stream()));
}

}  // namespace d3ad::cuda
