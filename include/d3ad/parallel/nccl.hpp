#pragma once
// Gradients of GPUs summed by NCCL, one process for each GPU. Needs CUDA and NCCL: link d3ad::nccl, which defines
// D3AD_NCCL=1. Without it this header is empty and gradients are summed in host memory (parallel/gradient_sum.hpp).
//
//   MpiGroup group;
//   Context<Cuda> ctx({.device = group.local_rank()});
//   UNetTrainer<Cuda> trainer(ctx, unet, store, schedule, options, group);       // uses NCCL without further calls
//
// This serves any device whose context has a CUDA stream(). Buckets lie on the GPU. Sums run on a stream of their own
// beside the backward pass; an event keeps it in order with the context's stream. The processes find each other through
// the group. The host polls events and NCCL's own errors until the group's deadline is over, and then aborts the
// communicator, so that no process hangs. NCCL's order of sums depends on the number of GPUs and on how they are
// connected, not on time: the same machine gives the same bits.

#if defined(D3AD_NCCL) && D3AD_NCCL

#include <cuda_runtime.h>
#include <nccl.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/tensor.hpp"
#include "d3ad/parallel/gradient_sum.hpp"
#include "d3ad/parallel/group.hpp"

namespace d3ad {

namespace nccl {

template <class Device>
concept OnStream = requires(Context<Device>& ctx) {
  { ctx.stream() } -> std::same_as<cudaStream_t>;
};

inline void check(cudaError_t result, const char* call) {
  D3AD_CHECK(result == cudaSuccess, "CUDA: ", call, " failed: ", cudaGetErrorString(result));
}

// The GPUs of a group, as NCCL knows them, and the stream on which they talk. Made by all processes together, each with
// its GPU as the thread's present one.
class Communicator {
 public:
  explicit Communicator(Group& group) : group_(&group) {
    ncclUniqueId id{};
    if (group.first()) check(ncclGetUniqueId(&id), "ncclGetUniqueId");
    group.broadcast(&id, sizeof(id));
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;  // calls return at once and are polled
    ncclComm_t comm = nullptr;
    const ncclResult_t result = ncclCommInitRankConfig(&comm, group.size(), id, group.rank(), &config);
    comm_.reset(comm);
    finish(result, "ncclCommInitRankConfig");
    cudaStream_t stream = nullptr;
    nccl::check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    stream_.reset(stream);
  }

  cudaStream_t stream() const { return stream_.get(); }

  // In place, on stream().
  void sum(float* data, std::size_t count) {
    finish(ncclAllReduce(data, data, count, ncclFloat, ncclSum, comm_.get(), stream()), "ncclAllReduce");
  }
  // Throws if a process or a connection has failed.
  void look_after() const {
    ncclResult_t state = ncclSuccess;
    check(ncclCommGetAsyncError(comm_.get(), &state), "ncclCommGetAsyncError");
    if (state != ncclInProgress) check(state, "a sum");
  }

 private:
  static void check(ncclResult_t result, const char* call) {
    D3AD_CHECK(result == ncclSuccess, "NCCL: ", call, " failed: ", ncclGetErrorString(result),
               "; NCCL_DEBUG=WARN in the environment tells more");
  }
  void finish(ncclResult_t result, const char* call) const {
    if (result != ncclInProgress) return check(result, call);
    ncclResult_t state = ncclInProgress;
    group_->until(
        [&] {
          check(ncclCommGetAsyncError(comm_.get(), &state), "ncclCommGetAsyncError");
          return state != ncclInProgress;
        },
        call);
    check(state, call);
  }

  // Not ncclCommDestroy, which waits for the others: by then all sums are done, or one of the others is gone.
  struct Abort {
    void operator()(ncclComm_t comm) const noexcept { ncclCommAbort(comm); }
  };
  struct Destroy {
    void operator()(cudaStream_t stream) const noexcept { static_cast<void>(cudaStreamDestroy(stream)); }
  };
  Group* group_;
  std::unique_ptr<std::remove_pointer_t<cudaStream_t>, Destroy> stream_;
  std::unique_ptr<std::remove_pointer_t<ncclComm_t>, Abort> comm_;  // goes first
};

template <class Device>
class OnGpu : public BucketSum<Device> {
 public:
  OnGpu(Group& group, Context<Device>& ctx, std::size_t count)
      : ctx_(ctx),
        communicator_(ctx.template kept<Communicator>([&] { return Communicator(group); })),
        data_({.n = static_cast<std::int64_t>(count)}) {
    for (auto* event : {&complete_, &done_}) {
      cudaEvent_t made = nullptr;
      check(cudaEventCreateWithFlags(&made, cudaEventDisableTiming), "cudaEventCreateWithFlags");
      event->reset(made);
    }
  }
  void take(std::size_t offset, View<const float, Device> gradient) override {
    copy(data_.data() + offset, gradient.data, gradient.size());
  }
  void start() override {
    check(cudaEventRecord(complete_.get(), ctx_.stream()), "cudaEventRecord");
    check(cudaStreamWaitEvent(communicator_.stream(), complete_.get(), 0), "cudaStreamWaitEvent");
    communicator_.sum(data_.data(), static_cast<std::size_t>(data_.size()));
    check(cudaEventRecord(done_.get(), communicator_.stream()), "cudaEventRecord");
  }
  bool progress() override {
    const cudaError_t state = cudaEventQuery(done_.get());
    if (state == cudaSuccess) return true;
    if (state != cudaErrorNotReady) check(state, "cudaEventQuery");
    communicator_.look_after();
    return false;
  }
  void give(std::size_t offset, View<float, Device> gradient) override {
    copy(gradient.data, data_.data() + offset, gradient.size());
  }

 private:
  void copy(float* to, const float* from, std::int64_t count) {
    check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(count) * sizeof(float), cudaMemcpyDeviceToDevice,
                          ctx_.stream()),
          "cudaMemcpyAsync");
  }
  struct Destroy {
    void operator()(cudaEvent_t event) const noexcept { static_cast<void>(cudaEventDestroy(event)); }
  };
  using Event = std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, Destroy>;

  Context<Device>& ctx_;
  Communicator& communicator_;
  Tensor<float, Device> data_;
  Event complete_, done_;  // the bucket is full; its sum is done
};

}  // namespace nccl

template <class Device>
requires nccl::OnStream<Device>
struct BucketSums<Device> {
  static std::unique_ptr<BucketSum<Device>> make(Group& group, Context<Device>& ctx, std::size_t count) {
    return std::make_unique<nccl::OnGpu<Device>>(group, ctx, count);
  }
};

}  // namespace d3ad

#endif
