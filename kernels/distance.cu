// CUDA variant of ops/distance.hpp.

#include <algorithm>

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/distance.hpp"
#include "kernels/distance.cuh"

namespace d3ad::ops {

namespace {

template <class Sums, class U, class T>
void channel_distance(const char* name, Context<CudaOf<T>>& ctx, View<float, CudaOf<T>> out, In<U, CudaOf<T>> a,
                      In<U, CudaOf<T>> b) {
  check_channel_distance(name, out.shape, a.shape, b.shape);
  constexpr int kThreads = 256;
  const std::int64_t channels = a.shape.c, rows = a.shape.rows();
  const bool packs = kernels::packed<U>({a.data, b.data}, channels);
  const std::int64_t run = packs ? kernels::kPack<U> : 4;  // channels a thread has at least, if there are as many
  int lanes = 1;
  while (lanes < 32 && lanes * run < channels) lanes *= 2;
  kernels::launch(name, ctx.stream(), kernels::channel_distance_kernel<Sums, U>,
                  kernels::blocks_for(rows * lanes, kThreads), kThreads, 0, out.data, a.data, b.data, rows, channels,
                  lanes, packs, kCosineEps);
}

}  // namespace

template <class Device>
void channel_l1(Context<Device>& ctx, View<Weight<Device>, Device> out, In<Weight<Device>, Device> a,
                In<Weight<Device>, Device> b) {
  channel_distance<kernels::L1Sums, float>("channel_l1", ctx, out, a, b);
}

template <class Device>
void channel_cosine(Context<Device>& ctx, View<Weight<Device>, Device> out, In<Real<Device>, Device> a,
                    In<Real<Device>, Device> b) {
  using T = Real<Device>;
  channel_distance<kernels::CosineSums, T>("channel_cosine", ctx, out, a, b);
}

template <class Device>
void pairwise_l1(Context<Device>& ctx, View<Weight<Device>, Device> out, In<Weight<Device>, Device> a,
                 In<Weight<Device>, Device> b) {
  check_pairwise_l1(out.shape, a.shape, b.shape);
  const std::int64_t rows = a.shape.n, columns = b.shape.n, count = a.shape.h * a.shape.w * a.shape.c;
  const std::int64_t pairs = rows * columns;
  if (pairs == 0) return;
  constexpr std::int64_t kTile = kernels::kPairTile, kRun = kernels::kPairRun;
  constexpr std::int64_t kBlocks = 528;  // four on each of 132 multiprocessors: what too few tiles are sliced up to
  const std::int64_t tiles = (rows + kTile - 1) / kTile * ((columns + kTile - 1) / kTile);
  const std::int64_t runs = std::max<std::int64_t>((count + kRun - 1) / kRun, 1);
  const std::int64_t wanted = std::clamp<std::int64_t>(kBlocks / tiles, 1, runs);
  const std::int64_t length = (runs + wanted - 1) / wanted * kRun;
  const std::int64_t slices = std::max<std::int64_t>((count + length - 1) / length, 1);

  Value<double, Device> partial;
  if (slices > 1) partial = make_value<double>(ctx, {.n = slices, .h = rows, .c = columns});
  double* const sums = slices > 1 ? partial.view().data : nullptr;
  const bool same = a.data == b.data && rows == columns;
  kernels::launch("pairwise_l1", ctx.stream(),
                  same ? kernels::pairwise_l1_kernel<true> : kernels::pairwise_l1_kernel<false>,
                  dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(slices)), 256, 0, out.data, sums, a.data,
                  b.data, rows, columns, count, length);
  if (slices > 1)
    kernels::launch("pairwise_l1", ctx.stream(), kernels::join_slices_kernel, kernels::blocks_for(pairs, 256), 256, 0,
                    out.data, sums, pairs, static_cast<int>(slices));
}

#define INSTANTIATE(T)                                                                                               \
  template void channel_l1(Context<CudaOf<T>>&, View<float, CudaOf<T>>, In<float, CudaOf<T>>, In<float, CudaOf<T>>); \
  template void channel_cosine(Context<CudaOf<T>>&, View<float, CudaOf<T>>, In<T, CudaOf<T>>, In<T, CudaOf<T>>);     \
  template void pairwise_l1(Context<CudaOf<T>>&, View<float, CudaOf<T>>, In<float, CudaOf<T>>, In<float, CudaOf<T>>);
D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
