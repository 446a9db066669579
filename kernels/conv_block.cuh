#pragma once
// CUDA kernels of ops/conv_block.hpp: moments of channels, what a convolution reads, what follows it; and how the
// normalisations share [images, pixels, channels] out to blocks of threads.
//
// A thread has one channel, or a pack of neighbouring ones, and every so many pixels of its block; what belongs to
// channels stays in its registers. Moments are made from a few pixels at a time, by their own mean, and joined by the
// formula of Chan, Golub and LeVeque: large means cost no precision. Blocks of moments depend on an image's shape
// alone.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/conv_block.hpp"
#include "kernels/element.cuh"
#include "kernels/launch.cuh"

namespace d3ad::kernels {

// V neighbouring elements: a pack of them, or one. Packs of two-byte elements lie in registers two by two, since a
// register that holds one alone is half wasted.
template <class T, int V>
struct alignas(sizeof(T) * V) Elements {
  static_assert(V == 1 || V == kPack<T>);
  static constexpr bool kTwoByTwo = V > 1 && sizeof(T) == 2;
  std::conditional_t<kTwoByTwo, std::uint32_t, T> word[kTwoByTwo ? V / 2 : V];

  __device__ float operator[](int i) const {
    if constexpr (kTwoByTwo) {
      T element;
      element.bits = static_cast<std::uint16_t>(word[i / 2] >> (i % 2 * 16));
      return widen(element);
    } else {
      return widen(word[i]);
    }
  }
  __device__ void set(int i, float v) {
    if constexpr (kTwoByTwo)
      word[i / 2] = (word[i / 2] & (i % 2 ? 0xffffu : 0xffff0000u)) | static_cast<std::uint32_t>(narrow<T>(v).bits)
                                                                          << (i % 2 * 16);
    else
      word[i] = narrow<T>(v);
  }
};
template <int V, class T>
__device__ Elements<T, V> load_some(const T* p) {
  return *reinterpret_cast<const Elements<T, V>*>(p);
}
template <int V, class T>
__device__ void store_some(T* p, const Elements<T, V>& e) {
  *reinterpret_cast<Elements<T, V>*>(p) = e;
}
// V floats of a table; if V is more than one they are aligned to 16 bytes.
template <int V>
__device__ void load_floats(float (&to)[V], const float* p) {
  if constexpr (V % kPack<float> == 0) {
    for (int i = 0; i < V; i += kPack<float>) {
      const Pack<float> pack = load(p + i);
      for (int k = 0; k < kPack<float>; ++k) to[i + k] = pack[k];
    }
  } else {
    for (int i = 0; i < V; ++i) to[i] = p[i];
  }
}

// f(std::integral_constant<int, V>) for the V that can be had.
template <class T, class F>
void with_elements(bool packs, F f) {
  if (packs)
    f(std::integral_constant<int, kPack<T>>{});
  else
    f(std::integral_constant<int, 1>{});
}

// Pixels that a thread has in its hands at once, so that it waits for memory once for all of them.
inline constexpr int kPixelsAtOnce = 4;

inline constexpr unsigned kNormThreads = 256;  // of a block, at most

// [images, pixels, channels] in blocks: `across` of them side by side, per_image of them one after the other.
struct NormTiles {
  std::int64_t images, pixels, channels;
  std::int64_t rows = 1, per_image = 1, across = 1;  // rows: pixels of a block
  unsigned lanes = 1, deep = 1;                      // threads of a block: along channels, along pixels

  NormTiles(std::int64_t n, std::int64_t p, std::int64_t c, int at_once) : images(n), pixels(p), channels(c) {
    const std::int64_t items = c / at_once, most = at_once == 1 ? 32 : 8;  // 128 bytes side by side
    while (lanes < most && lanes < items) lanes *= 2;
    while (deep < kNormThreads / lanes && deep < p) deep *= 2;
    across = (items + lanes - 1) / lanes;
  }
  // Blocks that are summed up: large enough for their sums to be few, in the middle of a network one to an image.
  static NormTiles to_sum(std::int64_t n, std::int64_t p, std::int64_t c, int at_once) {
    NormTiles t(n, p, c, at_once);
    t.split(1024);
    return t;
  }
  // Blocks that have nothing to do with each other: enough of them to fill the device.
  static NormTiles to_map(std::int64_t n, std::int64_t p, std::int64_t c, int at_once) {
    NormTiles t(n, p, c, at_once);
    const std::int64_t shares = n * t.across * p / (1024 * t.deep);
    t.split(t.deep * std::clamp<std::int64_t>(shares, 1, 2 * kPixelsAtOnce));
    return t;
  }

