// CUDA variant of ops/conv_block.hpp except the convolution (backend/cuda/conv_block.hpp): channel_moments, and what
// backend/cuda/conv_parts.hpp declares.

#include "d3ad/backend/cuda/conv_parts.hpp"
#include "kernels/conv_block.cuh"

namespace d3ad::kernels {

namespace {

// run(partial) launches a kernel that leaves the moments of blocks; if an image is one block, these are its moments.
template <class T, class Run>
void join_blocks(Context<CudaOf<T>>& ctx, float* moments, const NormTiles& t, Run run) {
  if (t.per_image == 1) return run(moments);
  const auto partial = make_value<float>(ctx, {.n = t.images * t.per_image, .h = 2, .c = t.channels});
  run(partial.view().data);
  launch("channel_moments", ctx.stream(), join_moments_kernel<double>,
         static_cast<unsigned>(t.images * ((t.channels + 31) / 32)), dim3(32, 8), 0, moments, partial.view().data, t);
}

// t: of the smaller of both images, `width` wide
template <class T, int V>
void launch_gather(Context<CudaOf<T>>& ctx, ops::Resample how, T* out, const T* x, const T* more, std::int64_t first,
                   std::int64_t width, const float* lines, Bend bend, const NormTiles& t) {
  using ops::Resample;
  auto* const kernel = how == Resample::up     ? gather_kernel<T, V, Resample::up>
                       : how == Resample::down ? gather_kernel<T, V, Resample::down>
                                               : gather_kernel<T, V, Resample::none>;
  launch("conv_block: input", ctx.stream(), kernel, t.blocks(), t.threads(), 0, out, x, more, first, width, lines, bend,
         t);
}

}  // namespace

template <class T>
void norm_lines(Context<CudaOf<T>>& ctx, float* lines, float* stats, MomentsOf moments, const float* scale,
                const float* shift, std::int64_t images, std::int64_t channels, ops::GroupNorm config) {
  constexpr int kThreads = 128;
  const std::int64_t groups = int{config.groups}, threads = images * groups * 32;
  launch("norm_lines", ctx.stream(), norm_lines_kernel<double>,
         static_cast<unsigned>((threads + kThreads - 1) / kThreads), kThreads, 0, lines, stats, moments, scale, shift,
         float{config.eps}, images, channels, groups);
}

template <class T>
void apply_lines(Context<CudaOf<T>>& ctx, T* out, const T* x, const float* lines, Bend bend, std::int64_t images,
                 std::int64_t pixels, std::int64_t channels) {
  with_elements<T>(packed<T>({out, x}, channels), [&](auto v) {
    launch_gather<T, v()>(ctx, ops::Resample::none, out, x, nullptr, channels, 1, lines, bend,
                          NormTiles::to_map(images, pixels, channels, v()));
  });
}

}  // namespace d3ad::kernels

