#pragma once
// Convolution by our own kernels (kernels.hpp): Winograd F(4x4, 3x3) and F(2x2, 3x3), and direct, with fused operations
// before and after it.
//
//   const TiledConv conv(x.shape, out.shape, config, Algorithm::winograd4);   // divides the work by the shapes alone
//   pack_panels(ctx, {w.shape, columns}, w.data, panels);                     // once for each set of weights
//   conv.run(ctx, {.x = x}, panels, {.y = out, .bias = bias});
//
// Outputs (or Winograd's tiles) are divided into blocks of neighbouring pixels. The inputs of a block are gathered into
// a matrix A (normalised, activated, resampled, padded, transformed). Panels of output channels are products of A with
// packed weights. When a panel is written, bias and residual are added and the next normalisation's statistics are
// measured. Threads share blocks and panels; every number is summed in the same order for any number of threads.

#include <omp.h>

#include <algorithm>
#include <cstdint>

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/backend/cpu/kernels.hpp"
#include "d3ad/ops/conv_block.hpp"

namespace d3ad::conv {

using kernels::kDepth;
using ops::Resample;

// onednn: oneDNN's direct convolution, which TiledConv does not compute (conv_plan.hpp); bfloat16: the same with input
// and weights rounded.
enum class Algorithm { direct, winograd2, winograd4, onednn, bfloat16 };
inline bool is_by_parts(Algorithm a) { return a == Algorithm::onednn || a == Algorithm::bfloat16; }

inline std::int64_t parts(std::int64_t whole, std::int64_t part) { return (whole + part - 1) / part; }

// What is convolved: the channels of x, then those of more; scaled and shifted per image and channel, activated,
// resampled.
struct Input {
  View<const float, Cpu> x, more{};
  const float* factor = nullptr;  // [n, channels] with offset; null: x
  const float* offset = nullptr;
  bool silu = false;
  Resample resample = Resample::none;
};

struct Output {
  View<float, Cpu> y;
  const float* scale = nullptr;       // [out], of the sums; null: 1
  const float* bias = nullptr;        // [out]
  const float* shift = nullptr;       // [n, out]
  View<const float, Cpu> residual{};  // y's shape before resampling; null: none
  Resample residual_resample = Resample::none;
  bool relu = false;
  float* moments = nullptr;  // [n, 2, out]: mean and sum of squared deviations of what was written; null: not wanted
};

// For every algorithm, weights are stored in panels [panel][rows][columns]. The columns are output channels; the rows
// are the input channels of one tap after the other, for each tap up to a multiple of kDepth. If there are few channels
// ("flat"), the taps follow each other without a gap. The last panel is half as wide if that is enough.
inline bool is_flat(std::int64_t channels, int kernel) { return kernel > 1 && channels < kDepth; }
inline std::int64_t panel_rows(std::int64_t channels, int kernel) {
  const std::int64_t taps = std::int64_t{kernel} * kernel;
  return is_flat(channels, kernel) ? parts(taps * channels, kDepth) * kDepth : taps * parts(channels, kDepth) * kDepth;
}
inline std::int64_t panels_size(Shape w, int columns) {
  return parts(w.n, columns) * panel_rows(w.c, static_cast<int>(w.h)) * columns;
}

class TiledConv {
 public:
  // x: of the input after resampling, both parts together.
  TiledConv(Shape x, Shape y, ops::Conv2d config, Algorithm algorithm)
      : x_(x), y_(y), config_(config), algorithm_(algorithm), kernel_(config.kernel) {
    const int m = tile();
    grid_h_ = parts(y.h, m), grid_w_ = parts(y.w, m);
    channel_blocks_ = parts(x.c, kDepth);
    points_ = algorithm == Algorithm::direct ? 1 : (m + 2) * (m + 2);
    flat_ = algorithm == Algorithm::direct && is_flat(x.c, kernel_);
    depth_ = algorithm == Algorithm::direct ? panel_rows(x.c, kernel_) / kDepth : channel_blocks_;
    cut();
  }

