#pragma once
// Plain CPU versions of the element-wise, norm, pooling, loss and optimizer operations (formulas in METHOD and
// PyTorch).
#include <algorithm>
#include <cmath>
#include <vector>

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/core/required.hpp"
#include "d3ad/core/rng.hpp"
namespace d3ad::ops {
using CC = Context<Cpu>;
using W = View<float, Cpu>;
using R = In<float, Cpu>;
using I = std::int64_t;
#define PF _Pragma("omp parallel for num_threads(ctx.threads())")
inline float sg(float x) { return 1.0f / (1.0f + std::exp(-x)); }
enum class Activation { silu, relu, tanh };
inline void activate(CC& ctx, W o, R x, Activation a) {
  PF for (I i = 0; i < x.size(); ++i) {
    float v = x.data[i];
    o.data[i] = a == Activation::silu ? v * sg(v) : a == Activation::relu ? (v < 0 ? 0 : v) : std::tanh(v);
  }
}
inline void activate_backward(CC& ctx, W dx, R dy, R x, Activation a) {
  PF for (I i = 0; i < x.size(); ++i) {
    float v = x.data[i], d = dy.data[i];
    if (a == Activation::silu) {
      float s = sg(v);
      d *= s * (1 + v * (1 - s));
    } else if (a == Activation::relu)
      d = v > 0 ? d : 0;
    else {
      float t = std::tanh(v);
      d *= 1 - t * t;
    }
    dx.data[i] = d;
  }
}
inline void fill(CC&, W o, float v) { std::fill_n(o.data, o.size(), v); }
inline void copy(CC&, W o, R x) { std::copy_n(x.data, x.size(), o.data); }
inline void add(CC& ctx, W o, R x, R y) { PF for (I i = 0; i < o.size(); ++i) o.data[i] = x.data[i] + y.data[i]; }
inline void scale(CC& ctx, W o, R x, float f, float b = 0) {
  PF for (I i = 0; i < o.size(); ++i) o.data[i] = f * x.data[i] + b;
}
inline void add_scaled(CC& ctx, W o, R x, float f) { PF for (I i = 0; i < o.size(); ++i) o.data[i] += f * x.data[i]; }
inline void add_per_image(CC& ctx, W o, R x, R s) {
  I C = x.shape.c, P = x.shape.pixels();
  PF for (I r = 0; r < x.shape.rows(); ++r) for (I k = 0; k < C; ++k) o.data[r * C + k] =
      x.data[r * C + k] + s.data[r / P * C + k];
}
inline void sum_pixels(CC& ctx, W o, R x) {
  I C = x.shape.c, P = x.shape.pixels();
  PF for (I n = 0; n < x.shape.n; ++n) {
    std::fill_n(o.data + n * C, C, 0.0f);
    for (I i = 0; i < P; ++i)
      for (I k = 0; k < C; ++k) o.data[n * C + k] += x.data[(n * P + i) * C + k];
  }
}
inline void scale_channels(CC& ctx, W o, R x, R f, R b) {
  I C = x.shape.c;
  PF for (I r = 0; r < x.shape.rows(); ++r) for (I k = 0; k < C; ++k) o.data[r * C + k] =
      x.data[r * C + k] * f.data[k] + b.data[k];
}
inline void avg_pool2(CC& ctx, W o, R x) {
  I C = x.shape.c, w = o.shape.w, h = o.shape.h;
  PF for (I r = 0; r < o.shape.rows(); ++r) {
    I n = r / (h * w), y = r / w % h, q = r % w;
    const float* p = x.data + ((n * 2 * h + 2 * y) * 2 * w + 2 * q) * C;
    for (I k = 0; k < C; ++k) o.data[r * C + k] = 0.25f * (p[k] + p[C + k] + p[2 * w * C + k] + p[2 * w * C + C + k]);
  }
}
inline void avg_pool2_backward(CC& ctx, W dx, R dy) {
  I C = dx.shape.c, w = dx.shape.w, h = dx.shape.h;
  PF for (I r = 0; r < dx.shape.rows(); ++r) {
    I n = r / (h * w), y = r / w % h, q = r % w;
    const float* p = dy.data + ((n * (h / 2) + y / 2) * (w / 2) + q / 2) * C;
    for (I k = 0; k < C; ++k) dx.data[r * C + k] = 0.25f * p[k];
  }
}
inline void max_pool3(CC& ctx, W o, View<std::int32_t, Cpu> am, R x) {
  I C = x.shape.c, w = o.shape.w, h = o.shape.h, H = x.shape.h, X = x.shape.w;
  PF for (I r = 0; r < o.shape.rows(); ++r) {
    I n = r / (h * w), y = r / w % h, q = r % w;
    for (I k = 0; k < C; ++k) {
      float b = -INFINITY;
      I bi = 0;
      for (I i = -1; i < 2; ++i)
        for (I j = -1; j < 2; ++j) {
          I yy = 2 * y + i, xx = 2 * q + j;
          if (yy < 0 || xx < 0 || yy >= H || xx >= X) continue;
          I id = (yy * X + xx) * C + k;
          float v = x.data[n * H * X * C + id];
          if (v > b) b = v, bi = id;
        }
      o.data[r * C + k] = b;
      if (am.data) am.data[r * C + k] = std::int32_t(bi);
    }
  }
}
inline void max_pool3_backward(CC& ctx, W dx, R dy, In<std::int32_t, Cpu> am) {
  I D = dx.size() / dx.shape.n, E = dy.size() / dy.shape.n;
  PF for (I n = 0; n < dx.shape.n; ++n) {
    std::fill_n(dx.data + n * D, D, 0.0f);
    for (I i = 0; i < E; ++i) dx.data[n * D + am.data[n * E + i]] += dy.data[n * E + i];
  }
}
inline void global_avg_pool(CC& ctx, W o, R x) {
  sum_pixels(ctx, o, x);
  float f = 1.0f / x.shape.pixels();
  scale(ctx, o, o, f);
}
inline void global_avg_pool_backward(CC& ctx, W dx, R dy) {
  I C = dx.shape.c, P = dx.shape.pixels();
  PF for (I r = 0; r < dx.shape.rows(); ++r) for (I k = 0; k < C; ++k) dx.data[r * C + k] = dy.data[r / P * C + k] / P;
}
inline void adaptive_avg_pool(CC& ctx, W o, R x) {
  I C = x.shape.c, w = o.shape.w, h = o.shape.h, H = x.shape.h, X = x.shape.w;
  PF for (I r = 0; r < o.shape.rows(); ++r) {
    I n = r / (h * w), y = r / w % h, q = r % w;
    I y0 = y * H / h, y1 = ((y + 1) * H + h - 1) / h, x0 = q * X / w, x1 = ((q + 1) * X + w - 1) / w;
    for (I k = 0; k < C; ++k) {
      double s = 0;
      for (I i = y0; i < y1; ++i)
        for (I j = x0; j < x1; ++j) s += x.data[((n * H + i) * X + j) * C + k];
      o.data[r * C + k] = float(s / ((y1 - y0) * (x1 - x0)));
    }
  }
}
inline void upsample_nearest2(CC& ctx, W o, R x) {
  I C = x.shape.c, w = o.shape.w, h = o.shape.h;
  PF for (I r = 0; r < o.shape.rows(); ++r) {
    I n = r / (h * w), y = r / w % h, q = r % w;
    std::copy_n(x.data + ((n * (h / 2) + y / 2) * (w / 2) + q / 2) * C, C, o.data + r * C);
  }
}
inline void upsample_nearest2_backward(CC& ctx, W dx, R dy) {
  avg_pool2(ctx, dx, dy);
  scale(ctx, dx, dx, 4.0f);
}
inline void concat(CC& ctx, W o, R a, R b) {
  I A = a.shape.c, B = b.shape.c;
  PF for (I r = 0; r < o.shape.rows(); ++r) {
    std::copy_n(a.data + r * A, A, o.data + r * (A + B));
    std::copy_n(b.data + r * B, B, o.data + r * (A + B) + A);
  }
}
inline void split(CC& ctx, W a, W b, R x) {
  I C = x.shape.c, A = a.data ? a.shape.c : C - b.shape.c, B = C - A;
  PF for (I r = 0; r < x.shape.rows(); ++r) {
    if (a.data) std::copy_n(x.data + r * C, A, a.data + r * A);
    if (b.data) std::copy_n(x.data + r * C + A, B, b.data + r * B);
  }
}
inline void mse(CC&, W l, R x, R t) {
  double s = 0;
  for (I i = 0; i < x.size(); ++i) {
    double d = x.data[i] - t.data[i];
    s += d * d;
  }
  *l.data = float(s / x.size());
}
inline void mse_backward(CC& ctx, W dx, R x, R t, float d) {
  float f = 2 * d / x.size();
  PF for (I i = 0; i < x.size(); ++i) dx.data[i] = f * (x.data[i] - t.data[i]);
}
inline void l1(CC&, W l, R x, R t) {
  double s = 0;
  for (I i = 0; i < x.size(); ++i) s += std::abs(x.data[i] - t.data[i]);
  *l.data = float(s / x.size());
}
inline void l1_backward(CC&, W dx, R x, R t, float d) {
  for (I i = 0; i < x.size(); ++i) {
    float e = x.data[i] - t.data[i];
    dx.data[i] = (e > 0 ? d : e < 0 ? -d : 0) / x.size();
  }
}
inline void cosine_loss(CC&, W l, R x, R y) {
  I E = x.size() / x.shape.n;
  double s = 0;
  for (I n = 0; n < x.shape.n; ++n) {
    double a = 0, b = 0, c = 0;
    for (I i = 0; i < E; ++i) {
      double p = x.data[n * E + i], q = y.data[n * E + i];
      a += p * p;
      b += q * q;
      c += p * q;
    }
    s += 1 - c / (std::max(std::sqrt(a), 1e-8) * std::max(std::sqrt(b), 1e-8));
  }
  *l.data = float(s / x.shape.n);
}
inline void cosine_loss_backward(CC&, W dx, W dy, R x, R y, float d) {
  I E = x.size() / x.shape.n;
  for (I n = 0; n < x.shape.n; ++n) {
    double a = 0, b = 0, c = 0;
    for (I i = 0; i < E; ++i) {
      double p = x.data[n * E + i], q = y.data[n * E + i];
      a += p * p;
      b += q * q;
      c += p * q;
    }
    double na = std::max(std::sqrt(a), 1e-8), nb = std::max(std::sqrt(b), 1e-8), f = -d / x.shape.n;
    for (I i = 0; i < E; ++i) {
      double p = x.data[n * E + i], q = y.data[n * E + i];
      if (dx.data) dx.data[n * E + i] = float(f * (q / (na * nb) - c * p / (na * na * na * nb)));
      if (dy.data) dy.data[n * E + i] = float(f * (p / (na * nb) - c * q / (nb * nb * nb * na)));
    }
  }
}
inline void kl(CC&, W l, R m, R v) {
  double s = 0;
  for (I i = 0; i < m.size(); ++i) s += 0.5 * (m.data[i] * m.data[i] + std::exp(v.data[i]) - 1 - v.data[i]);
  *l.data = float(s / m.shape.n);
}
inline void kl_backward(CC&, W dm, W dv, R m, R v, float d) {
  for (I i = 0; i < m.size(); ++i) {
    dm.data[i] = d * m.data[i] / m.shape.n;
    dv.data[i] = d * 0.5f * (std::exp(v.data[i]) - 1) / m.shape.n;
  }
}
inline void cross_entropy(CC&, W, R, In<std::int32_t, Cpu>) {}
inline void cross_entropy_backward(CC&, W, R, In<std::int32_t, Cpu>, float) {}
struct AdamW {
  float lr = 1e-4f, beta1 = 0.9f, beta2 = 0.999f, eps = 1e-8f, weight_decay = 0.01f;
};
inline void adamw(CC& ctx, W w, W m, W v, R g, AdamW c, I step, float gs = 1) {
  double b1 = 1 - std::pow(double(c.beta1), double(step)), b2 = 1 - std::pow(double(c.beta2), double(step));
  float sz = float(c.lr / b1), ib = float(1 / std::sqrt(b2)), dec = 1 - c.lr * c.weight_decay;
  PF for (I i = 0; i < w.size(); ++i) {
    float q = g.data[i] * gs;
    w.data[i] *= dec;
    m.data[i] += (1 - c.beta1) * (q - m.data[i]);
    v.data[i] = c.beta2 * v.data[i] + (1 - c.beta2) * q * q;
    w.data[i] -= sz * m.data[i] / (std::sqrt(v.data[i]) * ib + c.eps);
  }
}
inline void ema(CC& ctx, W a, R v, float d) {
  PF for (I i = 0; i < a.size(); ++i) a.data[i] += (1 - d) * (v.data[i] - a.data[i]);
}
inline double sum_squares(CC&, R x) {
  double s = 0;
  for (I i = 0; i < x.size(); ++i) s += double(x.data[i]) * x.data[i];
  return s;
}
inline void time_embedding(CC&, W o, In<std::int32_t, Cpu> t) {
  I C = o.shape.c, h = C / 2;
  for (I n = 0; n < t.size(); ++n)
    for (I i = 0; i < h; ++i) {
      float f = std::exp(-std::log(10000.0f) * i / h) * t.data[n];
      o.data[n * C + i] = std::sin(f);
      o.data[n * C + h + i] = std::cos(f);
    }
}
inline void normal(CC& ctx, W o, Rng r, std::uint64_t first = 0) {
  PF for (I i = 0; i < o.size(); ++i) o.data[i] = r.normal(first + i);
}
inline void add_noise(CC& ctx, W o, R z, R e, R a, R b) {
  I E = z.size() / z.shape.n;
  PF for (I i = 0; i < z.size(); ++i) o.data[i] = a.data[i / E] * z.data[i] + b.data[i / E] * e.data[i];
}
}  // namespace d3ad::ops
