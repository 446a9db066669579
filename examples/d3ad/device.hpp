#pragma once
// Where a command computes: --device and --precision become a context.
//
//   on_device(o.common, [&]<class Device>(Context<Device>& ctx) { Detector<Device> detector(ctx, model); ... });
//
// The work is a template over the device, and is compiled for each there is: the CPU, and, if the program is built
// with CUDA, an NVIDIA GPU with activations in float (TF32 too), half and bfloat16. What was asked for is what happens:
// a device that is not there, or an option that is another device's, is an error.

#include <d3ad/backend/ops.hpp>
#include <string>

#include "program.hpp"

namespace program {

// The GPU that "cuda" or "cuda:N" names; without N that of the process' place on its machine (mpirun), else the first.
int gpu_number(const std::string& device);

// Throws d3ad::Error if options of the CPU are given for a GPU.
void check_gpu_options(const CommonOptions& common);

template <class Work>
void on_device(const CommonOptions& common, Work&& work) {
  if (common.device == "cpu") {
    D3AD_CHECK(common.precision == "float" || common.precision == "bfloat16", "--precision ", common.precision,
               " is a GPU's; on the CPU it is float or bfloat16");
    d3ad::Context<d3ad::Cpu> ctx({.threads = common.threads});
    const CommonOptions::Planned planned(common, ctx);
    work(ctx);
    planned.save();
    return;
  }
  check_gpu_options(common);
#if defined(D3AD_CUDA)
  const d3ad::cuda::ContextBase::Options options{
      .device = gpu_number(common.device), .tf32 = common.precision == "tf32", .threads = common.threads};
  const auto run = [&]<class Device>(Device) {
    d3ad::Context<Device> ctx(options);
    work(ctx);
    ctx.synchronize();
  };
  if (common.precision == "half") return run(d3ad::CudaHalf());
  if (common.precision == "bfloat16") return run(d3ad::CudaBfloat16());
  run(d3ad::Cuda());
#else
  d3ad::fail("--device ", common.device, ": this d3ad was built without CUDA; configure it with -DD3AD_CUDA=ON");
#endif
}

}  // namespace program
