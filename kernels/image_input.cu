// CUDA variant of ops/image_input.hpp. The context keeps the tables: a camera's photographs are of one size.

#include <cstddef>
#include <map>
#include <utility>

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/image_input.hpp"
#include "kernels/element.cuh"
#include "kernels/image_input.cuh"

namespace d3ad::ops {

namespace {

constexpr int kImageInputThreads = 256;

// Tables on the device of the axes met so far, by their lengths.
template <class T>
class Tables {
 public:
  ResizeTable of(std::int64_t in, std::int64_t out) {
    const std::pair key(in, out);
    const auto found = tables_.find(key);
    if (found != tables_.end()) return found->second.table;
    // Photographs may come in any number of sizes. Releasing waits for what still reads the tables.
    constexpr std::size_t kMost = 64;
    if (tables_.size() >= kMost) tables_.clear();
    const ResizeWeights weights = resize_weights(in, out);
    Table table{.numbers = Tensor<std::int32_t, CudaOf<T>>({.c = static_cast<std::int64_t>(weights.numbers.size())}),
                .table = {}};
    copy_from_host(table.numbers.view(), weights.numbers.data());
    table.table = weights.table(table.numbers.data());
    return tables_.emplace(key, std::move(table)).first->second.table;
  }

 private:
  struct Table {
    Tensor<std::int32_t, CudaOf<T>> numbers;
    ResizeTable table;
  };
  std::map<std::pair<std::int64_t, std::int64_t>, Table> tables_;
};

}  // namespace

template <class Device>
void image_input(Context<Device>& ctx, View<Weight<Device>, Device> out, In<std::uint8_t, Device> pixels) {
  using T = Real<Device>;
  check_image_input(out.shape, pixels.shape);
  const Shape s = pixels.shape, o = out.shape;
  auto& tables = ctx.template kept<Tables<T>>();
  const std::uint8_t* rows = pixels.data;
  Value<std::uint8_t, Device> resized;
  if (s.w != o.w) {
    resized = make_value<std::uint8_t>(ctx, {.h = s.h, .w = o.w, .c = o.c});
    kernels::launch("resize_rows", ctx.stream(), kernels::resize_rows_kernel,
                    kernels::blocks_for(resized.view().size(), kImageInputThreads), kImageInputThreads, 0,
                    resized.view().data, pixels.data, tables.of(s.w, o.w), s.h, s.w, o.w);
    rows = resized.view().data;
  }
  kernels::launch("resize_columns", ctx.stream(), kernels::resize_columns_kernel,
                  kernels::blocks_for(out.size(), kImageInputThreads), kImageInputThreads, 0, out.data, rows,
                  tables.of(s.h, o.h), o.h, o.w * o.c);
}

#define INSTANTIATE(T) \
  template void image_input(Context<CudaOf<T>>&, View<float, CudaOf<T>>, In<std::uint8_t, CudaOf<T>>);
D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