  dim3 blocks() const { return dim3(static_cast<unsigned>(images * per_image * across)); }
  dim3 threads() const { return dim3(lanes, deep); }
  // Of SharedSums<V>.
  std::size_t shared_bytes(int at_once) const {
    return static_cast<std::size_t>(2 * at_once) * lanes * (deep + 1) * sizeof(float);
  }
  __host__ __device__ std::int64_t rows_of(std::int64_t block) const {
    return block + 1 < per_image ? rows : pixels - block * rows;
  }

 private:
  void split(std::int64_t most) {
    per_image = (pixels + most - 1) / most;
    rows = (pixels + per_image - 1) / per_image;
    per_image = (pixels + rows - 1) / rows;
  }
};

// Where a thread is in them.
struct NormPlace {
  std::int64_t image, block, first, last;  // pixels of the block
  std::int64_t tile, channel;              // first channel of the block, of the thread
  bool inside;

  __device__ NormPlace(const NormTiles& t, int at_once) {
    const std::int64_t b = blockIdx.x;
    block = b / t.across % t.per_image;
    image = b / t.across / t.per_image;
    first = block * t.rows;
    last = first + t.rows_of(block);
    tile = b % t.across * t.lanes * at_once;
    channel = tile + static_cast<std::int64_t>(threadIdx.x) * at_once;
    inside = channel < t.channels;
  }
  __device__ std::int64_t begin() const { return first + threadIdx.y; }
};

// Two numbers of each channel of each thread, for the whole block to read.
template <int V>
struct SharedSums {
  float* numbers = shared_memory<float>();
  unsigned lanes = blockDim.x, plane = blockDim.x * (blockDim.y + 1);  // + 1: banks

  __device__ float& at(int which, unsigned i, unsigned x, unsigned y) const {
    return numbers[(static_cast<unsigned>(which) * V + i) * plane + y * lanes + x];
  }
  __device__ void put(const float (&a)[V], const float (&b)[V]) const {
    for (unsigned i = 0; i < V; ++i) {
      at(0, i, threadIdx.x, threadIdx.y) = a[i];
      at(1, i, threadIdx.x, threadIdx.y) = b[i];
    }
    __syncthreads();
  }
  // f(channel, i, x): each channel of the block by one thread.
  template <class F>
  __device__ void each_channel(const NormTiles& t, const NormPlace& place, F f) const {
    const unsigned self = threadIdx.y * blockDim.x + threadIdx.x;
    for (unsigned k = self; k < lanes * V; k += blockDim.x * blockDim.y) {
      const unsigned x = k % lanes, i = k / lanes;
      const std::int64_t channel = place.tile + static_cast<std::int64_t>(x) * V + i;
      if (channel < t.channels) f(channel, i, x);
    }
  }
};

// Mean and sum of squared deviations of a growing set of pixels, for each of V channels.
template <int V>
struct RunningMoments {
  float count = 0, mean[V] = {}, square[V] = {};

