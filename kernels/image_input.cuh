#pragma once
// CUDA kernels of ops/image_input.hpp: each thread makes a number of one channel at a time. They are bound by the bytes
// of the photograph, which caches give to the neighbours that share them.

#include "d3ad/ops/image_input.hpp"
#include "kernels/launch.cuh"

namespace d3ad::kernels {

inline constexpr int kImageChannels = 3;

// out [h, to, 3] of pixels [h, from, 3]
__global__ void resize_rows_kernel(std::uint8_t* out, const std::uint8_t* pixels, ops::ResizeTable table,
                                   std::int64_t h, std::int64_t from, std::int64_t to) {
  const std::int64_t count = h * to * kImageChannels;
  for (std::int64_t i = grid_thread(); i < count; i += grid_threads()) {
    const std::int64_t pixel = i / kImageChannels, row = pixel / to;
    out[i] = table.mean(pixel - row * to, pixels + row * from * kImageChannels + i % kImageChannels, kImageChannels);
  }
}

// out [to, length] of rows [h, length], as the networks are given it
__global__ void resize_columns_kernel(float* out, const std::uint8_t* rows, ops::ResizeTable table, std::int64_t to,
                                      std::int64_t length) {
  const std::int64_t count = to * length;
  for (std::int64_t i = grid_thread(); i < count; i += grid_threads()) {
    const std::int64_t y = i / length;
    out[i] = ops::input_number<float>(table.mean(y, rows + (i - y * length), length));
  }
}

}  // namespace d3ad::kernels
