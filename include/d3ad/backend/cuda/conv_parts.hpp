#pragma once
// What a convolution by a library is surrounded with on a GPU: ops/conv_block.hpp without the convolution. Compiled in
// kernels/conv_block.cu.
//
//   cuda::gather(ctx, h, in);              what the convolution reads: norm, SiLU, resampling, channels side by side
//   ... y = the convolution of h alone ...
//   cuda::finish(ctx, out, with_bias);     in place over out.y: all that comes after it, and the moments
//
// One pass over memory each (and one more, over the input, where a norm has to measure it first). Nothing waits.

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/conv_block.hpp"

namespace d3ad::cuda {

// out [n, h, w, c + c']: in.x and in.more as check_conv_block's result says, neither of which it may be. An input
// without norm, resampling and further channels is copied: the convolution may as well read it where it is.
template <class T>
void gather(Context<CudaOf<T>>&, View<T, CudaOf<T>> out, const ops::ConvBlockInput<CudaOf<T>>& in);

// out.y holds the convolution. with_bias: out.bias, where there is one, is added here; false: it is in out.y already.
// The moments are those of the numbers as they are stored. Where nothing is asked for nothing is done.
template <class T>
void finish(Context<CudaOf<T>>&, const ops::ConvBlockOutput<CudaOf<T>>& out, bool with_bias);

}  // namespace d3ad::cuda
