#pragma once
// Convolutions and attention on the emulated device: the interface of include/d3ad/backend/cuda/cudnn.hpp, which this
// header stands in for, by plain loops in double. Attention has engines for what cuDNN's need, and rounds its
// probabilities as they do.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/backend/cuda/convolution.hpp"
#include "d3ad/backend/cuda/fused_attention.hpp"

namespace d3ad::cuda {

namespace detail {

// visit(y's offset, x's offset, w's offset) of the first channels, for every pixel of image n that a kernel reads.
template <class Visit>
void for_each_tap(const Convolution& c, std::int64_t n, Visit&& visit) {
  for (std::int64_t v = 0; v < c.y.h; ++v)
    for (std::int64_t u = 0; u < c.y.w; ++u)
      for (std::int64_t i = 0; i < c.w.h; ++i)
        for (std::int64_t j = 0; j < c.w.w; ++j) {
          const std::int64_t row = v * c.config.stride - c.config.pad + i,
                             column = u * c.config.stride - c.config.pad + j;
          if (row < 0 || row >= c.x.h || column < 0 || column >= c.x.w) continue;
          visit(((n * c.y.h + v) * c.y.w + u) * c.y.c, ((n * c.x.h + row) * c.x.w + column) * c.x.c,
                (i * c.w.w + j) * c.w.c);
        }
}

template <class T>
std::vector<double> widened(const T* values, std::int64_t count) {
  std::vector<double> wide(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) wide[static_cast<std::size_t>(i)] = static_cast<float>(values[i]);
  return wide;
}
template <class T>
void store(T* to, const std::vector<double>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) to[i] = static_cast<T>(static_cast<float>(values[i]));
}

}  // namespace detail

template <class T>
void convolve(Context<CudaOf<T>>& ctx, const Convolution& c, T* y, const T* x, const T* w) {
  emulation::enqueue(ctx.stream(), [=] {
    const auto from = detail::widened(x, c.x.size()), weights = detail::widened(w, c.w.size());
    std::vector<double> to(static_cast<std::size_t>(c.y.size()));
    const std::int64_t step = c.w.h * c.w.w * c.w.c;
#pragma omp parallel for schedule(static)
    for (std::int64_t n = 0; n < c.x.n; ++n)
      detail::for_each_tap(c, n, [&](std::int64_t at_y, std::int64_t at_x, std::int64_t at_w) {
        for (std::int64_t o = 0; o < c.w.n; ++o) {
          const double *const in = from.data() + at_x, *const row = weights.data() + o * step + at_w;
          double sum = 0;
          for (std::int64_t k = 0; k < c.w.c; ++k) sum += in[k] * row[k];
          to[static_cast<std::size_t>(at_y + o)] += sum;
        }
      });
    detail::store(y, to);
  });
}

template <class T>
void convolve_backward_data(Context<CudaOf<T>>& ctx, const Convolution& c, T* dx, const T* dy, const T* w) {
  emulation::enqueue(ctx.stream(), [=] {
    const auto from = detail::widened(dy, c.y.size()), weights = detail::widened(w, c.w.size());
    std::vector<double> to(static_cast<std::size_t>(c.x.size()));
    const std::int64_t step = c.w.h * c.w.w * c.w.c;
#pragma omp parallel for schedule(static)
    for (std::int64_t n = 0; n < c.x.n; ++n)
      detail::for_each_tap(c, n, [&](std::int64_t at_y, std::int64_t at_x, std::int64_t at_w) {
        for (std::int64_t o = 0; o < c.w.n; ++o) {
          double *const out = to.data() + at_x, factor = from[static_cast<std::size_t>(at_y + o)];
          const double* const row = weights.data() + o * step + at_w;
          for (std::int64_t k = 0; k < c.w.c; ++k) out[k] += factor * row[k];
        }
      });
    detail::store(dx, to);
  });
}

template <class T>
void convolve_backward_weights(Context<CudaOf<T>>& ctx, const Convolution& c, T* dw, const T* x, const T* dy) {
  emulation::enqueue(ctx.stream(), [=] {
    const auto from = detail::widened(x, c.x.size()), gradient = detail::widened(dy, c.y.size());
    std::vector<double> to(static_cast<std::size_t>(c.w.size()));
    const std::int64_t step = c.w.h * c.w.w * c.w.c;
    for (std::int64_t n = 0; n < c.x.n; ++n)
      detail::for_each_tap(c, n, [&](std::int64_t at_y, std::int64_t at_x, std::int64_t at_w) {
        for (std::int64_t o = 0; o < c.w.n; ++o) {
          double *const out = to.data() + o * step + at_w, factor = gradient[static_cast<std::size_t>(at_y + o)];
          const double* const in = from.data() + at_x;
          for (std::int64_t k = 0; k < c.w.c; ++k) out[k] += factor * in[k];
        }
      });
    detail::store(dw, to);
  });
}

// How often attention() was computed here.
inline std::int64_t& fused_attentions() {
  static std::int64_t count = 0;
  return count;
}

template <class T>
bool fused_attention(Context<CudaOf<T>>& ctx, const FusedAttention& a, T* out, const T* qkv) {
  if (std::is_same_v<T, float> || a.width % 8 != 0) return false;
  ++fused_attentions();
  emulation::enqueue(ctx.stream(), [=] {
    const std::int64_t row = 3 * a.heads * a.width;
#pragma omp parallel for schedule(static)
    for (std::int64_t head = 0; head < a.images * a.heads; ++head) {
      const std::int64_t n = head / a.heads, h = head % a.heads;
      const auto number = [&](std::int64_t position, std::int64_t part, std::int64_t c) {
        return double{static_cast<float>(qkv[(n * a.positions + position) * row + (3 * h + part) * a.width + c])};
      };
      std::vector<double> p(static_cast<std::size_t>(a.positions));
      for (std::int64_t i = 0; i < a.positions; ++i) {
        for (std::int64_t j = 0; j < a.positions; ++j) {
          double product = 0;
          for (std::int64_t c = 0; c < a.width; ++c) product += number(i, 0, c) * number(j, 1, c);
          p[static_cast<std::size_t>(j)] = double{a.scale} * product;
        }
        const double largest = *std::max_element(p.begin(), p.end());
        double sum = 0;
        for (double& v : p) sum += v = std::exp(v - largest);
        for (double& v : p) v = static_cast<float>(static_cast<T>(static_cast<float>(v / sum)));
        for (std::int64_t c = 0; c < a.width; ++c) {
          double y = 0;
          for (std::int64_t j = 0; j < a.positions; ++j) y += p[static_cast<std::size_t>(j)] * number(j, 2, c);
          out[((n * a.positions + i) * a.heads + h) * a.width + c] = static_cast<T>(static_cast<float>(y));
        }
      }
    }
  });
  return true;
}

}  // namespace d3ad::cuda
