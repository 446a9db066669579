// CUDA variant of ops/loss.hpp. Nothing waits: a loss is a number on the device.

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/loss.hpp"
#include "kernels/elementwise.cuh"
#include "kernels/loss.cuh"

namespace d3ad::ops {

namespace {

constexpr int kLossThreads = 256;

// loss = sum of term(x, y) over all elements / divisor
template <class T, class F>
void mean_of_terms(const char* name, Context<CudaOf<T>>& ctx, View<T, CudaOf<T>> loss, In<T, CudaOf<T>> x,
                   In<T, CudaOf<T>> y, F term, std::int64_t divisor) {
  const unsigned blocks = kernels::sum_blocks(x.size());
  auto partial = make_value<double>(ctx, {.c = blocks});
  kernels::launch(name, ctx.stream(), kernels::sum_kernel<T, F, T, T>, blocks, kernels::kSumThreads, 0,
                  partial.view().data, x.size(), kernels::packed<T>({x.data, y.data}, 0), term, x.data, y.data);
  kernels::launch(name, ctx.stream(), kernels::join_kernel<T>, 1, kernels::kSumThreads, 0, loss.data,
                  partial.view().data, blocks, static_cast<double>(divisor));
}

// The losses of the images and the factors of their gradients; null: not wanted.
template <class T>
void cosine(const char* name, Context<CudaOf<T>>& ctx, double* losses, kernels::CosineFactors* factors,
            In<T, CudaOf<T>> x, In<T, CudaOf<T>> y, const float* d) {
  const std::int64_t images = x.shape.n, image = x.size() / images;
  const std::int64_t each = std::min<std::int64_t>(kernels::sum_blocks(image), 64);
  auto partial = make_value<double>(ctx, {.n = images, .h = each, .c = 3});
  kernels::launch(name, ctx.stream(), kernels::cosine_sums_kernel<T>, static_cast<unsigned>(images * each),
                  kernels::kSumThreads, 0, partial.view().data, x.data, y.data, image, each,
                  kernels::packed<T>({x.data, y.data}, image));
  kernels::launch(name, ctx.stream(), kernels::cosine_join_kernel<kernels::CosineFactors>,
                  static_cast<unsigned>(images), 32, 0, losses, factors, partial.view().data, each, d,
                  static_cast<double>(images));
}

// times * d / divisor, for the gradients that are made element by element.
template <class T>
Value<float, CudaOf<T>> factor(const char* name, Context<CudaOf<T>>& ctx, In<float, CudaOf<T>> d, double times,
                               std::int64_t divisor) {
  auto out = make_value<float>(ctx, {});
  kernels::launch(name, ctx.stream(), kernels::factor_kernel<float>, 1, 1, 0, out.view().data, d.data, times,
                  static_cast<double>(divisor));
  return out;
}

// A warp for each row.
unsigned row_blocks(std::int64_t rows) { return kernels::blocks_for(rows * 32, kernels::kSumThreads); }

}  // namespace

template <class Device>
void mse(Context<Device>& ctx, View<Real<Device>, Device> loss, In<Real<Device>, Device> x,
         In<Real<Device>, Device> t) {
  check_loss("mse", loss.shape, x.shape, t.shape);
  mean_of_terms("mse", ctx, loss, x, t, kernels::SquaredDifference{}, x.size());
}

template <class Device>
void mse_backward(Context<Device>& ctx, View<Real<Device>, Device> dx, In<Real<Device>, Device> x,
                  In<Real<Device>, Device> t, In<Weight<Device>, Device> d) {
  check_loss_gradient("mse", d.shape);
  check_loss("mse", {}, x.shape, t.shape);
  check_loss("mse", {}, dx.shape, x.shape);
  const auto f = factor<Real<Device>>("mse_backward", ctx, d, 2.0, x.size());
  kernels::map("mse_backward", ctx, dx, kernels::ScaledDifference{f.view().data}, x.data, t.data);
}

template <class Device>
void l1(Context<Device>& ctx, View<Real<Device>, Device> loss, In<Real<Device>, Device> x, In<Real<Device>, Device> t) {
  check_loss("l1", loss.shape, x.shape, t.shape);
  mean_of_terms("l1", ctx, loss, x, t, kernels::AbsoluteDifference{}, x.size());
}

template <class Device>
void l1_backward(Context<Device>& ctx, View<Real<Device>, Device> dx, In<Real<Device>, Device> x,
                 In<Real<Device>, Device> t, In<Weight<Device>, Device> d) {
  check_loss_gradient("l1", d.shape);
  check_loss("l1", {}, x.shape, t.shape);
  check_loss("l1", {}, dx.shape, x.shape);
  const auto f = factor<Real<Device>>("l1_backward", ctx, d, 1.0, x.size());
  kernels::map("l1_backward", ctx, dx, kernels::SignOfDifference{f.view().data}, x.data, t.data);
}

template <class Device>
void cosine_loss(Context<Device>& ctx, View<Real<Device>, Device> loss, In<Real<Device>, Device> x,
                 In<Real<Device>, Device> y) {
  using T = Real<Device>;
  check_loss("cosine_loss", loss.shape, x.shape, y.shape);
  auto losses = make_value<double>(ctx, {.c = x.shape.n});
  cosine<T>("cosine_loss", ctx, losses.view().data, nullptr, x, y, nullptr);
  kernels::launch("cosine_loss", ctx.stream(), kernels::join_kernel<T>, 1, kernels::kSumThreads, 0, loss.data,
                  losses.view().data, x.shape.n, static_cast<double>(x.shape.n));
}

template <class Device>
void cosine_loss_backward(Context<Device>& ctx, View<Real<Device>, Device> dx, View<Real<Device>, Device> dy,
                          In<Real<Device>, Device> x, In<Real<Device>, Device> y, In<Weight<Device>, Device> d) {
  using T = Real<Device>;
  check_loss_gradient("cosine_loss", d.shape);
  check_loss("cosine_loss", {}, x.shape, y.shape);
  if (dx.data) check_loss("cosine_loss", {}, dx.shape, x.shape);
  if (dy.data) check_loss("cosine_loss", {}, dy.shape, x.shape);
  const std::int64_t image = x.size() / x.shape.n;
  auto factors = make_value<kernels::CosineFactors>(ctx, {.c = x.shape.n});
  cosine<T>("cosine_loss_backward", ctx, nullptr, factors.view().data, x, y, d.data);
  const bool packs = kernels::packed<T>({dx.data, dy.data, x.data, y.data}, image);
  kernels::launch("cosine_loss_backward", ctx.stream(), kernels::cosine_gradient_kernel<T>,
                  kernels::blocks_for(packs ? x.size() / kernels::kPack<T> : x.size(), kLossThreads), kLossThreads, 0,
                  dx.data, dy.data, x.data, y.data, factors.view().data, x.size(), image, packs);
}

template <class Device>
void kl(Context<Device>& ctx, View<Real<Device>, Device> loss, In<Real<Device>, Device> mean,
        In<Real<Device>, Device> logvar) {
  check_loss("kl", loss.shape, mean.shape, logvar.shape);
  mean_of_terms("kl", ctx, loss, mean, logvar, kernels::KlTerm{}, mean.shape.n);
}

template <class Device>
void kl_backward(Context<Device>& ctx, View<Real<Device>, Device> dmean, View<Real<Device>, Device> dlogvar,
                 In<Real<Device>, Device> mean, In<Real<Device>, Device> logvar, In<Weight<Device>, Device> d) {
  check_loss_gradient("kl", d.shape);
  check_loss("kl", {}, mean.shape, logvar.shape);
  const auto f = factor<Real<Device>>("kl_backward", ctx, d, 1.0, mean.shape.n);
  if (dmean.data) {
    check_loss("kl", {}, dmean.shape, mean.shape);
    kernels::map("kl_backward", ctx, dmean, kernels::Times{f.view().data}, mean.data);
  }
  if (dlogvar.data) {
    check_loss("kl", {}, dlogvar.shape, mean.shape);
    kernels::map("kl_backward", ctx, dlogvar, kernels::HalfExpMinusOne{f.view().data}, logvar.data);
  }
}

template <class Device>
void cross_entropy(Context<Device>& ctx, View<Real<Device>, Device> loss, In<Real<Device>, Device> x,
                   In<std::int32_t, Device> labels) {
  using T = Real<Device>;
  check_cross_entropy(loss.shape, x.shape, labels.shape);
  const std::int64_t rows = x.shape.rows();
  const unsigned blocks = row_blocks(rows);
  auto partial = make_value<double>(ctx, {.c = blocks});
  kernels::launch("cross_entropy", ctx.stream(), kernels::cross_entropy_kernel<T>, blocks, kernels::kSumThreads, 0,
                  partial.view().data, x.data, labels.data, rows, x.shape.c);
  kernels::launch("cross_entropy", ctx.stream(), kernels::join_kernel<T>, 1, kernels::kSumThreads, 0, loss.data,
                  partial.view().data, blocks, static_cast<double>(rows));
}

template <class Device>
void cross_entropy_backward(Context<Device>& ctx, View<Real<Device>, Device> dx, In<Real<Device>, Device> x,
                            In<std::int32_t, Device> labels, In<Weight<Device>, Device> d) {
  using T = Real<Device>;
  check_loss_gradient("cross_entropy", d.shape);
  check_cross_entropy({}, x.shape, labels.shape);
  check_loss("cross_entropy", {}, dx.shape, x.shape);
  const std::int64_t rows = x.shape.rows();
  kernels::launch("cross_entropy_backward", ctx.stream(), kernels::cross_entropy_gradient_kernel<T>, row_blocks(rows),
                  kernels::kSumThreads, 0, dx.data, x.data, labels.data, rows, x.shape.c, d.data,
                  static_cast<double>(rows));
}

#define LOSS(T, NAME) template void NAME(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>, In<T, CudaOf<T>>);
#define GRADIENT(T, NAME) \
  template void NAME(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>, In<T, CudaOf<T>>, In<float, CudaOf<T>>);
#define GRADIENTS(T, NAME)                                                                                            \
  template void NAME(Context<CudaOf<T>>&, View<T, CudaOf<T>>, View<T, CudaOf<T>>, In<T, CudaOf<T>>, In<T, CudaOf<T>>, \
                     In<float, CudaOf<T>>);
#define INSTANTIATE(T)                                                                                                 \
  LOSS(T, mse)                                                                                                         \
  GRADIENT(T, mse_backward)                                                                                            \
  LOSS(T, l1)                                                                                                          \
  GRADIENT(T, l1_backward)                                                                                             \
  LOSS(T, cosine_loss)                                                                                                 \
  GRADIENTS(T, cosine_loss_backward)                                                                                   \
  LOSS(T, kl)                                                                                                          \
  GRADIENTS(T, kl_backward)                                                                                            \
  template void cross_entropy(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>, In<std::int32_t, CudaOf<T>>); \
  template void cross_entropy_backward(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>,                      \
                                       In<std::int32_t, CudaOf<T>>, In<float, CudaOf<T>>);

D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
