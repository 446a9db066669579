#pragma once
// CUDA variant of core/staging.hpp: page-locked memory of the host, and a stream for the copies of each direction.
//
// The streams of the copies are independent of all others; only events order them with the context's stream:
//
//   event       is recorded when                      what waits for it
//   arrived_    the inputs are on the device          the context's stream; the host, before it fills them again
//   computed_   all that reads the inputs, or makes   the inputs' stream, before the next ones are copied there;
//               the results, is done                  the results' stream, before they are copied back
//   returned_   the results are on the host           the host

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/backend/cuda/stream.hpp"
#include "d3ad/core/staging.hpp"

namespace d3ad {

namespace cuda {

// The streams of the copies to the device and back.
struct CopyStreams {
  Stream to{Stream::Kind::apart}, back{Stream::Kind::apart};
};

}  // namespace cuda

template <class T>
class StagingPlace<CudaOf<T>> {
 public:
  using Device = CudaOf<T>;

  StagingPlace() = default;
  StagingPlace(const StagingPlace&) = delete;
  StagingPlace& operator=(const StagingPlace&) = delete;
  ~StagingPlace() {
    try {
      settle();  // copies may still be running
    } catch (...) {
      // the device has failed, which its next use reports
    }
  }

  void reserve(Context<Device>& ctx, std::int64_t inputs, std::int64_t results) {
    streams_ =
        ctx.template kept<std::shared_ptr<cuda::CopyStreams>>([] { return std::make_shared<cuda::CopyStreams>(); });
    input_bytes_ = static_cast<std::size_t>(inputs) * sizeof(float);
    result_bytes_ = static_cast<std::size_t>(results) * sizeof(float);
    if (inputs <= inputs_.size() && results <= results_.size()) return;
    settle();
    if (inputs > inputs_.size()) {
      inputs_ = Tensor<float, Device>({.c = inputs});
      host_inputs_ = cuda::PinnedMemory(input_bytes_);
    }
    if (results > results_.size()) {
      results_ = Tensor<float, Device>({.c = results});
      host_results_ = cuda::PinnedMemory(result_bytes_);
    }
  }
  float* inputs() {
    arrived_.synchronize();
    return reinterpret_cast<float*>(host_inputs_.data());
  }
  View<const float, Device> send(Context<Device>& ctx) {
    if (in_use_) computed_.record(ctx.stream());  // the work of an abandoned batch was launched before
    computed_.wait(streams_->to.get());
    D3AD_CUDA_CHECK(
        cudaMemcpyAsync(inputs_.data(), host_inputs_.data(), input_bytes_, cudaMemcpyHostToDevice, streams_->to.get()));
    arrived_.record(streams_->to.get());
    arrived_.wait(ctx.stream());
    in_use_ = true;
    return inputs_.view();
  }
  // Copies of the results of an abandoned batch may still read this memory; their results are never used.
  View<float, Device> results() { return results_.view(); }
  void fetch(Context<Device>& ctx) {
    computed_.record(ctx.stream());
    in_use_ = false;
    computed_.wait(streams_->back.get());
    D3AD_CUDA_CHECK(cudaMemcpyAsync(host_results_.data(), results_.data(), result_bytes_, cudaMemcpyDeviceToHost,
                                    streams_->back.get()));
    returned_.record(streams_->back.get());
  }
  const float* wait() {
    returned_.synchronize();
    return reinterpret_cast<const float*>(host_results_.data());
  }

 private:
  void settle() {
    arrived_.synchronize();
    returned_.synchronize();
  }

  std::shared_ptr<cuda::CopyStreams> streams_;  // shared by the places of a context, and outlives them
  Tensor<float, Device> inputs_, results_;
  cuda::PinnedMemory host_inputs_, host_results_;
  std::size_t input_bytes_ = 0, result_bytes_ = 0;  // of this batch
  cuda::Event arrived_, computed_, returned_;
  bool in_use_ = false;  // inputs were sent, and fetch() was not called since
};

}  // namespace d3ad
