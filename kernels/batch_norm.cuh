#pragma once
// CUDA kernels of ops/batch_norm.hpp: the small ones, a thread for a channel, that stand between passes over memory.
// The passes are those of the other normalisations (conv_block.cuh, group_norm.cuh), with the whole batch as one image.

#include "kernels/group_norm.cuh"

namespace d3ad::kernels {

// A channel's mean and 1 / sqrt(var + eps): given as such, or its variance.
struct BatchStatistics {
  const float *mean, *inverse, *var;  // inverse or var
  float eps;

  __device__ double inverse_of(std::int64_t c) const {
    return inverse ? static_cast<double>(inverse[c])
                   : 1.0 / std::sqrt(static_cast<double>(var[c]) + static_cast<double>(eps));
  }
};

// table [2 or 3, channel]: factor, offset, and if asked for the mean.
template <class Sum>
__global__ void batch_norm_table_kernel(float* table, BatchStatistics s, const float* scale, const float* shift,
                                        std::int64_t channels, bool with_mean) {
  const std::int64_t c = grid_thread();
  if (c >= channels) return;
  const Sum factor = s.inverse_of(c) * static_cast<Sum>(scale[c]);
  table[c] = static_cast<float>(factor);
  table[channels + c] = static_cast<float>(static_cast<Sum>(shift[c]) - static_cast<Sum>(s.mean[c]) * factor);
  if (with_mean) table[2 * channels + c] = s.mean[c];
}

// From the batch's moments: statistics, running statistics and the lines [2, channel].
template <class Sum>
__global__ void batch_norm_train_kernel(float* lines, float* stats, float* running_mean, float* running_var,
                                        const float* moments, const float* scale, const float* shift, float eps,
                                        float momentum, std::int64_t rows, std::int64_t channels) {
  const std::int64_t c = grid_thread();
  if (c >= channels) return;
  const Sum mean = static_cast<Sum>(moments[c]), square = static_cast<Sum>(moments[channels + c]);
  const Sum count = static_cast<Sum>(rows), part = static_cast<Sum>(momentum);
  const Sum inverse = 1 / std::sqrt(square / count + static_cast<Sum>(eps));
  const Sum unbiased = square / (count > 1 ? count - 1 : Sum(1)), factor = inverse * static_cast<Sum>(scale[c]);
  lines[c] = static_cast<float>(factor);
  lines[channels + c] = static_cast<float>(static_cast<Sum>(shift[c]) - mean * factor);
  stats[c] = static_cast<float>(mean);
  stats[channels + c] = static_cast<float>(inverse);
  running_mean[c] = static_cast<float>((1 - part) * static_cast<Sum>(running_mean[c]) + part * mean);
  running_var[c] = static_cast<float>((1 - part) * static_cast<Sum>(running_var[c]) + part * unbiased);
}

// coefficients [2, channel] of norm_gradient_kernel; dscale, dshift (null: not wanted) += the sums. of_batch: the
// statistics are the batch's own, and move with x.
template <class Sum>
__global__ void batch_norm_coefficients_kernel(float* coefficients, float* dscale, float* dshift, const Sum* totals,
                                               BatchStatistics s, const float* scale, std::int64_t rows,
                                               std::int64_t channels, bool of_batch) {
  const std::int64_t c = grid_thread();
  if (c >= channels) return;
  const Sum d = totals[c], inverse = s.inverse_of(c), normal = totals[channels + c] * inverse;
  const Sum factor = inverse * static_cast<Sum>(scale[c]), count = static_cast<Sum>(rows);
  coefficients[c] = of_batch ? static_cast<float>(factor * inverse * normal / count) : 0.0f;
  coefficients[channels + c] = of_batch ? static_cast<float>(factor * d / count) : 0.0f;
  if (dscale) dscale[c] += static_cast<float>(normal);
  if (dshift) dshift[c] += static_cast<float>(d);
}

}  // namespace d3ad::kernels
