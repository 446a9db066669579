#pragma once
// CUDA kernels of ops/loss.hpp, and sums over whole tensors in general: each block leaves a sum in double, a second
// kernel of one block joins them. Which element goes where depends on the sizes alone, so a sum has the same bits in
// every run, wherever its operands lie.
//
//   launch(..., sum_kernel<T, SquaredDifference, T, T>, sum_blocks(count), kSumThreads, ..., partial, count, packs,
//          SquaredDifference{}, x, t);
//   launch(..., join_kernel<T>, 1, kSumThreads, ..., loss, partial, blocks, divisor);

#include <algorithm>
#include <cstdint>

#include "kernels/element.cuh"
#include "kernels/launch.cuh"

namespace d3ad::kernels {

inline constexpr int kSumThreads = 256;

// Sixteen elements a thread, until there are enough blocks to keep a GPU busy.
inline unsigned sum_blocks(std::int64_t count) {
  return static_cast<unsigned>(std::clamp<std::int64_t>(count / (16 * kSumThreads), 1, 1024));
}

template <class F, class... P>
__device__ double term_sum_of_packs(int count, const F& term, const P&... x) {
  double sum = 0;
  for (int k = 0; k < count; ++k) sum += term(x[k]...);
  return sum;
}

// term(x[i], ...) in double over elements first ... last - 1, as the thread's part of them. packs: all of x + first are
// aligned.
template <class T, class F, class... X>
__device__ double sum_terms(std::int64_t first, std::int64_t last, std::int64_t thread, std::int64_t threads,
                            bool packs, const F& term, const X*... x) {
  double sum = 0;
  for (std::int64_t i = first + thread * kPack<T>; i < last; i += threads * kPack<T>) {
    double part = 0;
    if (packs && i + kPack<T> <= last) {
      part = term_sum_of_packs(kPack<T>, term, load(x + i)...);
    } else {
      for (std::int64_t k = i; k < i + kPack<T> && k < last; ++k) part += term(widen(x[k])...);
    }
    sum += part;
  }
  return sum;
}

template <class T, class F, class... X>
__global__ void sum_kernel(double* partial, std::int64_t count, bool packs, F term, const X*... x) {
  __shared__ double shared[33];
  const double sum = block_sum(sum_terms<T>(0, count, grid_thread(), grid_threads(), packs, term, x...), shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

template <class Out>
__device__ void put(Out* out, double value) {
  if constexpr (std::is_same_v<Out, double>)
    *out = value;
  else
    *out = narrow<Out>(static_cast<float>(value));
}

// out = sum of the partial sums / divisor; one block.
template <class Out>
__global__ void join_kernel(Out* out, const double* partial, std::int64_t count, double divisor) {
  __shared__ double shared[33];
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += blockDim.x) sum += partial[i];
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) put(out, sum / divisor);
}

struct Square {
  __device__ double operator()(float x) const { return static_cast<double>(x) * static_cast<double>(x); }
};
struct SquaredDifference {
  __device__ double operator()(float x, float t) const {
    const double d = static_cast<double>(x) - static_cast<double>(t);
    return d * d;
  }
};
struct AbsoluteDifference {
  __device__ double operator()(float x, float t) const { return fabs(static_cast<double>(x) - static_cast<double>(t)); }
};
struct KlTerm {
  __device__ double operator()(float mean, float logvar) const {
    const double m = static_cast<double>(mean), v = static_cast<double>(logvar);
    return 0.5 * (m * m + exp(v) - 1.0 - v);
  }
};

// times * d / divisor
template <class T>
__global__ void factor_kernel(T* out, const T* d, double times, double divisor) {
  *out = static_cast<T>(times * static_cast<double>(*d) / divisor);
}

// Gradients, element by element (map_elements); factor: one number.
struct ScaledDifference {
  const float* factor;
  __device__ float operator()(float x, float t) const { return *factor * (x - t); }
};
struct SignOfDifference {
  const float* factor;
  __device__ float operator()(float x, float t) const { return x > t ? *factor : x < t ? -*factor : 0.0f; }
};
struct Times {
  const float* factor;
  __device__ float operator()(float x) const { return *factor * x; }
};
struct HalfExpMinusOne {
  const float* factor;
  __device__ float operator()(float logvar) const { return *factor * 0.5f * expm1f(logvar); }
};

// Of one image: d loss / dx = across * y + along_x * x, and the same for y.
struct CosineFactors {
  float across, along_x, along_y;
};

// partial[image][block] = <x, x>, <y, y>, <x, y> over the block's part; blocks: of each image
template <class T>
__global__ void cosine_sums_kernel(double* partial, const T* x, const T* y, std::int64_t image, std::int64_t blocks,
                                   bool packs) {
  __shared__ double shared[33];
  const std::int64_t n = blockIdx.x / blocks, block = blockIdx.x % blocks;
  x += n * image, y += n * image;
  double xx = 0, yy = 0, xy = 0;
  const auto take = [&](float p, float q) {
    const double a = static_cast<double>(p), b = static_cast<double>(q);
    xx += a * a, yy += b * b, xy += a * b;
  };
  for (std::int64_t i = (block * blockDim.x + threadIdx.x) * kPack<T>; i < image; i += blocks * blockDim.x * kPack<T>) {
    if (packs) {
      const Pack<T> p = load(x + i), q = load(y + i);
      for (int k = 0; k < kPack<T>; ++k) take(p[k], q[k]);
    } else {
      for (std::int64_t k = i; k < i + kPack<T> && k < image; ++k) take(widen(x[k]), widen(y[k]));
    }
  }
  xx = block_sum(xx, shared), yy = block_sum(yy, shared), xy = block_sum(xy, shared);
  if (threadIdx.x == 0) {
    double* const out = partial + 3 * static_cast<std::int64_t>(blockIdx.x);
    out[0] = xx, out[1] = yy, out[2] = xy;
  }
}

// One block an image: its loss, or where wanted the factors of its gradient times d / divisor.
template <class Factors>
__global__ void cosine_join_kernel(double* loss, Factors* factors, const double* partial, std::int64_t blocks,
                                   const float* d_loss, double divisor) {
  __shared__ double shared[33];
  partial += 3 * blocks * blockIdx.x;
  double sums[3] = {0, 0, 0};
  for (std::int64_t i = threadIdx.x; i < blocks; i += blockDim.x)
    for (int k = 0; k < 3; ++k) sums[k] += partial[3 * i + k];
  for (double& sum : sums) sum = block_sum(sum, shared);
  if (threadIdx.x != 0) return;
  double x_length = sqrt(sums[0]), y_length = sqrt(sums[1]);
  if (x_length < 1e-8) x_length = 1e-8;  // NaN stays
  if (y_length < 1e-8) y_length = 1e-8;
  const double lengths = x_length * y_length;
  if (loss) loss[blockIdx.x] = 1.0 - sums[2] / lengths;
  if (!factors) return;
  const double d = static_cast<double>(*d_loss) / divisor;
  factors[blockIdx.x] = {static_cast<float>(-d / lengths),
                         static_cast<float>(d * sums[2] / (x_length * x_length * lengths)),
                         static_cast<float>(d * sums[2] / (y_length * y_length * lengths))};
}

// dx, dy: null if not wanted
template <class T>
__global__ void cosine_gradient_kernel(T* dx, T* dy, const T* x, const T* y, const CosineFactors* factors,
                                       std::int64_t count, std::int64_t image, bool packs) {
  const std::int64_t each = packs ? kPack<T> : 1;
  for (std::int64_t i = grid_thread() * each; i < count; i += grid_threads() * each) {
    const CosineFactors f = factors[i / image];
    if (packs) {
      const Pack<T> p = load(x + i), q = load(y + i);
      Pack<T> out;
      if (dx) {
        for (int k = 0; k < kPack<T>; ++k) out.set(k, f.across * q[k] + f.along_x * p[k]);
        store(dx + i, out);
      }
      if (dy) {
        for (int k = 0; k < kPack<T>; ++k) out.set(k, f.across * p[k] + f.along_y * q[k]);
        store(dy + i, out);
      }
    } else {
      const float p = widen(x[i]), q = widen(y[i]);
      if (dx) dx[i] = narrow<T>(f.across * q + f.along_x * p);
      if (dy) dy[i] = narrow<T>(f.across * p + f.along_y * q);
    }
  }
}

// log sum exp of a row by a warp, all threads of which get it.
template <class T>
__device__ double log_sum_exp(const T* x, std::int64_t classes) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  float largest = -INFINITY;
  for (std::int64_t c = lane; c < classes; c += 32) {
    const float v = widen(x[c]);
    largest = v > largest || v != v ? v : largest;  // NaN stays
  }
  const double top = static_cast<double>(warp_max(largest));
  double sum = 0;
  for (std::int64_t c = lane; c < classes; c += 32) sum += exp(static_cast<double>(widen(x[c])) - top);
  return top + log(warp_sum(sum));
}

