// CUDA variant of ops/optimizer.hpp. All of it is float, whatever the activations are.

#include <cstdint>
#include <utility>
#include <vector>

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/optimizer.hpp"
#include "kernels/elementwise.cuh"
#include "kernels/optimizer.cuh"

namespace d3ad::ops {

namespace {

// What adamw_all and sum_squares_all read on the device: the tensors and their chunks.
template <class T>
struct Table {
  std::vector<kernels::OptimizerTensor> made_for;
  Tensor<kernels::OptimizerTensor, CudaOf<T>> tensors;
  Tensor<kernels::OptimizerChunk, CudaOf<T>> chunks;

  void make(const std::vector<kernels::OptimizerTensor>& list) {
    std::vector<kernels::OptimizerChunk> cut;
    for (std::size_t i = 0; i < list.size(); ++i)
      for (std::int64_t first = 0; first < list[i].count; first += kernels::kChunk)
        cut.push_back({static_cast<std::int64_t>(i), first});
    made_for.clear();  // what is on the device is no longer theirs, should one of these fail
    tensors = Tensor<kernels::OptimizerTensor, CudaOf<T>>({.c = static_cast<std::int64_t>(list.size())});
    chunks = Tensor<kernels::OptimizerChunk, CudaOf<T>>({.c = static_cast<std::int64_t>(cut.size())});
    copy_from_host(tensors.view(), list.data());
    copy_from_host(chunks.view(), cut.data());
    made_for = list;
  }
};

struct FirstTensor {
  std::uint64_t address;
  bool operator==(const FirstTensor&) const = default;
};

// The context keeps one table for each first tensor, that is for each optimizer. It says only where tensors lie, so it
// stays right even if other tensors have come to lie in the same places. One that is made again goes through the
// default stream: after the launches that still read the old one, before those that follow.
template <class T>
const Table<T>& table(Context<CudaOf<T>>& ctx, const std::vector<AdamWTensor<CudaOf<T>>>& tensors) {
  std::vector<kernels::OptimizerTensor> list;
  for (const auto& t : tensors)
    if (t.gradient.size())
      list.push_back({t.w.data, t.m.data, t.v.data, t.gradient.data, t.average.data, t.gradient.size()});
  const FirstTensor key{list.empty() ? 0 : reinterpret_cast<std::uintptr_t>(list.front().w)};
  auto& table = ctx.template kept<KeyedCache<Table<T>, FirstTensor>>().get(key, [] { return Table<T>(); });
  if (table.made_for != list) table.make(list);
  return table;
}

template <class T>
double on_host(View<double, CudaOf<T>> number) {
  double out = 0;
  copy_to_host(&out, View<const double, CudaOf<T>>(number));
  return out;
}

}  // namespace

template <class Device>
void adamw(Context<Device>& ctx, View<Weight<Device>, Device> w, View<Weight<Device>, Device> m,
           View<Weight<Device>, Device> v, In<Weight<Device>, Device> gradient, AdamW config, std::int64_t step,
           Weight<Device> gradient_scale) {
  check_adamw(w.shape, m.shape, v.shape, gradient.shape, step);
  const kernels::OptimizerTensor tensor{w.data, m.data, v.data, gradient.data, nullptr, w.size()};
  kernels::launch("adamw", ctx.stream(), kernels::adamw_kernel,
                  static_cast<unsigned>((w.size() + kernels::kChunk - 1) / kernels::kChunk), kernels::kChunkThreads, 0,
                  tensor, AdamWFactors(config, step, gradient_scale));
}

template <class Device>
void ema(Context<Device>& ctx, View<Weight<Device>, Device> average, In<Weight<Device>, Device> value,
         Weight<Device> decay) {
  check_ema(average.shape, value.shape);
  constexpr int kThreads = 256;
  const bool packs = kernels::packed<float>({average.data, value.data}, 0);
  const std::int64_t items = packs ? value.size() / kernels::kPack<float> + kernels::kPack<float> : value.size();
  kernels::launch("ema", ctx.stream(), kernels::map_elements<float, kernels::MoveTowards, float, float>,
                  value.size() ? kernels::blocks_for(items, kThreads) : 0, kThreads, 0, average.data, value.size(),
                  packs, kernels::MoveTowards{1.0f - decay}, average.data, value.data);
}

template <class Device>
double sum_squares(Context<Device>& ctx, In<Weight<Device>, Device> x) {
  using T = Real<Device>;
  const unsigned blocks = kernels::sum_blocks(x.size());
  auto partial = make_value<double>(ctx, {.c = blocks});
  auto sum = make_value<double>(ctx, {});
  kernels::launch("sum_squares", ctx.stream(), kernels::sum_kernel<float, kernels::Square, float>, blocks,
                  kernels::kSumThreads, 0, partial.view().data, x.size(), kernels::packed<float>({x.data}, 0),
                  kernels::Square{}, x.data);
  kernels::launch("sum_squares", ctx.stream(), kernels::join_kernel<double>, 1, kernels::kSumThreads, 0,
                  sum.view().data, partial.view().data, blocks, 1.0);
  return on_host<T>(sum.view());
}

template <class Device>
void adamw_all(Context<Device>& ctx, const std::vector<AdamWTensor<Device>>& tensors, AdamW config, std::int64_t step,
               Weight<Device> gradient_scale, Weight<Device> ema_decay) {
  for (const auto& t : tensors) {
    check_adamw(t.w.shape, t.m.shape, t.v.shape, t.gradient.shape, step);
    if (t.average.data) check_ema(t.average.shape, t.w.shape);
  }
  const auto& all = table(ctx, tensors);
  kernels::launch("adamw_all", ctx.stream(), kernels::adamw_all_kernel, static_cast<unsigned>(all.chunks.size()),
                  kernels::kChunkThreads, 0, all.tensors.data(), all.chunks.data(),
                  AdamWFactors(config, step, gradient_scale), kernels::MoveTowards{1.0f - ema_decay});
}

template <class Device>
double sum_squares_all(Context<Device>& ctx, const std::vector<AdamWTensor<Device>>& tensors) {
  using T = Real<Device>;
  const auto& all = table(ctx, tensors);
  if (!all.chunks.size()) return 0;
  auto partial = make_value<double>(ctx, {.c = all.chunks.size()});
  auto sum = make_value<double>(ctx, {});
  kernels::launch("sum_squares_all", ctx.stream(), kernels::sum_squares_all_kernel,
                  static_cast<unsigned>(all.chunks.size()), kernels::kChunkThreads, 0, partial.view().data,
                  all.tensors.data(), all.chunks.data());
  kernels::launch("sum_squares_all", ctx.stream(), kernels::join_kernel<double>, 1, kernels::kSumThreads, 0,
                  sum.view().data, partial.view().data, all.chunks.size(), 1.0);
  return on_host<T>(sum.view());
}

#define INSTANTIATE(T)                                                                                                 \
  template void adamw(Context<CudaOf<T>>&, View<float, CudaOf<T>>, View<float, CudaOf<T>>, View<float, CudaOf<T>>,     \
                      In<float, CudaOf<T>>, AdamW, std::int64_t, float);                                               \
  template void ema(Context<CudaOf<T>>&, View<float, CudaOf<T>>, In<float, CudaOf<T>>, float);                         \
  template double sum_squares(Context<CudaOf<T>>&, In<float, CudaOf<T>>);                                              \
  template void adamw_all(Context<CudaOf<T>>&, const std::vector<AdamWTensor<CudaOf<T>>>&, AdamW, std::int64_t, float, \
                          float);                                                                                      \
  template double sum_squares_all(Context<CudaOf<T>>&, const std::vector<AdamWTensor<CudaOf<T>>>&);

D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
