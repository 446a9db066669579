#pragma once
// Domain adaptation of the feature extractor (METHOD.md, section 4): one step makes the features of a reconstruction
// more like those of its target, in train mode, in two passes (the reconstruction first).
//
//   AdamW<Cpu> optimizer(parameters, {.lr = 1e-4f, .weight_decay = 0.01f});
//   LossScale<Cpu> scale;
//   AdaptStep step = anomaly::adapt_step(ctx, extractor, optimizer, scale, reconstruction, target);
//
// If activations are half, a LossScale scales the loss: a step whose gradient overflows is skipped.
//
//   loss = sum over layer1 ... layer3 of the mean over images of 1 - cos(f(reconstruction), f(target)), flattened

#include <utility>

#include "d3ad/autograd/adamw.hpp"
#include "d3ad/autograd/loss_scale.hpp"
#include "d3ad/models/resnet.hpp"

namespace d3ad::anomaly {

struct AdaptStep {
  double loss;           // before it
  double gradient_norm;  // infinite or NaN if it did not fit in half, and no step was made
};

// reconstruction, target [n, h, w, 3], normalised as the network takes them (imagenet_input). Moves weights and
// running statistics.
template <class Device>
AdaptStep adapt_step(Context<Device>& ctx, const ResNet<Device>& extractor, AdamW<Device>& optimizer,
                     LossScale<Device>& scale, Value<Real<Device>, Device> reconstruction,
                     Value<Real<Device>, Device> target) {
  optimizer.zero_gradients(ctx);
  Tape<Device> tape(ctx);
  const auto f = extractor.features(tape, std::move(reconstruction), /*training=*/true);
  const auto g = extractor.features(tape, std::move(target), /*training=*/true);
  auto loss = fn::cosine_loss(tape, f[0], g[0]);
  for (std::size_t layer = 1; layer < 3; ++layer)
    loss = fn::add(tape, std::move(loss), fn::cosine_loss(tape, f[layer], g[layer]));
  tape.backward(loss, scale.value());
  const double norm =
      optimizer.step(ctx, {.gradient_scale = 1.0 / double{scale.value()}, .may_overflow = LossScale<Device>::kScales});
  scale.keeps(norm);
  return {fn::item(loss), norm};
}

}  // namespace d3ad::anomaly