  // The first n of e.
  template <class T>
  __device__ void join(const Elements<T, V> (&e)[kPixelsAtOnce], int n) {
    const float some = static_cast<float>(n), together = count + some;
    const float part = 1.0f / some, weight = some / together, apart = count * weight;
    for (int i = 0; i < V; ++i) {
      float sum = 0, of_squares = 0;
      for (int k = 0; k < kPixelsAtOnce; ++k)
        if (k < n) sum += e[k][i];
      const float own = sum * part;
      for (int k = 0; k < kPixelsAtOnce; ++k)
        if (k < n) of_squares += (e[k][i] - own) * (e[k][i] - own);
      const float delta = own - mean[i];
      mean[i] += delta * weight;
      square[i] += of_squares + delta * delta * apart;
    }
    count = together;
  }
};

// partial[image, block, 2, channel] = the moments of the block of threads. All threads of the block have to call.
template <int V>
__device__ void join_threads(float* partial, const NormTiles& t, const NormPlace& place, const RunningMoments<V>& own) {
  const SharedSums<V> all;
  all.put(own.mean, own.square);
  const auto rows = static_cast<unsigned>(place.last - place.first), deep = blockDim.y;
  all.each_channel(t, place, [&](std::int64_t channel, unsigned i, unsigned x) {
    double mean = 0, square = 0;
    for (unsigned y = 0; y < deep; ++y) mean += static_cast<double>((rows + deep - 1 - y) / deep) * all.at(0, i, x, y);
    mean /= static_cast<double>(rows);
    for (unsigned y = 0; y < deep; ++y) {
      const double delta = static_cast<double>(all.at(0, i, x, y)) - mean;
      square +=
          static_cast<double>(all.at(1, i, x, y)) + static_cast<double>((rows + deep - 1 - y) / deep) * delta * delta;
    }
    float* const to = partial + (place.image * t.per_image + place.block) * 2 * t.channels + channel;
    to[0] = static_cast<float>(mean);
    to[t.channels] = static_cast<float>(square);
  });
}

template <class T, int V>
__global__ void block_moments_kernel(float* partial, const T* x, NormTiles t) {
  const NormPlace place(t, V);
  RunningMoments<V> moments;
  if (place.inside) {
    const T* const from = x + place.image * t.pixels * t.channels + place.channel;
    const std::int64_t step = blockDim.y;
    for (std::int64_t p = place.begin(); p < place.last; p += kPixelsAtOnce * step) {
      Elements<T, V> e[kPixelsAtOnce]{};
      int n = 0;
      for (int k = 0; k < kPixelsAtOnce; ++k)
        if (p + k * step < place.last) e[k] = load_some<V>(from + (p + k * step) * t.channels), n = k + 1;
      moments.join(e, n);
    }
  }
  join_threads(partial, t, place, moments);
}

// moments[image, 2, channel] of an image's blocks; 32 x 8 threads for 32 channels of an image.
template <class Sum>
__global__ void join_moments_kernel(float* moments, const float* partial, NormTiles t) {
  __shared__ Sum sums[8][32];
  const std::int64_t wide = (t.channels + 31) / 32, image = blockIdx.x / wide;
  const std::int64_t c = blockIdx.x % wide * 32 + threadIdx.x;
  const float* const from = partial + image * t.per_image * 2 * t.channels + c;
  const auto total = [&](Sum own) {
    __syncthreads();  // the sums before are still read
    sums[threadIdx.y][threadIdx.x] = own;
    __syncthreads();
    Sum all = 0;
    for (int k = 0; k < 8; ++k) all += sums[k][threadIdx.x];
    return all;
  };
  Sum own = 0;
  if (c < t.channels)
    for (std::int64_t b = threadIdx.y; b < t.per_image; b += 8)
      own += static_cast<Sum>(t.rows_of(b)) * static_cast<Sum>(from[b * 2 * t.channels]);
  const Sum mean = total(own) / static_cast<Sum>(t.pixels);
  own = 0;
  if (c < t.channels)
    for (std::int64_t b = threadIdx.y; b < t.per_image; b += 8) {
      const Sum delta = static_cast<Sum>(from[b * 2 * t.channels]) - mean;
      own += static_cast<Sum>(from[(b * 2 + 1) * t.channels]) + static_cast<Sum>(t.rows_of(b)) * delta * delta;
    }
  const Sum square = total(own);
  if (threadIdx.y == 0 && c < t.channels) {
    moments[image * 2 * t.channels + c] = static_cast<float>(mean);
    moments[(image * 2 + 1) * t.channels + c] = static_cast<float>(square);
  }
}

// A normalisation as a line for each image and channel: lines[image, 2, channel] = factor, offset of y = factor * x +
// offset. One warp for a group of channels of an image. stats: see ops/group_norm.hpp, or null.
struct MomentsOf {
  const float *x, *more;       // [image, 2, first], [image, 2, channels - first]
  std::int64_t first, pixels;  // channels of x; pixels of an image
};
template <class Sum>
__global__ void norm_lines_kernel(float* lines, float* stats, MomentsOf m, const float* scale, const float* shift,
                                  float eps, std::int64_t images, std::int64_t channels, std::int64_t groups) {
  const std::int64_t job = grid_thread() / 32, image = job / groups, g = job % groups, lane = threadIdx.x % 32;
  if (image >= images) return;
  const std::int64_t width = channels / groups, rest = channels - m.first, end = (g + 1) * width;
  const auto moment = [&](std::int64_t which, std::int64_t c) {
    return static_cast<Sum>(c < m.first ? m.x[(image * 2 + which) * m.first + c]
                                        : m.more[(image * 2 + which) * rest + c - m.first]);
  };
  const Sum count = static_cast<Sum>(m.pixels);
  Sum mean = 0, square = 0;
  for (std::int64_t c = g * width + lane; c < end; c += 32) mean += moment(0, c);
  mean = warp_sum(mean) / static_cast<Sum>(width);
  for (std::int64_t c = g * width + lane; c < end; c += 32)
    square += moment(1, c) + count * (moment(0, c) - mean) * (moment(0, c) - mean);
  const Sum inverse = 1 / std::sqrt(warp_sum(square) / (count * static_cast<Sum>(width)) + static_cast<Sum>(eps));
  for (std::int64_t c = g * width + lane; c < end; c += 32) {
    const Sum factor = inverse * static_cast<Sum>(scale[c]);
    lines[image * 2 * channels + c] = static_cast<float>(factor);
    lines[(image * 2 + 1) * channels + c] = static_cast<float>(static_cast<Sum>(shift[c]) - mean * factor);
  }
  if (stats && lane == 0) {
    stats[image * 2 * groups + g] = static_cast<float>(mean);
    stats[(image * 2 + 1) * groups + g] = static_cast<float>(inverse);
  }
}

// What comes after a normalisation.
enum class Bend { none, silu, relu };

template <class T>
__device__ float bent(float y, Bend how) {
  if (how == Bend::silu) {
    if constexpr (std::is_same_v<T, float>)
      return y / (1.0f + expf(-y));
    else
      return y / (1.0f + __expf(-y));
  }
  return how == Bend::relu && y <= 0.0f ? 0.0f : y;  // NaN stays
}

// The line of a thread's channels, and what comes after it.
template <class T, int V>
struct BentLine {
  float factor[V], offset[V];
  bool there;
  Bend bend;

