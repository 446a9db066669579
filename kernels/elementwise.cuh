#pragma once
// CUDA kernels of ops/elementwise.hpp. The limit is bandwidth: each element is read and written once, sixteen bytes at
// a time if the pointers allow it.

#include "d3ad/backend/cuda/context.hpp"
#include "kernels/element.cuh"
#include "kernels/launch.cuh"

namespace d3ad::kernels {

template <class U, class F, class... P>
__device__ void apply_to_packs(Pack<U>& y, const F& f, const P&... x) {
  for (int k = 0; k < kPack<U>; ++k) y.set(k, f(x[k]...));
}

// out[i] = f(x[i], ...) for i < count; the last elements, which do not fill a pack, one by one.
template <class U, class F, class... X>
__global__ void map_elements(U* out, std::int64_t count, bool packs, F f, const X*... x) {
  const std::int64_t first = grid_thread(), threads = grid_threads();
  const std::int64_t whole = packs ? count / kPack<U> : 0;
  for (std::int64_t i = first; i < whole; i += threads) {
    Pack<U> y;
    apply_to_packs(y, f, load(x + i * kPack<U>)...);
    store(out + i * kPack<U>, y);
  }
  for (std::int64_t i = whole * kPack<U> + first; i < count; i += threads) out[i] = narrow<U>(f(widen(x[i])...));
}

// Launches map_elements for out = f(x, ...), each x of out's size.
template <class T, class U, class F, class... X>
void map(const char* name, Context<CudaOf<T>>& ctx, View<U, CudaOf<T>> out, F f, const X*... x) {
  constexpr int kThreads = 256;
  const bool packs = packed<U>({out.data, x...}, 0);
  const std::int64_t count = out.size(), items = packs ? count / kPack<U> + kPack<U> : count;
  launch(name, ctx.stream(), map_elements<U, F, X...>, blocks_for(items, kThreads), kThreads, 0, out.data, count, packs,
         f, x...);
}

struct Constant {
  float value;
  __device__ float operator()() const { return value; }
};
struct Same {
  __device__ float operator()(float x) const { return x; }
};
struct Sum {
  __device__ float operator()(float x, float y) const { return x + y; }
};
struct Line {
  float factor, offset;
  __device__ float operator()(float x) const { return factor * x + offset; }
};
struct PlusScaled {
  float factor;
  __device__ float operator()(float y, float x) const { return y + factor * x; }
};

// out = factor[c] * x + offset[c]
template <class T>
__global__ void scale_channels_kernel(T* out, const T* x, const float* factor, const float* offset, std::int64_t count,
                                      std::int64_t channels) {
  for (std::int64_t i = grid_thread(); i < count; i += grid_threads())
    out[i] = narrow<T>(factor[i % channels] * widen(x[i]) + offset[i % channels]);
}

// out = x + shift[n, c]; image: elements of one
template <class T>
__global__ void add_per_image_kernel(T* out, const T* x, const T* shift, std::int64_t count, std::int64_t image,
                                     std::int64_t channels) {
  for (std::int64_t i = grid_thread(); i < count; i += grid_threads())
    out[i] = narrow<T>(widen(x[i]) + widen(shift[i / image * channels + i % channels]));
}

// out[n, c] = sum over the pixels; one block of 32 x 8 threads for 32 channels of an image
template <class T>
__global__ void sum_pixels_kernel(T* out, const T* x, std::int64_t pixels, std::int64_t channels) {
  __shared__ float partial[8][33];
  const std::int64_t c = static_cast<std::int64_t>(blockIdx.x) * 32 + threadIdx.x, n = blockIdx.y;
  float sum = 0;
  if (c < channels)
    for (std::int64_t p = threadIdx.y; p < pixels; p += 8) sum += widen(x[(n * pixels + p) * channels + c]);
  partial[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y == 0 && c < channels) {
    double total = 0;
    for (int k = 0; k < 8; ++k) total += static_cast<double>(partial[k][threadIdx.x]);
    out[n * channels + c] = narrow<T>(static_cast<float>(total));
  }
}

}  // namespace d3ad::kernels
