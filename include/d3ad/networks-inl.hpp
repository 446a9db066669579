#pragma once
// The definitions of the networks, for who instantiates them himself although d3ad is compiled: for the reference device,
// say, or another element type. If d3ad is not compiled, d3ad/networks.hpp has them already.

#include "d3ad/models/autoencoder-inl.hpp"
#include "d3ad/models/resnet-inl.hpp"
#include "d3ad/models/tiny_vae-inl.hpp"
#include "d3ad/models/unet-inl.hpp"
#include "d3ad/models/vae-inl.hpp"
