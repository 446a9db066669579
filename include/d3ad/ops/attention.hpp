#pragma once
// attention: every position of an image attends to all its positions, head by head; and its gradient.
//
//   qkv [n, h, w, 3c]: channels head by head as (q, k, v), each d = c / heads wide       out [n, h, w, c]
//   P = softmax(q k^T / sqrt(d)) over the h * w positions        out = P v
//   dqkv = gradient of qkv, overwritten; P is computed again, so nothing has to be kept from the forward pass
//
// No aliasing. float. The scores are computed in blocks of rows, never as a whole. Any number of threads gives the same
// bits.

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/required.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

struct Attention {
  Required<int> heads;
};

inline void check_attention(Shape out, Shape qkv, Attention config) {
  const int heads = config.heads;
  D3AD_CHECK(heads >= 1, "attention: ", heads, " heads, expected at least 1");
  D3AD_CHECK(qkv.size() >= 1 && qkv.c % 3 == 0 && qkv.c / 3 % heads == 0, "attention: ", qkv.c,
             " channels are not queries, keys and values of ", heads, " heads, expected a multiple of ", 3 * heads);
  const Shape expected{qkv.n, qkv.h, qkv.w, qkv.c / 3};
  D3AD_CHECK(out == expected, "attention: the output (or its gradient) is ", out, ", expected ", expected, " for qkv ",
             qkv);
}

template <class Device>
void attention(Context<Device>&, View<Real<Device>, Device> out, In<Real<Device>, Device> qkv, Attention);
template <class Device>
void attention_backward(Context<Device>&, View<Real<Device>, Device> dqkv, In<Real<Device>, Device> dout,
                        In<Real<Device>, Device> qkv, Attention);

}  // namespace d3ad::ops