  Algorithm algorithm() const { return algorithm_; }
  int points() const { return points_; }
  bool flat() const { return flat_; }
  std::int64_t depth() const { return depth_; }  // blocks of kDepth
  std::int64_t block_rows() const { return rows_; }
  std::int64_t blocks() const { return blocks_; }

  void run(Context<Cpu>& ctx, const Input& in, const float* weights, const Output& out) const {
    const auto& table = kernels::table();
    const int threads = ctx.threads();
    const std::int64_t together = std::min<std::int64_t>(threads, blocks_);
    const std::int64_t point_step = depth_ * rows_ * kDepth + kDepth, panels = parts(y_.c, table.columns);
    const std::int64_t chunk = std::clamp<std::int64_t>(parts(channel_blocks_ * together, threads), 1, 4);
    const std::int64_t chunks = flat_ ? 1 : parts(channel_blocks_, chunk);
    const std::int64_t region = region_h(block_h_) * region_w(block_w_) * kDepth;
    const auto a = make_value<float>(ctx, {.n = together, .c = points_ * point_step});
    const auto regions = make_value<float>(ctx, {.n = threads, .c = (flat_ ? 1 : chunk) * region});
    const std::int64_t at_once = std::min(kBlocksAtOnce, together);
    const auto results =
        make_value<float>(ctx, {.n = threads, .c = at_once * points_ * (rows_ * table.columns + kDepth)});
    const auto transformed = make_value<float>(ctx, {.n = algorithm_ == Algorithm::direct ? 0 : threads,
                                                     .c = points_ * (kAtOnce * kDepth * table.columns + kDepth)});
    const auto partial = make_value<float>(ctx, {.n = out.moments ? y_.n * across_ * down_ : 0, .c = 2 * y_.c});
    float* const moments = out.moments ? partial.view().data : nullptr;
#pragma omp parallel num_threads(threads)
    {
      const int me = omp_get_thread_num(), team = omp_get_num_threads();
      float* const my_region = regions.view().data + me * regions.shape().c;
      float* const my_results = results.view().data + me * results.shape().c;
      float* const my_weights = transformed.view().data + me * transformed.shape().c;
      for (std::int64_t first = 0; first < blocks_; first += together) {
        const std::int64_t count = std::min(together, blocks_ - first);
        for (std::int64_t i = count * chunks * me / team; i < count * chunks * (me + 1) / team; ++i) {
          float* const to = a.view().data + i / chunks * points_ * point_step;
          gather(table, in, first + i / chunks, i % chunks * chunk, chunk, my_region, region, to, point_step);
        }
#pragma omp barrier
        // Panel after panel, so that weights are read (and transformed) once for several blocks.
        for (std::int64_t i = count * panels * me / team, end = count * panels * (me + 1) / team; i < end;) {
          const std::int64_t block = i % count, n = std::min({at_once, count - block, end - i});
          multiply(table, a.view().data + block * points_ * point_step, point_step, weights, first + block, n,
                   i / count, my_results, my_weights, out, moments);
          i += n;
        }
#pragma omp barrier
      }
      if (moments) {
        constexpr std::int64_t kTogether = 64;
        const std::int64_t strips = parts(y_.c, kTogether);
#pragma omp for schedule(static)
        for (std::int64_t i = 0; i < y_.n * strips; ++i)
          join_moments(moments, out.moments, i / strips, i % strips * kTogether,
                       std::min(kTogether, y_.c - i % strips * kTogether));
      }
    }
  }

 private:
  static constexpr std::int64_t kAtOnce = 4;        // blocks of channels whose weights are transformed together
  static constexpr std::int64_t kBlocksAtOnce = 2;  // blocks of pixels that they are used for

  int tile() const { return algorithm_ == Algorithm::winograd4 ? 4 : algorithm_ == Algorithm::winograd2 ? 2 : 1; }
  std::int64_t region_h(std::int64_t units) const { return side(units); }
  std::int64_t region_w(std::int64_t units) const { return side(units); }
  std::int64_t side(std::int64_t units) const {
    return algorithm_ == Algorithm::direct ? (units - 1) * config_.stride + kernel_ : units * tile() + 2;
  }

