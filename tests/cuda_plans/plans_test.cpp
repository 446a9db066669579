// cuDNN, asked for engines as on each GPU that the kernels are compiled for, without one (d3ad/backend/cuda/cudnn.hpp
// here): for the paper's networks, inference and training, and for convolutions and attention of every kind that the
// operations allow. Nothing is computed; what is shown is that on that GPU nothing would be refused, and by what it
// would be computed.
//
//   build/tests/cuda_plans                               prints a line for each GPU and type
//   D3AD_TEST_ALL_PLANS=1 build/tests/cuda_plans         more sizes, ten minutes

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "bench/gpu/networks.hpp"
#include "d3ad/backend/cuda/cudnn.hpp"

namespace cuda_plans_test {

using namespace d3ad;

bool all() { return std::getenv("D3AD_TEST_ALL_PLANS") != nullptr; }

// While it is there, work on the emulated device is not done.
struct Dry {
  Dry() { emulation::dry() = true; }
  ~Dry() { emulation::dry() = false; }
};

// visit(type's number, its name, tf32, the GPU) for all that there are.
template <class Visit>
void for_each_gpu_and_type(Visit&& visit) {
  for (const auto& gpu : plans::gpus()) {
    const bool like_another = gpu.architecture == 86 || gpu.architecture == 89;  // 80 and 120
    if (like_another && !all()) continue;
    visit(float{}, "float", false, gpu);
    visit(float{}, "tf32", true, gpu);
    visit(half{}, "half", false, gpu);
    if (gpu.has_bfloat16()) visit(bfloat16{}, "bfloat16", false, gpu);
  }
}

struct Summary {
  int convolutions = 0, on_tensor_cores = 0, attention = 0;
  std::int64_t workspace = 0;
};
Summary summary(plans::Target& target) {
  Summary s;
  for (const auto& [plan, made] : target.plans()) {
    s.convolutions += !made.attention;
    s.on_tensor_cores += !made.attention && made.tensor_cores;
    s.attention += made.attention;
    s.workspace = std::max(s.workspace, made.workspace);
  }
  return s;
}

template <class T>
gpu::Networks<CudaOf<T>>& networks() {
  static gpu::Networks<CudaOf<T>> nets{gpu::Options{}};
  return nets;
}

TEST_CASE("cuDNN has an engine for everything in the paper's networks, on every GPU") {
  const Dry dry;
  std::printf("%-24s %-9s %12s %13s %10s %14s %8s\n", "GPU", "type", "convolutions", "tensor cores", "attention",
              "workspace MiB", "seconds");
  for_each_gpu_and_type([&]<class T>(T, const char* type, bool tf32, const plans::Gpu& gpu) {
    const auto start = std::chrono::steady_clock::now();
    plans::Target target(gpu);
    Context<CudaOf<T>> ctx({.tf32 = tf32});
    const auto run = [&](const std::string& row, int batch) {
      INFO(gpu.name, ", ", type, ", ", row, " of ", batch);
      CHECK_NOTHROW(gpu::make_row(networks<T>(), row, {0, batch})(ctx));
    };
    for (const int batch : all() ? std::vector{1, 8, 30} : std::vector{8})
      for (const char* row : {"resnet34", "vae_encoder", "vae_decoder", "unet", "loop"}) run(row, batch);
    run("train_step", 8);
    const Summary s = summary(target);
    std::printf("%-24s %-9s %12d %13d %10d %14.1f %8.1f\n", gpu.name.c_str(), type, s.convolutions, s.on_tensor_cores,
                s.attention, static_cast<double>(s.workspace) / (1 << 20),
                std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    std::fflush(stdout);
    INFO(gpu.name, ", ", type);
    CHECK(s.convolutions >= 80);
    // Float is float; half types and TF32 are there for their speed.
    const bool exact = std::is_same_v<T, float> && !tf32, has_them = !tf32 || gpu.architecture >= 80;
    if (exact) CHECK(s.on_tensor_cores == 0);
    if (!exact && has_them) CHECK(s.on_tensor_cores >= 0.8 * s.convolutions);
    if (!std::is_same_v<T, float> && gpu.architecture >= 80) CHECK(s.attention > 0);
  });
}

// A convolution on memory that nobody looks at, `shift` elements behind an aligned address.
template <class T>
std::string refusal(Context<CudaOf<T>>& ctx, cuda::ConvPass pass, const cuda::Convolution& c, int shift) {
  T* const at = reinterpret_cast<T*>(std::uintptr_t{1} << 20) + shift;
  try {
    if (pass == cuda::ConvPass::forward) cuda::convolve<T>(ctx, c, at, at, at);
    if (pass == cuda::ConvPass::backward_data) cuda::convolve_backward_data<T>(ctx, c, at, at, at);
    if (pass == cuda::ConvPass::backward_weights) cuda::convolve_backward_weights<T>(ctx, c, at, at, at);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("cuDNN has an engine for a convolution of any size, on every GPU") {
  const Dry dry;
  std::vector<std::pair<int, int>> sizes{{1, 1}, {3, 5}, {4, 8}, {12, 32}};
  if (all())
    for (const int in : {1, 3, 4, 5, 8, 12, 32})
      for (const int out : {1, 3, 4, 5, 8, 12, 32}) sizes.emplace_back(in, out);
  for_each_gpu_and_type([&]<class T>(T, const char* type, bool tf32, const plans::Gpu& gpu) {
    const bool apart = gpu.architecture == 75 || gpu.architecture == 90 || gpu.architecture == 120;
    if (!apart && !all()) return;  // near enough to one of these
    plans::Target target(gpu);
    Context<CudaOf<T>> ctx({.tf32 = tf32});
    int asked = 0, refused = 0;
    const auto ask = [&](std::int64_t in, std::int64_t out, int shift, ops::Conv2d config) {
      const Shape x{2, 9, 10, in}, w{out, config.kernel, config.kernel, in};
      const cuda::Convolution c{x, w, ops::conv2d_shape(x, w, config), config};
      for (const auto pass :
           {cuda::ConvPass::forward, cuda::ConvPass::backward_data, cuda::ConvPass::backward_weights}) {
        ++asked;
        const std::string why = refusal(ctx, pass, c, shift);
        if (why.empty()) continue;
        if (++refused <= 3) MESSAGE(gpu.name, ", ", type, ", addresses ", shift, " off: ", why);
      }
    };
    for (const ops::Conv2d config :
         {ops::Conv2d{.kernel = 1}, ops::Conv2d{.kernel = 1, .stride = 2}, ops::Conv2d{.kernel = 3, .pad = 1},
          ops::Conv2d{.kernel = 3, .stride = 2, .pad = 1},
          ops::Conv2d{.kernel = 3, .stride = 2, .pad = 0, .pad_end = 1},
          ops::Conv2d{.kernel = 7, .stride = 2, .pad = 3}})
      for (const auto& [in, out] : sizes)
        for (const int shift : {0, 1}) ask(in, out, shift, config);
    INFO(gpu.name, ", ", type, ": ", refused, " of ", asked, " are refused");
    CHECK(refused == 0);
  });
}

TEST_CASE("cuDNN takes attention of half types in one pass, from compute capability 8.0 on") {
  const Dry dry;
  for_each_gpu_and_type([&]<class T>(T, const char* type, bool, const plans::Gpu& gpu) {
    if constexpr (std::is_same_v<T, float>) {
      return;
    } else {
      plans::Target target(gpu);
      Context<CudaOf<T>> ctx;
      T* const at = reinterpret_cast<T*>(std::uintptr_t{1} << 20);
      for (const int width : all() ? std::vector{32, 64, 128} : std::vector{64})
        for (const int positions : all() ? std::vector{64, 256, 1024} : std::vector{256}) {
          INFO(gpu.name, ", ", type, ", ", positions, " positions of ", width);
          const cuda::FusedAttention a{.images = 2, .positions = positions, .heads = 4, .width = width, .scale = 0.1f};
          CHECK(cuda::fused_attention<T>(ctx, a, at, at) == (gpu.architecture >= 80));
        }
    }
  });
}

}  // namespace cuda_plans_test