// Rows of x: a warp each. partial[block] = sum of -log softmax(x)[label]; NaN for a label that is no class.
template <class T>
__global__ void cross_entropy_kernel(double* partial, const T* x, const std::int32_t* labels, std::int64_t rows,
                                     std::int64_t classes) {
  __shared__ double shared[33];
  const bool first = threadIdx.x % 32 == 0;
  double sum = 0;
  for (std::int64_t r = grid_thread() / 32; r < rows; r += grid_threads() / 32) {
    const double all = log_sum_exp(x + r * classes, classes);
    const std::int32_t label = labels[r];
    const bool known = label >= 0 && label < classes;
    if (first) sum += known ? all - static_cast<double>(widen(x[r * classes + label])) : static_cast<double>(NAN);
  }
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// dx = d / divisor * (softmax(x) - 1 at the label); NaN in a row whose label is no class.
template <class T>
__global__ void cross_entropy_gradient_kernel(T* dx, const T* x, const std::int32_t* labels, std::int64_t rows,
                                              std::int64_t classes, const float* d, double divisor) {
  const double factor = static_cast<double>(*d) / divisor;
  for (std::int64_t r = grid_thread() / 32; r < rows; r += grid_threads() / 32) {
    const T* const row = x + r * classes;
    const std::int32_t label = labels[r];
    const double all = log_sum_exp(row, classes), f = label >= 0 && label < classes ? factor : static_cast<double>(NAN);
    for (std::int64_t c = threadIdx.x % 32; c < classes; c += 32) {
      const double p = exp(static_cast<double>(widen(row[c])) - all);
      dx[r * classes + c] = narrow<T>(static_cast<float>(f * (p - (c == label ? 1.0 : 0.0))));
    }
  }
}

}  // namespace d3ad::kernels