  // Blocks of about `wanted` rows of A: small enough for the second-level cache, large enough to use weights often.
  void cut() {
    const std::int64_t wanted = algorithm_ == Algorithm::direct ? 128 : 64;
    if (grid_h_ * grid_w_ <= wanted) {
      images_ = std::clamp<std::int64_t>(wanted / (grid_h_ * grid_w_), 1, y_.n);
      images_ = parts(y_.n, parts(y_.n, images_));
      block_h_ = grid_h_, block_w_ = grid_w_, across_ = down_ = 1;
      blocks_ = parts(y_.n, images_);
    } else {
      images_ = 1;
      const std::int64_t wide = algorithm_ == Algorithm::direct ? 16 : 8;
      across_ = parts(grid_w_, std::min(wide, grid_w_));
      block_w_ = parts(grid_w_, across_);
      down_ = parts(grid_h_, std::max<std::int64_t>(1, wanted / block_w_));
      block_h_ = parts(grid_h_, down_);
      across_ = parts(grid_w_, block_w_), down_ = parts(grid_h_, block_h_);
      blocks_ = y_.n * across_ * down_;
    }
    rows_ = images_ * block_h_ * block_w_;
  }
  // An image's block b, in units of the grid.
  kernels::Rectangle rectangle(std::int64_t b) const {
    const std::int64_t y = b / across_ * block_h_, x = b % across_ * block_w_;
    return {y, x, std::min(block_h_, grid_h_ - y), std::min(block_w_, grid_w_ - x)};
  }
  struct Images {
    std::int64_t first, count;
  };
  Images images_of(std::int64_t block) const {
    const std::int64_t first = block / (across_ * down_) * images_;
    return {first, std::min(images_, y_.n - first)};
  }

  void gather(const kernels::Table& table, const Input& in, std::int64_t block, std::int64_t from, std::int64_t count,
              float* region, std::int64_t region_step, float* to, std::int64_t point_step) const {
    const auto where = rectangle(block % (across_ * down_));
    const auto images = images_of(block);
    const std::int64_t block_step = rows_ * kDepth;
    const int unit = algorithm_ == Algorithm::direct ? config_.stride : tile();
    const kernels::Rectangle seen{where.y * unit - config_.pad, where.x * unit - config_.pad, side(where.h),
                                  side(where.w)};
    const kernels::Window window{kernel_, config_.stride};
    for (std::int64_t i = 0; i < images.count; ++i) {
      const std::int64_t image = images.first + i;
      float* const rows = to + i * where.size() * kDepth;
      if (flat_) {
        gather_flat(in, image, seen, region);
        table.flat_columns_of(region, seen.w, x_.c, window, where.h, where.w, rows, block_step);
        continue;
      }
      const bool pixels = algorithm_ == Algorithm::direct && kernel_ == 1 && config_.stride == 1;
      for (std::int64_t b = from; b < std::min(from + count, channel_blocks_);) {
        const bool more = b * kDepth >= in.x.shape.c;
        const std::int64_t end = more ? channel_blocks_ : parts(in.x.shape.c, kDepth);
        const std::int64_t n = std::min(std::min(from + count, channel_blocks_), end) - b;
        const auto source = part(in, image, b * kDepth, n * kDepth, more);
        if (pixels) {
          table.gather(source, seen, rows + b * block_step, block_step);
        } else {
          table.gather(source, seen, region, region_step);
          for (std::int64_t k = 0; k < n; ++k) {
            const float* const r = region + k * region_step;
            if (algorithm_ == Algorithm::winograd4)
              table.winograd4_input(r, seen.w, where.h, where.w, rows + (b + k) * block_step, point_step);
            else if (algorithm_ == Algorithm::winograd2)
              table.winograd2_input(r, seen.w, where.h, where.w, rows + (b + k) * block_step, point_step);
            else
              table.columns_of(r, seen.w, window, where.h, where.w, rows + (b + k) * block_step,
                               channel_blocks_ * block_step);
          }
        }
        b += n;
      }
    }
  }

