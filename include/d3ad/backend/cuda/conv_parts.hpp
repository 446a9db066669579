#pragma once
// What ops/conv_block.hpp computes before and after the convolution, on a GPU. Compiled in kernels/conv_block.cu.
//
//   cuda::gather(ctx, h, in);                     // what the convolution reads: norm, SiLU, resampled, concatenated
//   cuda::convolve(ctx, out.y, h, w, config);     // backend/cuda/conv2d.hpp
//   cuda::finish(ctx, out, with_bias);            // in place over out.y: all that comes after it, and the moments
//
// Each is one pass over memory; if a norm has to measure the input first, gather needs one more. The host waits for
// nothing.

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/conv_block.hpp"

namespace d3ad::cuda {

// out [n, h, w, c + c'] from in.x and in.more, of the shape that check_conv_block returns; it may be neither of them.
// An input without norm, resampling and further channels is copied, so a caller better passes it to the convolution
// itself.
template <class T>
void gather(Context<CudaOf<T>>&, View<T, CudaOf<T>> out, const ops::ConvBlockInput<CudaOf<T>>& in);

// out.y holds the result of the convolution. with_bias: adds out.bias, if there is one; false: out.y has it already.
// The moments are those of the numbers as they are stored. If nothing is asked for, nothing is launched.
template <class T>
void finish(Context<CudaOf<T>>&, const ops::ConvBlockOutput<CudaOf<T>>& out, bool with_bias);

}  // namespace d3ad::cuda
