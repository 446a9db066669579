// CUDA variant of ops/convert.hpp.

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/convert.hpp"
#include "kernels/convert.cuh"

namespace d3ad::ops {

template <class To, class From, class Device>
void convert(Context<Device>& ctx, View<To, Device> out, View<const From, Device> x) {
  check_convert(out.shape, x.shape);
  if (x.size() == 0) return;
  constexpr int kThreads = 256;
  constexpr std::int64_t kOfEach = std::max(kernels::kPack<To>, kernels::kPack<From>);
  const bool packs = kernels::packed<To>({out.data, x.data}, 0);
  const std::int64_t items = packs ? x.size() / kOfEach + kOfEach : x.size();
  kernels::launch("convert", ctx.stream(), kernels::convert_kernel<To, From>, kernels::blocks_for(items, kThreads),
                  kThreads, 0, out.data, x.data, x.size(), packs);
}

template <class Device>
void widen(Context<Device>& ctx, View<Weight<Device>, Device> out, In<bfloat16, Device> x) {
  convert<float, bfloat16>(ctx, out, x);
}

template <class Device>
void narrow(Context<Device>& ctx, View<bfloat16, Device> out, In<Weight<Device>, Device> x) {
  convert<bfloat16, float>(ctx, out, x);
}

#define INSTANTIATE_FROM(From, T)                                                                  \
  template void convert(Context<CudaOf<T>>&, View<float, CudaOf<T>>, View<const From, CudaOf<T>>); \
  template void convert(Context<CudaOf<T>>&, View<half, CudaOf<T>>, View<const From, CudaOf<T>>);  \
  template void convert(Context<CudaOf<T>>&, View<bfloat16, CudaOf<T>>, View<const From, CudaOf<T>>);
#define INSTANTIATE(T)                                                                       \
  INSTANTIATE_FROM(float, T)                                                                 \
  INSTANTIATE_FROM(half, T)                                                                  \
  INSTANTIATE_FROM(bfloat16, T)                                                              \
  template void widen(Context<CudaOf<T>>&, View<float, CudaOf<T>>, In<bfloat16, CudaOf<T>>); \
  template void narrow(Context<CudaOf<T>>&, View<bfloat16, CudaOf<T>>, In<float, CudaOf<T>>);

D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