  // Channels c ... c + count - 1 (or as many as there are) of one image.
  kernels::Source part(const Input& in, std::int64_t image, std::int64_t c, std::int64_t count, bool more) const {
    const auto& x = more ? in.more : in.x;
    const std::int64_t begin = more ? c - in.x.shape.c : c;
    kernels::Source s;
    s.h = x.shape.h, s.w = x.shape.w, s.step = x.shape.c;
    s.x = x.data + image * x.shape.pixels() * x.shape.c + begin;
    s.channels = std::min(count, x.shape.c - begin);
    if (in.factor) s.factor = in.factor + image * x_.c + c, s.offset = in.offset + image * x_.c + c;
    s.silu = in.silu, s.resample = in.resample;
    return s;
  }

  // Copies a region of an image of few channels, with zeros outside of the image.
  void gather_flat(const Input& in, std::int64_t image, const kernels::Rectangle& seen, float* to) const {
    const std::int64_t c = x_.c;
    for (std::int64_t y = seen.y; y < seen.y + seen.h; ++y, to += seen.w * c) {
      const std::int64_t left = std::clamp<std::int64_t>(-seen.x, 0, seen.w);
      const std::int64_t inside = std::clamp<std::int64_t>(x_.w - seen.x, left, seen.w) - left;
      if (y < 0 || y >= x_.h) {
        std::fill_n(to, seen.w * c, 0.0f);
        continue;
      }
      std::fill_n(to, left * c, 0.0f);
      std::copy_n(in.x.data + ((image * x_.h + y) * x_.w + seen.x + left) * c, inside * c, to + left * c);
      std::fill_n(to + (left + inside) * c, (seen.w - left - inside) * c, 0.0f);
    }
  }

  // Blocks block ... block + n - 1, one panel.
  void multiply(const kernels::Table& table, const float* a, std::int64_t point_step, const float* weights,
                std::int64_t block, std::int64_t n, std::int64_t panel, float* results, float* transformed,
                const Output& out, float* moments) const {
    const std::int64_t channel = panel * table.columns;
    const bool wide = y_.c - channel > table.lanes;
    const std::int64_t columns = wide ? table.columns : table.lanes;
    // kDepth floats more than necessary between points: at powers of two, all would use the same lines of a cache.
    const std::int64_t result_step = rows_ * columns + kDepth, panel_size = panel_rows(x_.c, kernel_) * table.columns;
    const float* const w = weights + panel * panel_size;
    if (algorithm_ == Algorithm::direct) {
      for (std::int64_t i = 0; i < n; ++i)
        table.product(a + i * point_step, rows_ * kDepth, w, depth_ * kDepth, rows_of(block + i),
                      results + i * result_step, wide, false);
    } else {
      const std::int64_t tap_step = depth_ * kDepth * columns;
      for (std::int64_t d = 0; d < depth_; d += kAtOnce) {
        const std::int64_t count = std::min<std::int64_t>(kAtOnce, depth_ - d);
        const std::int64_t weight_step = count * kDepth * columns + kDepth;
        (algorithm_ == Algorithm::winograd4 ? table.winograd4_weights : table.winograd2_weights)(
            w + d * kDepth * columns, tap_step, count * kDepth, wide, transformed, weight_step);
        // The next weights are prefetched while these are used: reading them takes longer than multiplying them.
        const bool last = d + kAtOnce >= depth_;
        const float* const next = last ? w + panel_size : w + (d + kAtOnce) * kDepth * columns;
        const std::int64_t lines = last && channel + table.columns >= y_.c ? 0 : kAtOnce * columns;  // of a tap
        for (int p = 0; p < points_; ++p) {
          prefetch(next, tap_step, lines, 9 * lines * p / points_, 9 * lines * (p + 1) / points_);
          for (std::int64_t i = 0; i < n; ++i)
            table.product(a + (i * points_ + p) * point_step + d * rows_ * kDepth, rows_ * kDepth,
                          transformed + p * weight_step, count * kDepth, rows_of(block + i),
                          results + (i * points_ + p) * result_step, wide, d > 0);
        }
      }
    }
    for (std::int64_t i = 0; i < n; ++i)
      emit(table, results + i * points_ * result_step, result_step, wide, block + i, channel, out, moments);
  }

