// CUDA variant of ops/group_norm.hpp: two passes over memory forward (moments of channels, then a line for each) and
// two backward, with small kernels between them.

#include "kernels/group_norm.cuh"

namespace d3ad::kernels {

template <class T>
void gradient_sums(Context<CudaOf<T>>& ctx, double* totals, const T* dy, const T* x, const float* table, Bend bend,
                   std::int64_t images, std::int64_t pixels, std::int64_t channels) {
  with_elements<T>(packed<T>({dy, x}, channels), [&](auto v) {
    const auto t = NormTiles::to_sum(images, pixels, channels, v());
    const auto partial = make_value<float>(ctx, {.n = images * t.per_image, .h = 2, .c = channels});
    launch("norm_gradient: sums", ctx.stream(), gradient_sums_kernel<T, v()>, t.blocks(), t.threads(),
           t.shared_bytes(v()), partial.view().data, dy, x, table, bend, t);
    launch("norm_gradient: sums", ctx.stream(), join_gradient_sums_kernel<double>,
           static_cast<unsigned>(images * ((channels + 31) / 32)), dim3(32, 8), 0, totals, partial.view().data, t);
  });
}

template <class T>
void norm_gradient(Context<CudaOf<T>>& ctx, T* dx, const T* dy, const T* x, const float* table,
                   const float* coefficients, Bend bend, std::int64_t images, std::int64_t pixels,
                   std::int64_t channels) {
  with_elements<T>(packed<T>({dx, dy, x}, channels), [&](auto v) {
    const auto t = NormTiles::to_map(images, pixels, channels, v());
    launch("norm_gradient", ctx.stream(), norm_gradient_kernel<T, v()>, t.blocks(), t.threads(), 0, dx, dy, x, table,
           coefficients, bend, t);
  });
}

#define INSTANTIATE(T)                                                                                            \
  template void gradient_sums(Context<CudaOf<T>>&, double*, const T*, const T*, const float*, Bend, std::int64_t, \
                              std::int64_t, std::int64_t);                                                        \
  template void norm_gradient(Context<CudaOf<T>>&, T*, const T*, const T*, const float*, const float*, Bend,      \
                              std::int64_t, std::int64_t, std::int64_t);
D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::kernels

namespace d3ad::ops {

template <class Device>
void group_norm(Context<Device>& ctx, View<Real<Device>, Device> out, View<Weight<Device>, Device> stats,
                In<Real<Device>, Device> x, In<Weight<Device>, Device> scale, In<Weight<Device>, Device> shift,
                GroupNorm config) {
  check_group_norm(out.shape, stats.shape, stats.data != nullptr, x.shape, scale.shape, shift.shape, config);
  const std::int64_t images = x.shape.n, pixels = x.shape.pixels(), channels = x.shape.c;
  const auto moments = make_value<float>(ctx, moments_shape(x.shape));
  const auto lines = make_value<float>(ctx, {.n = images, .h = 2, .c = channels});
  channel_moments(ctx, moments.view(), x);
  kernels::norm_lines(ctx, lines.view().data, stats.data, {moments.view().data, nullptr, channels, pixels}, scale.data,
                      shift.data, images, channels, config);
  kernels::apply_lines(ctx, out.data, x.data, lines.view().data,
                       config.silu ? kernels::Bend::silu : kernels::Bend::none, images, pixels, channels);
}

template <class Device>
void group_norm_backward(Context<Device>& ctx, View<Real<Device>, Device> dx, View<Weight<Device>, Device> dscale,
                         View<Weight<Device>, Device> dshift, In<Real<Device>, Device> dy, In<Real<Device>, Device> x,
                         In<Weight<Device>, Device> stats, In<Weight<Device>, Device> scale,
                         In<Weight<Device>, Device> shift, GroupNorm config) {
  check_group_norm(dy.shape, stats.shape, true, x.shape, scale.shape, shift.shape, config);
  D3AD_CHECK(dx.shape == x.shape, "group_norm_backward: gradient ", dx.shape, " for x ", x.shape);
  D3AD_CHECK(stats.data, "group_norm_backward: needs the statistics of the forward pass");
  D3AD_CHECK((!dscale.data || dscale.size() == x.shape.c) && (!dshift.data || dshift.size() == x.shape.c),
             "group_norm_backward: gradients of scale ", dscale.shape, " and shift ", dshift.shape, ", expected ",
             x.shape.c, " values each");
  constexpr int kThreads = 128;
  const std::int64_t images = x.shape.n, pixels = x.shape.pixels(), channels = x.shape.c;
  const std::int64_t groups = int{config.groups};
  const auto bend = config.silu ? kernels::Bend::silu : kernels::Bend::none;
  const auto table = make_value<float>(ctx, {.n = images, .h = 3, .c = channels});
  const auto totals = make_value<double>(ctx, {.n = images, .h = 2, .c = channels});
  const auto coefficients = make_value<float>(ctx, {.n = images, .h = 2, .c = channels});
  kernels::launch("group_norm_backward", ctx.stream(), kernels::group_norm_table_kernel<double>,
                  kernels::blocks_for(images * channels, kThreads), kThreads, 0, table.view().data, stats.data,
                  scale.data, shift.data, images * channels, channels, groups);
  kernels::gradient_sums(ctx, totals.view().data, dy.data, x.data, table.view().data, bend, images, pixels, channels);
  kernels::launch("group_norm_backward", ctx.stream(), kernels::group_norm_coefficients_kernel<double>,
                  static_cast<unsigned>((images * groups * 32 + kThreads - 1) / kThreads), kThreads, 0,
                  coefficients.view().data, totals.view().data, stats.data, scale.data, images, pixels, channels,
                  groups);
  if (dscale.data || dshift.data)
    kernels::launch("group_norm_backward", ctx.stream(), kernels::group_norm_parameters_kernel<double>,
                    static_cast<unsigned>((channels + kThreads - 1) / kThreads), kThreads, 0, dscale.data, dshift.data,
                    totals.view().data, stats.data, images, channels, groups);
  kernels::norm_gradient(ctx, dx.data, dy.data, x.data, table.view().data, coefficients.view().data, bend, images,
                         pixels, channels);
}

#define INSTANTIATE(T)                                                                                                \
  template void group_norm(Context<CudaOf<T>>&, View<T, CudaOf<T>>, View<float, CudaOf<T>>, In<T, CudaOf<T>>,         \
                           In<float, CudaOf<T>>, In<float, CudaOf<T>>, GroupNorm);                                    \
  template void group_norm_backward(Context<CudaOf<T>>&, View<T, CudaOf<T>>, View<float, CudaOf<T>>,                  \
                                    View<float, CudaOf<T>>, In<T, CudaOf<T>>, In<T, CudaOf<T>>, In<float, CudaOf<T>>, \
                                    In<float, CudaOf<T>>, In<float, CudaOf<T>>, GroupNorm);
D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
