#pragma once
// Owners of the CUDA runtime's handles: streams, events, and host memory that the device copies from and to while it
// computes. They can be moved but not copied.
//
//   cuda::Stream stream(cuda::Stream::Kind::with_default), other(cuda::Stream::Kind::apart);
//   cuda::Event done;
//   done.record(stream.get());
//   done.wait(other.get());       // what is launched on `other` from now on waits for `stream`

#include <cuda_runtime.h>

#include <cstddef>
#include <memory>
#include <type_traits>

#include "d3ad/backend/cuda/check.hpp"

namespace d3ad::cuda {

class Stream {
 public:
  // with_default: in order with the default stream, on which plain copies are made (memory.hpp); apart: independent.
  enum class Kind { with_default, apart };

  explicit Stream(Kind kind) {
    cudaStream_t stream = nullptr;
    D3AD_CUDA_CHECK(
        cudaStreamCreateWithFlags(&stream, kind == Kind::apart ? cudaStreamNonBlocking : cudaStreamDefault));
    stream_.reset(stream);
  }
  cudaStream_t get() const { return stream_.get(); }
  void synchronize() const { D3AD_CUDA_CHECK(cudaStreamSynchronize(get())); }

 private:
  struct Free {
    void operator()(cudaStream_t stream) const noexcept { ignore(cudaStreamDestroy(stream)); }
  };
  std::unique_ptr<std::remove_pointer_t<cudaStream_t>, Free> stream_;
};

class Event {
 public:
  Event() {
    cudaEvent_t event = nullptr;
    D3AD_CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    event_.reset(event);
  }
  cudaEvent_t get() const { return event_.get(); }
  void record(cudaStream_t stream) const { D3AD_CUDA_CHECK(cudaEventRecord(get(), stream)); }
  // What is launched on `stream` from now on waits for the record.
  void wait(cudaStream_t stream) const { D3AD_CUDA_CHECK(cudaStreamWaitEvent(stream, get(), 0)); }
  // The host waits for the record; it returns at once if there was none.
  void synchronize() const { D3AD_CUDA_CHECK(cudaEventSynchronize(get())); }

 private:
  struct Free {
    void operator()(cudaEvent_t event) const noexcept { ignore(cudaEventDestroy(event)); }
  };
  std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, Free> event_;
};

// Page-locked memory of the host: it can be copied while host and device compute.
class PinnedMemory {
 public:
  PinnedMemory() = default;
  explicit PinnedMemory(std::size_t bytes) : bytes_(bytes) {
    void* p = nullptr;
    D3AD_CUDA_CHECK(cudaMallocHost(&p, bytes));
    data_.reset(static_cast<std::byte*>(p));
  }
  std::byte* data() const { return data_.get(); }
  std::size_t size() const { return bytes_; }

 private:
  struct Free {
    void operator()(std::byte* p) const noexcept { ignore(cudaFreeHost(p)); }
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t bytes_ = 0;
};

}  // namespace d3ad::cuda
