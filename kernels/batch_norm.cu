// CUDA variant of ops/batch_norm.hpp: one pass over memory with given statistics, two with the batch's own, two
// backward.

#include "kernels/batch_norm.cuh"

namespace d3ad::ops {

namespace {

constexpr int kBatchNormThreads = 128;

unsigned blocks_of(std::int64_t channels) {
  return static_cast<unsigned>((channels + kBatchNormThreads - 1) / kBatchNormThreads);
}

kernels::Bend bend_of(BatchNorm config) { return config.relu ? kernels::Bend::relu : kernels::Bend::none; }

template <class T>
void gradients(Context<CudaOf<T>>& ctx, View<T, CudaOf<T>> dx, View<float, CudaOf<T>> dscale,
               View<float, CudaOf<T>> dshift, In<T, CudaOf<T>> dy, In<T, CudaOf<T>> x, In<float, CudaOf<T>> scale,
               In<float, CudaOf<T>> shift, const kernels::BatchStatistics& statistics, BatchNorm config,
               bool of_batch) {
  const std::int64_t rows = x.shape.rows(), channels = x.shape.c;
  D3AD_CHECK(dy.shape == x.shape, "batch_norm: the output's gradient is ", dy.shape, ", x is ", x.shape);
  D3AD_CHECK((!dscale.data || dscale.size() == channels) && (!dshift.data || dshift.size() == channels),
             "batch_norm: gradients of scale ", dscale.shape, " and shift ", dshift.shape, ", expected ", channels,
             " values each");
  const auto table = make_value<float>(ctx, {.n = 3, .c = channels});
  const auto totals = make_value<double>(ctx, {.n = 2, .c = channels});
  const auto coefficients = make_value<float>(ctx, {.n = 2, .c = channels});
  kernels::launch("batch_norm_backward", ctx.stream(), kernels::batch_norm_table_kernel<double>, blocks_of(channels),
                  kBatchNormThreads, 0, table.view().data, statistics, scale.data, shift.data, channels, true);
  kernels::gradient_sums(ctx, totals.view().data, dy.data, x.data, table.view().data, bend_of(config), 1, rows,
                         channels);
  kernels::launch("batch_norm_backward", ctx.stream(), kernels::batch_norm_coefficients_kernel<double>,
                  blocks_of(channels), kBatchNormThreads, 0, coefficients.view().data, dscale.data, dshift.data,
                  totals.view().data, statistics, scale.data, rows, channels, of_batch);
  kernels::norm_gradient(ctx, dx.data, dy.data, x.data, table.view().data, coefficients.view().data, bend_of(config), 1,
                         rows, channels);
}

}  // namespace

template <class Device>
void batch_norm_eval(Context<Device>& ctx, View<Real<Device>, Device> out, In<Real<Device>, Device> x,
                     In<Weight<Device>, Device> scale, In<Weight<Device>, Device> shift,
                     In<Weight<Device>, Device> mean, In<Weight<Device>, Device> var, BatchNorm config) {
  check_batch_norm("scale and shift", out.shape, x.shape, scale.shape, shift.shape);
  check_batch_norm("mean and variance", out.shape, x.shape, mean.shape, var.shape);
  const std::int64_t channels = x.shape.c;
  const auto lines = make_value<float>(ctx, {.n = 2, .c = channels});
  const kernels::BatchStatistics statistics{mean.data, nullptr, var.data, float{config.eps}};
  kernels::launch("batch_norm_eval", ctx.stream(), kernels::batch_norm_table_kernel<double>, blocks_of(channels),
                  kBatchNormThreads, 0, lines.view().data, statistics, scale.data, shift.data, channels, false);
  kernels::apply_lines(ctx, out.data, x.data, lines.view().data, bend_of(config), 1, x.shape.rows(), channels);
}

template <class Device>
void batch_norm_train(Context<Device>& ctx, View<Real<Device>, Device> out, View<Weight<Device>, Device> stats,
                      View<Weight<Device>, Device> running_mean, View<Weight<Device>, Device> running_var,
                      In<Real<Device>, Device> x, In<Weight<Device>, Device> scale, In<Weight<Device>, Device> shift,
                      BatchNorm config) {
  check_batch_norm("scale and shift", out.shape, x.shape, scale.shape, shift.shape);
  check_batch_norm("running mean and variance", out.shape, x.shape, running_mean.shape, running_var.shape);
  check_batch_norm_stats(stats.shape, x.shape);
  const std::int64_t rows = x.shape.rows(), channels = x.shape.c;
  const auto moments = make_value<float>(ctx, {.n = 1, .h = 2, .c = channels});
  const auto lines = make_value<float>(ctx, {.n = 2, .c = channels});
  channel_moments(ctx, moments.view(), x.reshaped({.n = 1, .h = rows, .c = channels}));
  kernels::launch("batch_norm_train", ctx.stream(), kernels::batch_norm_train_kernel<double>, blocks_of(channels),
                  kBatchNormThreads, 0, lines.view().data, stats.data, running_mean.data, running_var.data,
                  moments.view().data, scale.data, shift.data, float{config.eps}, config.momentum, rows, channels);
  kernels::apply_lines(ctx, out.data, x.data, lines.view().data, bend_of(config), 1, rows, channels);
}

template <class Device>
void batch_norm_train_backward(Context<Device>& ctx, View<Real<Device>, Device> dx, View<Weight<Device>, Device> dscale,
                               View<Weight<Device>, Device> dshift, In<Real<Device>, Device> dy,
                               In<Real<Device>, Device> x, In<Weight<Device>, Device> stats,
                               In<Weight<Device>, Device> scale, In<Weight<Device>, Device> shift, BatchNorm config) {
  check_batch_norm("scale and shift", dx.shape, x.shape, scale.shape, shift.shape);
  check_batch_norm_stats(stats.shape, x.shape);
  gradients(ctx, dx, dscale, dshift, dy, x, scale, shift,
            {stats.data, stats.data + x.shape.c, nullptr, float{config.eps}}, config, true);
}

template <class Device>
void batch_norm_eval_backward(Context<Device>& ctx, View<Real<Device>, Device> dx, View<Weight<Device>, Device> dscale,
                              View<Weight<Device>, Device> dshift, In<Real<Device>, Device> dy,
                              In<Real<Device>, Device> x, In<Weight<Device>, Device> scale,
                              In<Weight<Device>, Device> shift, In<Weight<Device>, Device> mean,
                              In<Weight<Device>, Device> var, BatchNorm config) {
  check_batch_norm("scale and shift", dx.shape, x.shape, scale.shape, shift.shape);
  check_batch_norm("mean and variance", dx.shape, x.shape, mean.shape, var.shape);
  gradients(ctx, dx, dscale, dshift, dy, x, scale, shift, {mean.data, nullptr, var.data, float{config.eps}}, config,
            false);
}

#define INSTANTIATE(T)                                                                                           \
  template void batch_norm_eval(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>, In<float, CudaOf<T>>, \
                                In<float, CudaOf<T>>, In<float, CudaOf<T>>, In<float, CudaOf<T>>, BatchNorm);    \
  template void batch_norm_train(Context<CudaOf<T>>&, View<T, CudaOf<T>>, View<float, CudaOf<T>>,                \
                                 View<float, CudaOf<T>>, View<float, CudaOf<T>>, In<T, CudaOf<T>>,               \
                                 In<float, CudaOf<T>>, In<float, CudaOf<T>>, BatchNorm);                         \
  template void batch_norm_train_backward(                                                                       \
      Context<CudaOf<T>>&, View<T, CudaOf<T>>, View<float, CudaOf<T>>, View<float, CudaOf<T>>, In<T, CudaOf<T>>, \
      In<T, CudaOf<T>>, In<float, CudaOf<T>>, In<float, CudaOf<T>>, In<float, CudaOf<T>>, BatchNorm);            \
  template void batch_norm_eval_backward(Context<CudaOf<T>>&, View<T, CudaOf<T>>, View<float, CudaOf<T>>,        \
                                         View<float, CudaOf<T>>, In<T, CudaOf<T>>, In<T, CudaOf<T>>,             \
                                         In<float, CudaOf<T>>, In<float, CudaOf<T>>, In<float, CudaOf<T>>,       \
                                         In<float, CudaOf<T>>, BatchNorm);
D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
