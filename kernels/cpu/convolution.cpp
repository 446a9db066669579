// The CPU's convolutions and products, and the operations that surround a convolution (ops/conv_block.hpp).

#include "d3ad/backend/cpu/conv2d.hpp"
#include "d3ad/backend/cpu/conv_block.hpp"
#include "d3ad/backend/cpu/linear.hpp"
