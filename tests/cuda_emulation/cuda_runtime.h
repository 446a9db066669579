#pragma once
// A CUDA runtime that computes on the CPU, so that kernels and all that launches them can be tested, and watched by
// sanitizers, where there is no GPU. Put this folder before all others and compile .cu files as C++:
//
//   g++ -std=c++20 -Itests/cuda_emulation -Iinclude -I. -x c++ kernels/elementwise.cu ...
//
// It is one device. Memory is the host's, filled with 0xff (a NaN in every float type) when it is taken. A launch runs
// block after block; the threads of a block are fibers that change at barriers and shuffles (fibers.h). Blocks' shared
// memory begins as 0xff too, and every other launch starts its threads from the last to the first, so that what only
// works in one order does not. A barrier that not all threads reach is an error. While a stream captures, its launches
// are kept and run when the graph is launched.
//
// Of the streams of both kinds (with the default stream, or apart) those of one run at once and those of the other as
// late as they may: when an event of theirs is waited for, or they are (emulation::late()). Work that needs what
// another stream does and does not wait for it finds something else, under one order or the other. emulation::waits()
// and allocations() count when the host had to wait, and how often memory was taken. While emulation::dry(), nothing
// that is put on a stream is done: what launches it can be followed at any size.

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <new>
#include <vector>

#include "fibers.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static
#define D3AD_CUDA_EMULATION 1

struct float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100
};
inline const char* cudaGetErrorName(cudaError_t) { return "cudaErrorOfTheEmulation"; }
inline const char* cudaGetErrorString(cudaError_t e) {
  return e == cudaErrorMemoryAllocation ? "out of memory" : "error of the emulation";
}

namespace emulation {

using Work = std::function<void()>;

enum class Kind { with_default, apart };
// Which streams run as late as they may.
enum class Late { with_default, apart, all };
inline Late& late() {
  static Late which = Late::apart;
  return which;
}
inline std::int64_t& waits() {
  static std::int64_t count = 0;
  return count;
}
inline std::int64_t& allocations() {
  static std::int64_t count = 0;
  return count;
}

inline bool& dry() {
  static bool nothing_is_done = false;
  return nothing_is_done;
}

// What was put on a stream, in order. Outlives the stream where an event refers to it.
struct Queue {
  Kind kind;
  std::deque<Work> left;
  std::int64_t put = 0, run = 0;

  void add(Work work) {
    left.push_back(std::move(work));
    ++put;
    const Late which = late();
    if (which != Late::all && which != (kind == Kind::apart ? Late::apart : Late::with_default)) run_until(put);
  }
  // Its first `count` pieces of work are done then.
  void run_until(std::int64_t count) {
    while (run < count) {
      const Work work = std::move(left.front());
      left.pop_front();
      ++run;
      work();
    }
  }
};
inline std::vector<std::weak_ptr<Queue>>& queues() {
  static std::vector<std::weak_ptr<Queue>> all;
  return all;
}
struct Stream {
  std::shared_ptr<Queue> queue;
  bool capturing = false;
  std::vector<Work> captured;
};
// The place in a queue where it was recorded.
struct Event {
  std::shared_ptr<Queue> queue;
  std::int64_t place = 0;
};
struct Graph {
  std::vector<Work> work;
};

// The default stream's part, which waits for the streams of its kind; with apart: for all.
inline void finish(bool apart) {
  for (const auto& weak : std::vector(queues()))
    if (const auto queue = weak.lock(); queue && (apart || queue->kind == Kind::with_default))
      queue->run_until(queue->put);
}

// What is put on a stream; null: on the default one. Stands for library calls too.
inline void enqueue(Stream* stream, Work work) {
  if (dry()) return;
  if (!stream) {
    finish(false);
    work();
  } else if (stream->capturing) {
    stream->captured.push_back(std::move(work));
  } else {
    stream->queue->add(std::move(work));
  }
}

inline dim3 thread_index, block_index, block_size, grid_size;

inline std::int64_t& launches() {
  static std::int64_t count = 0;
  return count;
}

// Runs kernel() for every thread of the grid.
inline void run_grid(dim3 grid, dim3 block, std::size_t shared, const Work& kernel) {
  grid_size = grid, block_size = block;
  const bool backwards = launches()++ % 2 == 1;
  const auto threads = static_cast<int>(block.x * block.y * block.z);
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        block_index = {x, y, z};
        Block::present().run(threads, shared, backwards, [&](int) {
          if (kernel) kernel();
        });
      }
}

}  // namespace emulation

#define threadIdx ::emulation::thread_index_of_fiber()
#define blockIdx ::emulation::block_index
#define blockDim ::emulation::block_size
#define gridDim ::emulation::grid_size

namespace emulation {
// The index changes with the fiber.
inline dim3 thread_index_of_fiber() {
  const auto t = static_cast<unsigned>(Block::present().thread());
  return {t % block_size.x, t / block_size.x % block_size.y, t / block_size.x / block_size.y};
}
}  // namespace emulation

inline void __syncthreads() { ::emulation::Block::present().wait_for_block(); }
inline void __syncwarp(unsigned = 0xffffffffu) { ::emulation::Block::present().wait_for_warp(); }

