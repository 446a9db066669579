#pragma once
// CUDA kernels of the gradients of normalisations, ops/group_norm.hpp and ops/batch_norm.hpp (whose batch is one
// image). Forward they are lines: kernels/conv_block.cuh.
//
// With y = factor * x + offset per image and channel, and d = dy through the slope of what comes after y:
//   sums of d and of d * (x - mean) over the pixels     one pass over dy and x
//   dx = d * factor - (x - mean) * tilt - level         another; tilt and level follow from the sums

#include "kernels/conv_block.cuh"

namespace d3ad::kernels {

// d = dy * the slope of bent() at y
template <class T>
__device__ float through_bend(float dy, float y, Bend how) {
  if (how == Bend::silu) {
    float e;
    if constexpr (std::is_same_v<T, float>)
      e = expf(-y);
    else
      e = __expf(-y);
    const float s = 1.0f / (1.0f + e);
    return dy * (s * (1.0f + y * (1.0f - s)));
  }
  return how == Bend::relu && y <= 0.0f ? 0.0f : dy;
}

// A thread's channels in a table [image, 3, channel]: factor, offset, mean.
template <class T, int V>
struct Normalised {
  float factor[V], offset[V], mean[V];
  Bend bend;

  __device__ Normalised(const float* table, Bend how, const NormTiles& t, const NormPlace& place) : bend(how) {
    const float* const from = table + place.image * 3 * t.channels + place.channel;
    load_floats(factor, from);
    load_floats(offset, from + t.channels);
    load_floats(mean, from + 2 * t.channels);
  }
  __device__ float gradient(float dy, float x, int i) const {
    return bend == Bend::none ? dy : through_bend<T>(dy, x * factor[i] + offset[i], bend);
  }
};

// The pixels of dy and x that a thread takes at once.
template <class T, int V>
struct GradientPixels {
  Elements<T, V> dy[kPixelsAtOnce], x[kPixelsAtOnce];
  int count = 0;

