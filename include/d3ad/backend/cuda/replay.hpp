#pragma once
// CUDA variant of core/replay.hpp: a CUDA graph for each key.
//
// The first run with a key is an ordinary one, in which memory is allocated and the libraries choose their kernels. The
// second run is captured as a graph, which is launched then and in every further run. The contexts of the graphs have
// memory of their own. They share the stream and the kept objects of the context that they were made with, which has to
// outlive the replay.

#include <cuda_runtime.h>

#include <memory>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/core/replay.hpp"

namespace d3ad {

namespace cuda {

// The work that was captured on a stream, which is launched as a whole.
class Graph {
 public:
  template <class Body>
  static Graph capture(cudaStream_t stream, Body&& body) {
    D3AD_CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    cudaGraph_t graph = nullptr;
    try {
      body();
    } catch (...) {
      ignore(cudaStreamEndCapture(stream, &graph));
      if (graph) ignore(cudaGraphDestroy(graph));
      throw;
    }
    D3AD_CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
    const std::unique_ptr<std::remove_pointer_t<cudaGraph_t>, Free> owner(graph);
    Graph out;
    cudaGraphExec_t executable = nullptr;
    D3AD_CUDA_CHECK(cudaGraphInstantiate(&executable, graph, 0));
    out.executable_.reset(executable);
    return out;
  }
  void launch(cudaStream_t stream) const { D3AD_CUDA_CHECK(cudaGraphLaunch(executable_.get(), stream)); }

 private:
  struct Free {
    void operator()(cudaGraph_t graph) const noexcept { ignore(cudaGraphDestroy(graph)); }
  };
  struct FreeExecutable {
    void operator()(cudaGraphExec_t graph) const noexcept { ignore(cudaGraphExecDestroy(graph)); }
  };
  std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, FreeExecutable> executable_;
};

}  // namespace cuda

template <class T>
class Replay<CudaOf<T>> {
 public:
  template <class Body>
  void run(Context<CudaOf<T>>& ctx, const std::string& key, Body&& body) {
    auto& entry = entries_[key];
    if (!entry) {
      auto made = std::make_unique<Entry>(ctx);
      body(made->ctx);
      made->ctx.arena.settle();
      entry = std::move(made);
      return;
    }
    if (!entry->graph)
      entry->graph = std::make_unique<cuda::Graph>(cuda::Graph::capture(ctx.stream(), [&] { body(entry->ctx); }));
    entry->graph->launch(ctx.stream());
  }

 private:
  struct Entry {
    explicit Entry(Context<CudaOf<T>>& of) : ctx(of, cuda::kShareStream) {}
    Context<CudaOf<T>> ctx;
    std::unique_ptr<cuda::Graph> graph;
  };
  std::unordered_map<std::string, std::unique_ptr<Entry>> entries_;
};

}  // namespace d3ad