  // Prefetches lines begin ... end - 1 of the nine taps, which have `lines` each, into the second-level cache.
  static void prefetch(const float* taps, std::int64_t tap_step, std::int64_t lines, std::int64_t begin,
                       std::int64_t end) {
    constexpr std::int64_t kLine = 16;  // floats
    while (begin < end) {
      const std::int64_t tap = begin / lines, first = begin % lines, count = std::min(lines - first, end - begin);
      const float* const at = taps + tap * tap_step + first * kLine;
      for (std::int64_t k = 0; k < count; ++k) __builtin_prefetch(at + k * kLine, 0, 2);
      begin += count;
    }
  }

  std::int64_t rows_of(std::int64_t block) const {
    return images_of(block).count * rectangle(block % (across_ * down_)).size();
  }

  void emit(const kernels::Table& table, const float* results, std::int64_t result_step, bool wide, std::int64_t block,
            std::int64_t channel, const Output& out, float* moments) const {
    const auto where = rectangle(block % (across_ * down_));
    const auto images = images_of(block);
    const int m = tile();
    const kernels::Rectangle at{where.y * m, where.x * m, where.h, where.w};
    for (std::int64_t i = 0; i < images.count; ++i) {
      const auto t = target(out, images.first + i, channel, table.columns, block % (across_ * down_), moments);
      const float* const r = results + i * where.size() * (wide ? table.columns : table.lanes);
      if (algorithm_ == Algorithm::winograd4)
        table.winograd4_output(t, at, r, result_step, wide);
      else if (algorithm_ == Algorithm::winograd2)
        table.winograd2_output(t, at, r, result_step, wide);
      else
        table.emit(t, at, r, wide);
    }
  }

  // moments: [image][block of the image][2][channels]
  kernels::Target target(const Output& out, std::int64_t image, std::int64_t c, std::int64_t count, std::int64_t block,
                         float* moments) const {
    kernels::Target t;
    t.h = y_.h, t.w = y_.w, t.step = y_.c, t.channels = std::min(count, y_.c - c);
    t.y = out.y.data + image * y_.pixels() * y_.c + c;
    if (out.scale) t.scale = out.scale + c;
    if (out.bias) t.bias = out.bias + c;
    if (out.shift) t.shift = out.shift + image * y_.c + c;
    if (out.residual.data) {
      t.residual = out.residual.data + image * out.residual.shape.pixels() * y_.c + c;
      t.residual_step = y_.c, t.residual_resample = out.residual_resample;
    }
    t.relu = out.relu;
    if (moments) {
      t.mean = moments + (image * across_ * down_ + block) * 2 * y_.c + c;
      t.square = t.mean + y_.c;
    }
    return t;
  }

  // An image's moments from those of its blocks, `count` channels from c.
  void join_moments(const float* partial, float* moments, std::int64_t image, std::int64_t c,
                    std::int64_t count) const {
    const std::int64_t blocks = across_ * down_;
    const int m = tile();
    const auto pixels = [&](std::int64_t b) {
      const auto r = rectangle(b);
      return static_cast<double>(std::min(r.h * m, y_.h - r.y * m) * std::min(r.w * m, y_.w - r.x * m));
    };
    const float* const of = partial + image * blocks * 2 * y_.c + c;
    for (std::int64_t k = 0; k < count; ++k) {
      double mean = 0, square = 0;
      for (std::int64_t b = 0; b < blocks; ++b) mean += pixels(b) * double{of[b * 2 * y_.c + k]};
      mean /= static_cast<double>(y_.pixels());
      for (std::int64_t b = 0; b < blocks; ++b) {
        const double d = double{of[b * 2 * y_.c + k]} - mean;
        square += double{of[(b * 2 + 1) * y_.c + k]} + pixels(b) * d * d;
      }
      moments[image * 2 * y_.c + c + k] = static_cast<float>(mean);
      moments[(image * 2 + 1) * y_.c + c + k] = static_cast<float>(square);
    }
  }

