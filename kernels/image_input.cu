// CUDA variant of ops/image_input.hpp. The tables are made anew for each image: they are small beside its bytes, which
// came the same way, and photographs come in any number of sizes.

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/image_input.hpp"
#include "kernels/element.cuh"
#include "kernels/image_input.cuh"

namespace d3ad::ops {

namespace {

constexpr int kThreads = 256;

// An axis' table on the device, as long as the value lives.
template <class T>
struct Table {
  Value<std::int32_t, CudaOf<T>> numbers;
  ResizeTable table;

  Table(Context<CudaOf<T>>& ctx, std::int64_t in, std::int64_t out) {
    const ResizeWeights weights = resize_weights(in, out);
    numbers = ctx.arena.template make<std::int32_t>({.c = static_cast<std::int64_t>(weights.numbers.size())});
    copy_from_host(numbers.view(), weights.numbers.data());
    table = weights.table(numbers.view().data);
  }
};

}  // namespace

template <class T>
void image_input(Context<CudaOf<T>>& ctx, View<float, CudaOf<T>> out, In<std::uint8_t, CudaOf<T>> pixels) {
  check_image_input(out.shape, pixels.shape);
  const Shape s = pixels.shape, o = out.shape;
  const std::uint8_t* rows = pixels.data;
  Value<std::uint8_t, CudaOf<T>> resized;
  if (s.w != o.w) {
    const Table<T> across(ctx, s.w, o.w);
    resized = ctx.arena.template make<std::uint8_t>({.h = s.h, .w = o.w, .c = o.c});
    kernels::launch("resize_rows", ctx.stream(), kernels::resize_rows_kernel,
                    kernels::blocks_for(resized.view().size(), kThreads), kThreads, 0, resized.view().data, pixels.data,
                    across.table, s.h, s.w, o.w);
    rows = resized.view().data;
  }
  const Table<T> down(ctx, s.h, o.h);
  kernels::launch("resize_columns", ctx.stream(), kernels::resize_columns_kernel,
                  kernels::blocks_for(out.size(), kThreads), kThreads, 0, out.data, rows, down.table, o.h, o.w * o.c);
}

#define INSTANTIATE(T) \
  template void image_input(Context<CudaOf<T>>&, View<float, CudaOf<T>>, In<std::uint8_t, CudaOf<T>>);
D3AD_FOR_ACTIVATIONS(INSTANTIATE)

}  // namespace d3ad::ops