  __device__ BentLine(const float* lines, Bend how, std::int64_t image, std::int64_t channels, std::int64_t channel)
      : there(lines != nullptr), bend(how) {
    if (!there) return;
    load_floats(factor, lines + image * 2 * channels + channel);
    load_floats(offset, lines + (image * 2 + 1) * channels + channel);
  }
  __device__ float operator()(float x, int i) const { return there ? bent<T>(x * factor[i] + offset[i], bend) : x; }
};

// out = the channels of x and of more (null: none), each through its line (lines null: as they are), resampled. The
// tiles are those of the smaller of both images, `width` is its width. out may be x if nothing is resampled.
template <class T, int V, ops::Resample kHow>
__global__ void gather_kernel(T* out, const T* x, const T* more, std::int64_t first, std::int64_t width,
                              const float* lines, Bend bend, NormTiles t) {
  using ops::Resample;
  const NormPlace place(t, V);
  if (!place.inside) return;
  const bool of_x = place.channel < first;
  const std::int64_t stride = of_x ? first : t.channels - first;
  const T* const from = of_x ? x + place.channel : more + (place.channel - first);
  const BentLine<T, V> line(lines, bend, place.image, t.channels, place.channel);
  const std::int64_t step = blockDim.y;
  if constexpr (kHow == Resample::none) {
    for (std::int64_t p = place.begin(); p < place.last; p += kPixelsAtOnce * step) {
      Elements<T, V> e[kPixelsAtOnce];
      for (int k = 0; k < kPixelsAtOnce; ++k)
        if (p + k * step < place.last) e[k] = load_some<V>(from + (place.image * t.pixels + p + k * step) * stride);
      for (int k = 0; k < kPixelsAtOnce; ++k)
        if (p + k * step < place.last) {
          for (int i = 0; i < V; ++i) e[k].set(i, line(e[k][i], i));
          store_some(out + (place.image * t.pixels + p + k * step) * t.channels + place.channel, e[k]);
        }
    }
  } else {
    for (std::int64_t p = place.begin(); p < place.last; p += step) {
      // The four pixels of the larger image, and that of the smaller one.
      const std::int64_t small = place.image * t.pixels + p;
      const std::int64_t corner = 4 * place.image * t.pixels + p / width * 4 * width + p % width * 2;
      const std::int64_t four[4] = {corner, corner + 1, corner + 2 * width, corner + 2 * width + 1};
      Elements<T, V> y;
      if constexpr (kHow == Resample::up) {
        y = load_some<V>(from + small * stride);
        for (int i = 0; i < V; ++i) y.set(i, line(y[i], i));
        for (int k = 0; k < 4; ++k) store_some(out + four[k] * t.channels + place.channel, y);
      } else {
        Elements<T, V> e[4];
        for (int k = 0; k < 4; ++k) e[k] = load_some<V>(from + four[k] * stride);
        for (int i = 0; i < V; ++i)
          y.set(i, 0.25f * (line(e[0][i], i) + line(e[1][i], i) + line(e[2][i], i) + line(e[3][i], i)));
        store_some(out + small * t.channels + place.channel, y);
      }
    }
  }
}

// What follows a convolution; null: not.
template <class T>
struct Following {
  const float* bias;                        // [channel]
  const float *scale, *shift, *mean, *var;  // batch norm [channel]
  float eps;
  const T *per_image, *residual;  // [image, channel]; [image, pixel of the residual, channel]
  ops::Resample how;              // the residual's
  std::int64_t width;             // of the image that is written
  bool relu;
};

// The residual's pixel for pixel p of the image that is written, or the first of four: those of two rows.
template <class T>
__device__ const T* residual_at(const Following<T>& f, const NormTiles& t, const NormPlace& place, std::int64_t p) {
  using ops::Resample;
  std::int64_t at = place.image * t.pixels + p;
  if (f.how == Resample::up) at = place.image * (t.pixels / 4) + p / f.width / 2 * (f.width / 2) + p % f.width / 2;
  if (f.how == Resample::down) at = 4 * place.image * t.pixels + p / f.width * 4 * f.width + p % f.width * 2;
  return f.residual + at * t.channels + place.channel;
}

// In place over y, and kMoments: partial = the moments of blocks of what was stored.
template <class T, int V, bool kMoments>
__global__ void __launch_bounds__(kNormThreads, 2) finish_kernel(T* y, float* partial, Following<T> f, NormTiles t) {
  const NormPlace place(t, V);
  RunningMoments<V> moments;
  if (place.inside) {
    float factor[V], offset[V];
    for (int i = 0; i < V; ++i) factor[i] = 1.0f, offset[i] = 0.0f;
    if (f.bias) load_floats(offset, f.bias + place.channel);
    if (f.scale) {
      float mean[V], var[V], shift[V];
      load_floats(factor, f.scale + place.channel);
      load_floats(shift, f.shift + place.channel);
      load_floats(mean, f.mean + place.channel);
      load_floats(var, f.var + place.channel);
      for (int i = 0; i < V; ++i) {
        factor[i] /= sqrtf(var[i] + f.eps);
        offset[i] = (offset[i] - mean[i]) * factor[i] + shift[i];
      }
    }
    if (f.per_image) {
      const Elements<T, V> e = load_some<V>(f.per_image + place.image * t.channels + place.channel);
      for (int i = 0; i < V; ++i) offset[i] += e[i];
    }
    T* const to = y + place.image * t.pixels * t.channels + place.channel;
    const std::int64_t step = blockDim.y;
    for (std::int64_t p = place.begin(); p < place.last; p += kPixelsAtOnce * step) {
      Elements<T, V> e[kPixelsAtOnce], residual[kPixelsAtOnce];
      int n = 0;
      for (int k = 0; k < kPixelsAtOnce; ++k)
        if (p + k * step < place.last) {
          e[k] = load_some<V>(to + (p + k * step) * t.channels), n = k + 1;
          if (f.residual) residual[k] = load_some<V>(residual_at(f, t, place, p + k * step));
        }
      for (int k = 0; k < kPixelsAtOnce; ++k)
        if (k < n) {
          float v[V];
          for (int i = 0; i < V; ++i) v[i] = e[k][i] * factor[i] + offset[i];
          if (f.residual && f.how == ops::Resample::down) {
            const T* const corner = residual_at(f, t, place, p + k * step);
            const Elements<T, V> b = load_some<V>(corner + t.channels);
            const Elements<T, V> c = load_some<V>(corner + 2 * f.width * t.channels);
            const Elements<T, V> d = load_some<V>(corner + (2 * f.width + 1) * t.channels);
            for (int i = 0; i < V; ++i) v[i] += 0.25f * (residual[k][i] + b[i] + c[i] + d[i]);
          } else if (f.residual) {
            for (int i = 0; i < V; ++i) v[i] += residual[k][i];
          }
          for (int i = 0; i < V; ++i) e[k].set(i, f.relu && v[i] < 0.0f ? 0.0f : v[i]);  // NaN stays
          store_some(to + (p + k * step) * t.channels, e[k]);
        }
      if constexpr (kMoments) moments.join(e, n);
    }
  }
  if constexpr (kMoments) join_threads(partial, t, place, moments);
}

// Host side, for the other normalisations: as the kernels say. lines and stats are on the device.
template <class T>
void norm_lines(Context<CudaOf<T>>&, float* lines, float* stats, MomentsOf, const float* scale, const float* shift,
                std::int64_t images, std::int64_t channels, ops::GroupNorm);
// out = x through its lines; out may be x.
template <class T>
void apply_lines(Context<CudaOf<T>>&, T* out, const T* x, const float* lines, Bend, std::int64_t images,
                 std::int64_t pixels, std::int64_t channels);

}  // namespace d3ad::kernels
