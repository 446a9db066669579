#pragma once
// What the parts of the program gpu_bench share: its options, the clock, how results are compared, the rows it prints.
//
//   Times t = measure(ctx.stream(), o, [&] { launch(); });          ms of one call, by CUDA events, after warm-up
//   bool ok = network_rows(o), kernel_rows(o);                      network_rows.cpp, kernel_rows.hpp
//
// Each row is verified before it is timed. One that is wrong is timed all the same, says verified=no, and the program
// then ends with 1.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <d3ad/d3ad.hpp>
#include <filesystem>
#include <string>
#include <type_traits>
#include <vector>

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/weights/hash_weights-inl.hpp"

namespace gpu {

using namespace d3ad;

struct Options {
  bool small = false;               // small networks and tensors: checks the program, times mean nothing
  int threads = 0;                  // of the CPU, for what results are compared with; 0: all cores
  int repeat = 0;                   // timed calls; 0: for about a second, 10 to 200 of them
  std::vector<int> batches;         // empty: 1, 8, 30 (small: 2)
  std::vector<std::string> rows;    // empty: all
  std::vector<std::string> types;   // empty: float, tf32, half, bfloat16
  std::filesystem::path reference;  // where results of the CPU are kept; empty: nowhere

  static bool chosen(const std::vector<std::string>& list, const std::string& name) {
    return list.empty() || std::find(list.begin(), list.end(), name) != list.end();
  }
};

// Each prints its table; false if a result was wrong or a row failed.
bool device_rows(const Options&);
bool network_rows(const Options&);
bool kernel_rows(const Options&);

// ---- time ----

class Clock {
 public:
  explicit Clock(cudaStream_t stream) : stream_(stream) {
    D3AD_CUDA_CHECK(cudaEventCreateWithFlags(&start_, cudaEventDefault));
    const cudaError_t result = cudaEventCreateWithFlags(&stop_, cudaEventDefault);
    if (result != cudaSuccess) cuda::ignore(cudaEventDestroy(start_));
    cuda::check(result, "cudaEventCreateWithFlags");
  }
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  ~Clock() {
    cuda::ignore(cudaEventDestroy(start_));
    cuda::ignore(cudaEventDestroy(stop_));
  }

  // Milliseconds from an idle GPU to the end of the work. Waits.
  template <class Work>
  double operator()(Work&& work) {
    D3AD_CUDA_CHECK(cudaStreamSynchronize(stream_));
    D3AD_CUDA_CHECK(cudaEventRecord(start_, stream_));
    work();
    D3AD_CUDA_CHECK(cudaEventRecord(stop_, stream_));
    D3AD_CUDA_CHECK(cudaEventSynchronize(stop_));
    float ms = 0;
    D3AD_CUDA_CHECK(cudaEventElapsedTime(&ms, start_, stop_));
    return ms;
  }

 private:
  cudaStream_t stream_;
  cudaEvent_t start_ = nullptr, stop_ = nullptr;
};

struct Times {
  double best = 0, median = 0, spread = 0;  // ms; spread: from the best to the worst, relative to the best
  int runs = 0;
};

inline Times times_of(std::vector<double> ms) {
  std::sort(ms.begin(), ms.end());
  const std::size_t n = ms.size();
  const double median = n % 2 ? ms[n / 2] : (ms[n / 2 - 1] + ms[n / 2]) / 2;
  return {ms.front(), median, ms.front() > 0 ? ms.back() / ms.front() - 1 : 0.0, static_cast<int>(n)};
}

// Of one of `together` calls that are launched one behind the other.
template <class Work>
Times measure(cudaStream_t stream, const Options& o, Work&& work, int together = 1) {
  constexpr int kWarmUps = 3, kLeast = 10, kMost = 200;
  constexpr double kMilliseconds = 1000;
  Clock clock(stream);
  for (int i = 0; i < (o.small ? 0 : kWarmUps); ++i) work();
  std::vector<double> ms;
  double sum = 0;
  const auto enough = [&] {
    const auto n = static_cast<int>(ms.size());
    return o.repeat ? n >= o.repeat : n >= kMost || (n >= kLeast && sum >= kMilliseconds);
  };
  while (!enough()) {
    const double all = clock([&] {
      for (int i = 0; i < together; ++i) work();
    });
    sum += all;
    ms.push_back(all / together);
  }
  return times_of(std::move(ms));
}

// ---- correctness ----

// max |got - want| / max |want|; infinite if got is NaN or want has nothing to measure by.
inline double relative_error(const float* got, const float* want, std::size_t size) {
  double error = 0, largest = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const double e = std::abs(double{got[i]} - double{want[i]});
    error = std::isfinite(e) ? std::max(error, e) : INFINITY;
    largest = std::max(largest, std::abs(double{want[i]}));
  }
  return size > 0 && largest > 0 ? error / largest : INFINITY;
}

struct Verdict {
  double error = INFINITY, tolerance = 0;
  bool ok() const { return error <= tolerance; }
};

// ---- inputs ----

// Hash numbers in [-1, 1) times `scale`, numbered in PyTorch's axis order, laid out channels last.
inline Tensor<float, Cpu> uniform(const std::string& name, Shape shape, float scale = 1) {
  std::vector<float> numbers(static_cast<std::size_t>(shape.size()));
  d3ad::detail::hash_fill(numbers.data(), shape.size(), Rng::stream(name), [scale](float u) { return scale * u; });
  Tensor<float, Cpu> out(shape);
  to_channels_last(out.data(), numbers.data(), {shape.n, shape.c, shape.h, shape.w});
  return out;
}

// ---- rows ----

// A field of a CSV line; an error's sentence may hold anything.
inline std::string field(std::string text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c == '\n' ? ' ' : c);
  return quoted + '"';
}

inline void print_line(const std::vector<std::string>& fields) {
  std::string line;
  for (std::size_t i = 0; i < fields.size(); ++i) line += (i ? "," : "") + field(fields[i]);
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);  // what is measured stays, whatever becomes of the rest
}

inline std::string number(double x, const char* format = "%.5g") {
  char text[64];
  std::snprintf(text, sizeof(text), format, x);
  return text;
}
inline double per_second(double amount, double ms) { return ms > 0 ? amount / (ms / 1000) : 0.0; }

}  // namespace gpu
