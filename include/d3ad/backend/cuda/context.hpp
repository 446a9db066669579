#pragma once
// Context<CudaOf<T>>: stream and memory of an NVIDIA GPU, and what its operations make once and keep.
//
//   Context<Cuda> ctx;                        // the first GPU; all numbers are float
//   Context<Cuda> tf32({.tf32 = true});       // products of float on tensor cores, with operands rounded to 10 bits
//   Context<CudaHalf> half;                   // activations in half, sums in float
//   cudaStream_t stream = ctx.stream();       // everything is launched on it; only copies to the host wait for it
//
// Without a GPU the constructor throws an Error that says so. A thread that uses contexts of several GPUs calls use()
// of a context before it changes to it.

#include <cuda_runtime.h>

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "d3ad/backend/cuda/check.hpp"
#include "d3ad/backend/cuda/memory.hpp"
#include "d3ad/backend/cuda/stream.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/keyed_cache.hpp"
#include "d3ad/core/value.hpp"

namespace d3ad {

namespace cuda {

// The number of GPUs. Throws if there is none.
inline int device_count() {
  int count = 0;
  D3AD_CUDA_CHECK(cudaGetDeviceCount(&count));
  if (count == 0) check(cudaErrorNoDevice, "cudaGetDeviceCount");
  return count;
}

// Constructs a context that shares the stream and the kept objects of another one, with memory of its own.
struct ShareStream {};
inline constexpr ShareStream kShareStream;

// What contexts of all types have.
class ContextBase {
 public:
  struct Options {
    int device = 0;     // which GPU, as CUDA counts them
    bool tf32 = false;  // products of float may be made of TF32 (operands of 10 bits instead of 23)
    int threads = 0;    // of the host, for what the CPU computes; 0: one for each core
  };

  explicit ContextBase(Options options) : options_(checked(options)), shared_(std::make_shared<Shared>()) {}
  ContextBase(const ContextBase& other, ShareStream) : options_(other.options_), shared_(other.shared_) {}
  ContextBase(const ContextBase&) = delete;
  ContextBase& operator=(const ContextBase&) = delete;

  int device() const { return options_.device; }
  bool tf32() const { return options_.tf32; }
  int threads() const { return options_.threads; }
  cudaStream_t stream() const { return shared_->stream.get(); }
  // Makes the context's GPU the calling thread's.
  void use() const { D3AD_CUDA_CHECK(cudaSetDevice(options_.device)); }
  // Waits until everything that was launched is done: for measurements, and before other code reads the memory.
  void synchronize() const { shared_->stream.synchronize(); }

  // The context's one object of type T, which an op makes once and keeps (core/keyed_cache.hpp). It is
  // default-constructed, or made by a function at the first call.
  template <class T, class... Make>
  T& kept(Make&&... make) {
    return shared_->slots.get<T>(std::forward<Make>(make)...);
  }

 private:
  static Options checked(Options options) {
    const int count = device_count();
    D3AD_CHECK(options.device >= 0 && options.device < count, "CUDA: GPU ", options.device, " was asked for, there ",
               count == 1 ? "is " : "are ", count, ", counted from 0");
    D3AD_CUDA_CHECK(cudaSetDevice(options.device));
    return options;
  }

  struct Shared {
    Stream stream{Stream::Kind::with_default};
    TypedSlots slots;
  };

  Options options_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace cuda

template <class T>
class Context<CudaOf<T>> : public cuda::ContextBase {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, half> || std::is_same_v<T, bfloat16>,
                "activations on a GPU are float, half or bfloat16");

 public:
  using device = CudaOf<T>;

  Context() : Context(Options{}) {}
  explicit Context(Options options) : ContextBase(options) {}
  Context(const Context& other, cuda::ShareStream share) : ContextBase(other, share) {}

  Arena<CudaOf<T>> arena;
};

}  // namespace d3ad