namespace d3ad::ops {

template <class Device>
void channel_moments(Context<Device>& ctx, View<Weight<Device>, Device> moments, In<Real<Device>, Device> x) {
  using T = Real<Device>;
  check_channel_moments(moments.shape, x.shape);
  kernels::with_elements<T>(kernels::packed<T>({x.data}, x.shape.c), [&](auto v) {
    const auto t = kernels::NormTiles::to_sum(x.shape.n, x.shape.pixels(), x.shape.c, v());
    kernels::join_blocks(ctx, moments.data, t, [&](float* partial) {
      kernels::launch("channel_moments", ctx.stream(), kernels::block_moments_kernel<T, v()>, t.blocks(), t.threads(),
                      t.shared_bytes(v()), partial, x.data, t);
    });
  });
}

#define INSTANTIATE(T) template void channel_moments(Context<CudaOf<T>>&, View<float, CudaOf<T>>, In<T, CudaOf<T>>);
D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops

namespace d3ad::cuda {

namespace {

// The moments that came with a tensor, or made now.
template <class T>
Value<float, CudaOf<T>> moments_of(Context<CudaOf<T>>& ctx, View<const T, CudaOf<T>> x,
                                   View<const float, CudaOf<T>> given) {
  if (given.data || !x.data) return Value<float, CudaOf<T>>::borrow(given);
  auto made = make_value<float>(ctx, ops::moments_shape(x.shape));
  ops::channel_moments(ctx, made.view(), x);
  return made;
}

}  // namespace

template <class T>
void gather(Context<CudaOf<T>>& ctx, View<T, CudaOf<T>> out, const ops::ConvBlockInput<CudaOf<T>>& in) {
  D3AD_CHECK(in.x.data, "conv_block: there is no input");
  const Shape x = in.x.shape, m = in.more.shape;
  Shape both = x;
  if (in.more.data) both.c += m.c;
  D3AD_CHECK(!in.more.data || (m.n == x.n && m.h == x.h && m.w == x.w), "conv_block: more channels ", m, " for x ", x);
  D3AD_CHECK(in.resample != ops::Resample::down || (x.h % 2 == 0 && x.w % 2 == 0), "conv_block: ", x,
             " does not divide into 2x2 pixels");
  D3AD_CHECK(x.size() >= 1 && out.shape == ops::resampled(both, in.resample), "conv_block: the convolution's input is ",
             out.shape, ", expected ", ops::resampled(both, in.resample));
  Value<float, CudaOf<T>> lines;
  if (in.norm_scale.data) {
    ops::check_group_norm(both, {}, false, both, in.norm_scale.shape, in.norm_shift.shape, in.norm);
    const auto moments = moments_of(ctx, in.x, in.x_moments);
    const auto more_moments = moments_of(ctx, in.more, in.more_moments);
    lines = make_value<float>(ctx, {.n = x.n, .h = 2, .c = both.c});
    kernels::norm_lines(ctx, lines.view().data, nullptr,
                        {moments.view().data, more_moments.view().data, x.c, x.pixels()}, in.norm_scale.data,
                        in.norm_shift.data, x.n, both.c, in.norm);
  }
  const Shape small = in.resample == ops::Resample::down ? out.shape : x;
  const auto bend = in.norm.silu ? kernels::Bend::silu : kernels::Bend::none;
  const bool packs =
      kernels::packed<T>({out.data, in.x.data, in.more.data}, x.c) && (!in.more.data || m.c % kernels::kPack<T> == 0);
  kernels::with_elements<T>(packs, [&](auto v) {
    kernels::launch_gather<T, v()>(ctx, in.resample, out.data, in.x.data, in.more.data, x.c, small.w, lines.view().data,
                                   bend, kernels::NormTiles::to_map(small.n, small.pixels(), both.c, v()));
  });
}

template <class T>
void finish(Context<CudaOf<T>>& ctx, const ops::ConvBlockOutput<CudaOf<T>>& out, bool with_bias) {
  const Shape y = out.y.shape;
  const auto& bn = out.batch_norm;
  kernels::Following<T> f{.bias = with_bias ? out.bias.data : nullptr,
                          .scale = bn.scale.data,
                          .shift = bn.shift.data,
                          .mean = bn.mean.data,
                          .var = bn.var.data,
                          .eps = bn.eps,
                          .per_image = out.shift.data,
                          .residual = out.residual.data,
                          .how = out.residual_resample,
                          .width = y.w,
                          .relu = out.relu};
  const bool changes = f.bias || f.scale || f.per_image || f.residual || f.relu;
  if (!changes) {
    if (out.moments.data) ops::channel_moments(ctx, out.moments, out.y);
    return;
  }
  const bool packs =
      kernels::packed<T>({out.y.data, f.bias, f.scale, f.shift, f.mean, f.var, f.per_image, f.residual}, y.c);
  kernels::with_elements<T>(packs, [&](auto v) {
    if (out.moments.data) {
      ops::check_channel_moments(out.moments.shape, y);
      const auto t = kernels::NormTiles::to_sum(y.n, y.pixels(), y.c, v());
      kernels::join_blocks(ctx, out.moments.data, t, [&](float* partial) {
        kernels::launch("conv_block: output", ctx.stream(), kernels::finish_kernel<T, v(), true>, t.blocks(),
                        t.threads(), t.shared_bytes(v()), out.y.data, partial, f, t);
      });
    } else {
      const auto t = kernels::NormTiles::to_map(y.n, y.pixels(), y.c, v());
      kernels::launch("conv_block: output", ctx.stream(), kernels::finish_kernel<T, v(), false>, t.blocks(),
                      t.threads(), 0, out.y.data, nullptr, f, t);
    }
  });
}

#define INSTANTIATE(T)                                                                                  \
  template void gather(Context<CudaOf<T>>&, View<T, CudaOf<T>>, const ops::ConvBlockInput<CudaOf<T>>&); \
  template void finish(Context<CudaOf<T>>&, const ops::ConvBlockOutput<CudaOf<T>>&, bool);
D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::cuda

namespace d3ad::kernels {

#define INSTANTIATE(T)                                                                                               \
  template void norm_lines(Context<CudaOf<T>>&, float*, float*, MomentsOf, const float*, const float*, std::int64_t, \
                           std::int64_t, ops::GroupNorm);                                                            \
  template void apply_lines(Context<CudaOf<T>>&, T*, const T*, const float*, Bend, std::int64_t, std::int64_t,       \
                            std::int64_t);
D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::kernels