  Shape x_, y_;
  ops::Conv2d config_;
  Algorithm algorithm_;
  int kernel_, points_ = 1;
  bool flat_ = false;
  std::int64_t grid_h_ = 0, grid_w_ = 0, channel_blocks_ = 0, depth_ = 0;
  std::int64_t images_ = 1, block_h_ = 0, block_w_ = 0, across_ = 1, down_ = 1, blocks_ = 0, rows_ = 0;
};

// Weights w {n = out, h = k, w = k, c = in} and their panels. turned: in and out are exchanged and the taps reversed;
// the gradient of a convolution's input is a convolution with these weights.
struct PanelLayout {
  Shape w;
  int columns;
  bool turned = false;

  Shape shape() const { return turned ? Shape{w.c, w.h, w.w, w.n} : w; }
  std::int64_t size() const { return panels_size(shape(), columns); }

  // Calls visit(in w, its steps by out and in, in the panels, its step by in, outs, ins) for tiles of weights that are
  // close together in both. Panels are padded with zeros if `pad` is not null.
  template <class Visit>
  void for_each_tile(Context<Cpu>& ctx, float* pad, Visit visit) const {
    const Shape s = shape();
    const int kernel = static_cast<int>(s.h);
    const std::int64_t taps = s.h * s.w, rows = panel_rows(s.c, kernel), panels = parts(s.n, columns);
    const std::int64_t tap_rows = is_flat(s.c, kernel) ? s.c : parts(s.c, kDepth) * kDepth;
    const std::int64_t out_step = turned ? 1 : taps * s.c, in_step = turned ? taps * s.n : 1;
#pragma omp parallel for num_threads(ctx.threads()) schedule(dynamic)
    for (std::int64_t panel = 0; panel < panels; ++panel) {
      const std::int64_t first = panel * columns, count = std::min<std::int64_t>(columns, s.n - first);
      const std::int64_t wide = count > columns / 2 ? columns : columns / 2, base = panel * rows * columns;
      if (pad && (count < columns || s.c * taps < rows)) std::fill_n(pad + base, rows * columns, 0.0f);
      for (std::int64_t t = 0; t < taps; ++t)
        for (std::int64_t c = 0; c < s.c; c += kDepth) {
          const std::int64_t from = turned ? (c * taps + taps - 1 - t) * s.n + first : (first * taps + t) * s.c + c;
          visit(from, out_step, in_step, base + (t * tap_rows + c) * wide, wide, count,
                std::min<std::int64_t>(kDepth, s.c - c));
        }
    }
  }
};
inline void pack_panels(Context<Cpu>& ctx, const PanelLayout& layout, const float* plain, float* panels) {
  layout.for_each_tile(ctx, panels,
                       [=](std::int64_t from, std::int64_t out_step, std::int64_t in_step, std::int64_t to,
                           std::int64_t wide, std::int64_t outs, std::int64_t ins) {
                         for (std::int64_t o = 0; o < outs; ++o)
                           for (std::int64_t c = 0; c < ins; ++c)
                             panels[to + c * wide + o] = plain[from + o * out_step + c * in_step];
                       });
}
inline void unpack_panels(Context<Cpu>& ctx, const PanelLayout& layout, const float* panels, float* plain) {
  layout.for_each_tile(ctx, nullptr,
                       [=](std::int64_t to, std::int64_t out_step, std::int64_t in_step, std::int64_t from,
                           std::int64_t wide, std::int64_t outs, std::int64_t ins) {
                         for (std::int64_t o = 0; o < outs; ++o)
                           for (std::int64_t c = 0; c < ins; ++c)
                             plain[to + o * out_step + c * in_step] = panels[from + c * wide + o];
                       });
}

}  // namespace d3ad::conv
