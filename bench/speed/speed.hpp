#pragma once
// What the parts of the program `bench` share: its options, the machine's peaks, how a benchmark reports.
//
//   void register_ops(const Options&, const Peaks&);       each part registers its benchmarks
//   report(state, seconds, {.flops = ..., .bytes = ...}, peaks);
//
// Each benchmark verifies its result before it is timed: verify() skips one that is wrong, and the program then ends
// with 1.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <d3ad/backend/cpu/conv_plan.hpp>
#include <d3ad/d3ad.hpp>
#include <fstream>
#include <string>

namespace speed {

using namespace d3ad;
using V = Value<float, Cpu>;

struct Options {
  int threads = 0, image_size = 256;
  bool small = false, layers = false, paper = false;
};

// Of all threads together.
struct Peaks {
  double flops = 0, read = 0, copy = 0;  // a second; bytes a second, copying counts both ways
};
Peaks measure_peaks(int threads);

void register_ops(const Options&, const Peaks&);
void register_models(const Options&, const Peaks&);
void register_pipeline(const Options&, const Peaks&);
// Tables after the benchmarks, with --layers.
void print_layers(const Options&);

// Something did not verify.
inline bool failed = false;

using Clock = std::chrono::steady_clock;

// Seconds of the fastest of `times` calls, after one that makes what is made once.
template <class Work>
double best_of(int times, Work&& work) {
  work();
  double best = 1e30;
  for (int i = 0; i < times; ++i) {
    const auto start = Clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

// Times `work` as often as Google Benchmark asks; seconds of the fastest call.
template <class Work>
double timed(benchmark::State& state, Work&& work) {
  double best = 1e30;
  for (auto _ : state) {
    const auto start = Clock::now();
    work();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    state.SetIterationTime(seconds);
    best = std::min(best, seconds);
  }
  return best;
}

struct Work {
  double flops = 0, bytes = 0;
};
// GFLOP/s, GB/s and percent of the machine's peak: of arithmetic if the work has any, else of memory.
inline void report(benchmark::State& state, double seconds, Work work, const Peaks& peaks) {
  if (work.flops > 0) {
    state.counters["GFLOP/s"] = work.flops / seconds / 1e9;
    state.counters["peak%"] = 100 * work.flops / seconds / peaks.flops;
  } else {
    state.counters["GB/s"] = work.bytes / seconds / 1e9;
    state.counters["peak%"] = 100 * work.bytes / seconds / peaks.copy;
  }
}

// max |got - want| / max |want|
template <class A, class B>
double relative_error(const A* got, const B* want, std::int64_t size) {
  double error = 0, largest = 0;
  for (std::int64_t i = 0; i < size; ++i) {
    const double e = std::abs(static_cast<double>(got[i]) - static_cast<double>(want[i]));
    error = std::isfinite(e) ? std::max(error, e) : INFINITY;
    largest = std::max(largest, std::abs(static_cast<double>(want[i])));
  }
  return largest > 0 ? error / largest : error;
}

// False, and the benchmark is skipped, if the error is beyond the tolerance.
inline bool verify(benchmark::State& state, double error, double tolerance) {
  state.counters["error"] = error;
  if (error <= tolerance) return true;
  failed = true;
  state.SkipWithError(concat("the result is wrong: error ", error, ", allowed ", tolerance).c_str());
  return false;
}

// Numbers in [-scale, scale).
inline Tensor<float, Cpu> random(Shape shape, std::uint64_t seed, float scale = 1) {
  Tensor<float, Cpu> x(shape);
  const Rng rng(seed, Rng::stream("bench"));
  for (std::int64_t i = 0; i < x.size(); ++i)
    x.data()[i] = scale * (2 * rng.uniform(static_cast<std::uint64_t>(i)) - 1);
  return x;
}

inline V normal(Context<Cpu>& ctx, Shape shape, std::uint64_t seed = 1, float scale = 1) {
  auto x = make_value<float>(ctx, shape);
  ops::normal(ctx, x.view(), Rng(seed, Rng::stream("bench")), 0);
  ops::scale(ctx, x.view(), x.view(), scale, 0.0f);
  return x;
}

// Peak resident memory of the process, MiB.
inline double peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::strtod(line.c_str() + 6, nullptr) / 1024;
  return 0;
}

inline VaeConfig vae_config(const Options& o) {
  VaeConfig c;
  if (o.small) c.block_out_channels = {32, 64, 64, 64}, c.layers_per_block = 1;
  return c;
}
inline UNetConfig unet_config(const Options& o) {
  UNetConfig c = UNetConfig::paper(4);
  if (o.small) c.base = 32, c.multipliers = {1, 2, 2}, c.res_blocks = 1, c.attention = {1, 2}, c.heads = 4;
  return c;
}

}  // namespace speed
