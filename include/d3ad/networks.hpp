#pragma once
// Tensors, operations, networks and weights of the CPU: for who wants the UNet, the VAE, a ResNet, or their parts alone.
//
//   d3ad::Context<d3ad::Cpu> ctx;
//   d3ad::ParameterStore<d3ad::Cpu> store;
//   d3ad::FileSource source("resnet34.safetensors");
//   const d3ad::ResNet<d3ad::Cpu> resnet({store, source}, d3ad::ResNetConfig::named("resnet34"));
//   const auto features = resnet.features(ctx, x);             // x [n, h, w, 3]
//
// autograd/tape.hpp records what networks do, so that they can be trained; autograd/adamw.hpp trains them.

#include "d3ad/autograd/adamw.hpp"
#include "d3ad/autograd/functions.hpp"
#include "d3ad/autograd/tape.hpp"
#include "d3ad/models/autoencoder.hpp"
#include "d3ad/models/resnet.hpp"
#include "d3ad/models/unet.hpp"
#include "d3ad/weights/checkpoint.hpp"
#include "d3ad/weights/parameters.hpp"
#include "d3ad/weights/source.hpp"