namespace emulation {
template <class T>
T exchange(T value, int from) {
  static_assert(sizeof(T) <= 8);
  return Block::present().exchange(value, from);
}
}  // namespace emulation
template <class T>
T __shfl_sync(unsigned, T value, int lane, int width = 32) {
  const int self = ::emulation::Block::present().thread() % 32;
  return ::emulation::exchange(value, self / width * width + lane % width);
}
template <class T>
T __shfl_xor_sync(unsigned, T value, int mask, int = 32) {
  return ::emulation::exchange(value, (::emulation::Block::present().thread() % 32) ^ mask);
}
template <class T>
T __shfl_down_sync(unsigned, T value, unsigned by, int width = 32) {
  const int self = ::emulation::Block::present().thread() % 32, to = self + static_cast<int>(by);
  return ::emulation::exchange(value, to / width == self / width ? to : self);
}

inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
template <class T>
T __ldg(const T* p) {
  return *p;
}

using cudaStream_t = emulation::Stream*;
using cudaEvent_t = emulation::Event*;
using cudaGraph_t = emulation::Graph*;
using cudaGraphExec_t = emulation::Graph*;
enum cudaMemcpyKind {
  cudaMemcpyHostToHost,
  cudaMemcpyHostToDevice,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice,
  cudaMemcpyDefault
};
enum cudaStreamCaptureMode {
  cudaStreamCaptureModeGlobal,
  cudaStreamCaptureModeThreadLocal,
  cudaStreamCaptureModeRelaxed
};
enum cudaDeviceAttr {
  cudaDevAttrClockRate = 13,
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrMemoryClockRate = 36,
  cudaDevAttrGlobalMemoryBusWidth = 37,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76
};
constexpr unsigned cudaStreamDefault = 0, cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2, cudaEventDefault = 0;

inline cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
inline cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidValue; }
inline cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr what, int) {
  *value = what == cudaDevAttrMultiProcessorCount ? 4 : what == cudaDevAttrComputeCapabilityMajor ? 9 : 0;
  return cudaSuccess;
}
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaPeekAtLastError() { return cudaSuccess; }
inline cudaError_t cudaDeviceSynchronize() {
  ++emulation::waits();
  emulation::finish(true);
  return cudaSuccess;
}

template <class T>
cudaError_t cudaMalloc(T** p, std::size_t bytes) {
  if (bytes > (std::size_t{1} << 40)) return cudaErrorMemoryAllocation;
  *p = static_cast<T*>(::operator new (bytes, std::align_val_t{256}, std::nothrow));
  if (!*p) return cudaErrorMemoryAllocation;
  ++emulation::allocations();
  // Dry, numbers that are read back are zero; what is large is not touched, so that it may be larger than the host's.
  constexpr std::size_t kSmall = std::size_t{1} << 20;
  if (!emulation::dry() || bytes <= kSmall) std::memset(static_cast<void*>(*p), emulation::dry() ? 0 : 0xff, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaFree(void* p) {
  cudaDeviceSynchronize();
  ::operator delete (p, std::align_val_t{256});
  return cudaSuccess;
}
template <class T>
cudaError_t cudaMallocHost(T** p, std::size_t bytes) {
  return cudaMalloc(p, bytes);
}
inline cudaError_t cudaFreeHost(void* p) {
  ::operator delete (p, std::align_val_t{256});
  return cudaSuccess;
}
inline cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind) {
  ++emulation::waits();
  emulation::enqueue(nullptr, [=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                                   cudaStream_t stream = nullptr) {
  emulation::enqueue(stream, [=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream = nullptr) {
  emulation::enqueue(stream, [=] { std::memset(to, value, bytes); });
  return cudaSuccess;
}
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned flags) {
  const auto kind = flags == cudaStreamNonBlocking ? emulation::Kind::apart : emulation::Kind::with_default;
  *s = new emulation::Stream{std::make_shared<emulation::Queue>(emulation::Queue{kind, {}}), false, {}};
  emulation::queues().push_back((*s)->queue);
  return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t s) {
  ++emulation::waits();
  s->queue->run_until(s->queue->put);
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t s) {
  s->queue->run_until(s->queue->put);
  return delete s, cudaSuccess;
}
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) { return *e = new emulation::Event, cudaSuccess; }
inline cudaError_t cudaEventDestroy(cudaEvent_t e) { return delete e, cudaSuccess; }
inline cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s) {
  *e = {s->queue, s->queue->put};
  return cudaSuccess;
}
inline cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned = 0) {
  if (e->queue) emulation::enqueue(s, [event = *e] { event.queue->run_until(event.place); });
  return cudaSuccess;
}
inline cudaError_t cudaEventSynchronize(cudaEvent_t e) {
  if (!e->queue || e->queue->run >= e->place) return cudaSuccess;
  ++emulation::waits();
  e->queue->run_until(e->place);
  return cudaSuccess;
}
inline cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t, cudaEvent_t) { return *ms = 0, cudaSuccess; }

inline cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode) {
  return s->capturing = true, cudaSuccess;
}
inline cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t* graph) {
  *graph = new emulation::Graph{std::move(s->captured)};
  s->captured.clear();
  s->capturing = false;
  return cudaSuccess;
}
inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long = 0) {
  return *exec = new emulation::Graph(*graph), cudaSuccess;
}
inline cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t s) {
  emulation::enqueue(s, [work = exec->work] {
    for (const auto& w : work) w();
  });
  return cudaSuccess;
}
inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete graph, cudaSuccess; }
inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) { return delete exec, cudaSuccess; }