  __device__ GradientPixels(const T* from_dy, const T* from_x, std::int64_t p, std::int64_t step, const NormTiles& t,
                            const NormPlace& place) {
    for (int k = 0; k < kPixelsAtOnce; ++k)
      if (p + k * step < place.last) {
        const std::int64_t at = (place.image * t.pixels + p + k * step) * t.channels + place.channel;
        dy[k] = load_some<V>(from_dy + at), x[k] = load_some<V>(from_x + at), count = k + 1;
      }
  }
};

// partial[image, block, 2, channel] = sums of d and of d * (x - mean)
template <class T, int V>
__global__ void gradient_sums_kernel(float* partial, const T* dy, const T* x, const float* table, Bend bend,
                                     NormTiles t) {
  const NormPlace place(t, V);
  float sum_d[V] = {}, sum_dx[V] = {};
  if (place.inside) {
    const Normalised<T, V> normal(table, bend, t, place);
    const std::int64_t step = blockDim.y;
    for (std::int64_t p = place.begin(); p < place.last; p += kPixelsAtOnce * step) {
      const GradientPixels<T, V> some(dy, x, p, step, t, place);
      for (int k = 0; k < kPixelsAtOnce; ++k)
        if (k < some.count)
          for (int i = 0; i < V; ++i) {
            const float d = normal.gradient(some.dy[k][i], some.x[k][i], i);
            sum_d[i] += d;
            sum_dx[i] += d * (some.x[k][i] - normal.mean[i]);
          }
    }
  }
  const SharedSums<V> all;
  all.put(sum_d, sum_dx);
  all.each_channel(t, place, [&](std::int64_t channel, unsigned i, unsigned x_of) {
    double d = 0, dx = 0;
    for (unsigned y = 0; y < blockDim.y; ++y) {
      d += static_cast<double>(all.at(0, i, x_of, y));
      dx += static_cast<double>(all.at(1, i, x_of, y));
    }
    float* const to = partial + (place.image * t.per_image + place.block) * 2 * t.channels + channel;
    to[0] = static_cast<float>(d);
    to[t.channels] = static_cast<float>(dx);
  });
}

// totals[image, 2, channel] of an image's blocks; 32 x 8 threads for 32 channels of an image.
template <class Sum>
__global__ void join_gradient_sums_kernel(Sum* totals, const float* partial, NormTiles t) {
  __shared__ Sum sums[2][8][32];
  const std::int64_t wide = (t.channels + 31) / 32, image = blockIdx.x / wide;
  const std::int64_t c = blockIdx.x % wide * 32 + threadIdx.x;
  const float* const from = partial + image * t.per_image * 2 * t.channels + c;
  Sum d = 0, dx = 0;
  if (c < t.channels)
    for (std::int64_t b = threadIdx.y; b < t.per_image; b += 8) {
      d += static_cast<Sum>(from[b * 2 * t.channels]);
      dx += static_cast<Sum>(from[(b * 2 + 1) * t.channels]);
    }
  sums[0][threadIdx.y][threadIdx.x] = d;
  sums[1][threadIdx.y][threadIdx.x] = dx;
  __syncthreads();
  if (threadIdx.y > 1 || c >= t.channels) return;
  Sum all = 0;
  for (int k = 0; k < 8; ++k) all += sums[threadIdx.y][k][threadIdx.x];
  totals[(image * 2 + threadIdx.y) * t.channels + c] = all;
}

// dx = d * factor - (x - mean) * tilt - level; coefficients [image, 2, channel]: tilt, level. dx may be dy.
template <class T, int V>
__global__ void norm_gradient_kernel(T* dx, const T* dy, const T* x, const float* table, const float* coefficients,
                                     Bend bend, NormTiles t) {
  const NormPlace place(t, V);
  if (!place.inside) return;
  const Normalised<T, V> normal(table, bend, t, place);
  float tilt[V], level[V];
  load_floats(tilt, coefficients + place.image * 2 * t.channels + place.channel);
  load_floats(level, coefficients + (place.image * 2 + 1) * t.channels + place.channel);
  const std::int64_t step = blockDim.y;
  for (std::int64_t p = place.begin(); p < place.last; p += kPixelsAtOnce * step) {
    const GradientPixels<T, V> some(dy, x, p, step, t, place);
    for (int k = 0; k < kPixelsAtOnce; ++k)
      if (k < some.count) {
        Elements<T, V> to;
        for (int i = 0; i < V; ++i) {
          const float d = normal.gradient(some.dy[k][i], some.x[k][i], i);
          to.set(i, d * normal.factor[i] - (some.x[k][i] - normal.mean[i]) * tilt[i] - level[i]);
        }
        store_some(dx + (place.image * t.pixels + p + k * step) * t.channels + place.channel, to);
      }
  }
}

// table[image, 3, channel] of a group norm's statistics; one thread for each channel of each image.
template <class Sum>
__global__ void group_norm_table_kernel(float* table, const float* stats, const float* scale, const float* shift,
                                        std::int64_t count, std::int64_t channels, std::int64_t groups) {
  for (std::int64_t i = grid_thread(); i < count; i += grid_threads()) {
    const std::int64_t image = i / channels, c = i % channels, g = c / (channels / groups);
    const Sum mean = static_cast<Sum>(stats[image * 2 * groups + g]);
    const Sum factor = static_cast<Sum>(stats[(image * 2 + 1) * groups + g]) * static_cast<Sum>(scale[c]);
    float* const to = table + image * 3 * channels + c;
    to[0] = static_cast<float>(factor);
    to[channels] = static_cast<float>(static_cast<Sum>(shift[c]) - mean * factor);
    to[2 * channels] = static_cast<float>(mean);
  }
}

// coefficients of a group norm; one warp for a group of an image.
template <class Sum>
__global__ void group_norm_coefficients_kernel(float* coefficients, const Sum* totals, const float* stats,
                                               const float* scale, std::int64_t images, std::int64_t pixels,
                                               std::int64_t channels, std::int64_t groups) {
  const std::int64_t job = grid_thread() / 32, image = job / groups, g = job % groups, lane = threadIdx.x % 32;
  if (image >= images) return;
  const std::int64_t width = channels / groups, end = (g + 1) * width;
  const Sum *const of_d = totals + image * 2 * channels, *const of_dx = of_d + channels;
  const Sum inverse = static_cast<Sum>(stats[(image * 2 + 1) * groups + g]);
  Sum d = 0, dx = 0;
  for (std::int64_t c = g * width + lane; c < end; c += 32) {
    d += of_d[c] * static_cast<Sum>(scale[c]);
    dx += of_dx[c] * static_cast<Sum>(scale[c]);
  }
  const Sum count = static_cast<Sum>(pixels * width);
  const Sum tilt = inverse * inverse * inverse * warp_sum(dx) / count, level = inverse * warp_sum(d) / count;
  for (std::int64_t c = g * width + lane; c < end; c += 32) {
    coefficients[image * 2 * channels + c] = static_cast<float>(tilt);
    coefficients[(image * 2 + 1) * channels + c] = static_cast<float>(level);
  }
}

// dscale, dshift (null: not wanted) += sums over the images; one thread for a channel.
template <class Sum>
__global__ void group_norm_parameters_kernel(float* dscale, float* dshift, const Sum* totals, const float* stats,
                                             std::int64_t images, std::int64_t channels, std::int64_t groups) {
  const std::int64_t c = grid_thread();
  if (c >= channels) return;
  Sum d = 0, dn = 0;
  for (std::int64_t n = 0; n < images; ++n) {
    d += totals[n * 2 * channels + c];
    dn += totals[(n * 2 + 1) * channels + c] * static_cast<Sum>(stats[(n * 2 + 1) * groups + c / (channels / groups)]);
  }
  if (dscale) dscale[c] += static_cast<float>(dn);
  if (dshift) dshift[c] += static_cast<float>(d);
}

// Host side, for both normalisations: as the kernels say. All is on the device; dx may be dy.
template <class T>
void gradient_sums(Context<CudaOf<T>>&, double* totals, const T* dy, const T* x, const float* table, Bend,
                   std::int64_t images, std::int64_t pixels, std::int64_t channels);
template <class T>
void norm_gradient(Context<CudaOf<T>>&, T* dx, const T* dy, const T* x, const float* table, const float* coefficients,
                   Bend, std::int64_t images, std::int64_t pixels, std::int64_t channels);

}  // namespace d3ad::kernels
