#pragma once
// Copies a batch to the device and its results back, while the device computes another batch.
//
//   StagingPlace<Device> place;                     kBatchesAhead<Device> + 1 of them, used in turns
//   place.reserve(ctx, inputs, results);            numbers of this batch; allocates if it is the largest yet
//   float* host = place.inputs();                   for the batch's numbers
//   auto x = place.send(ctx);                       the same on the device, for what is launched from now on
//   auto out = place.results();                     memory of the device for what is launched from now on to write to
//   place.fetch(ctx);                               what was launched until now has made the results: sends them back
//   const float* found = place.wait();              waits for them; valid until the next fetch
//
// The first four calls may be repeated without the others, so that a batch can be abandoned. Only wait() waits for the
// device to compute. If a device does not compute asynchronously, everything is done when a call returns, and one place
// is enough. The variants are in backend/<device>/staging.hpp.

#include "d3ad/core/tensor.hpp"

namespace d3ad {

template <class Device>
inline constexpr int kBatchesAhead = 0;
template <class T>
inline constexpr int kBatchesAhead<CudaOf<T>> = 1;

template <class Device>
class StagingPlace;

}  // namespace d3ad
