// Measures d3ad on an NVIDIA GPU and prints CSV: bench/gpu/run calls it, README.md beside it says what the columns
// mean.
//
//   gpu_bench device                                    what GPU it is, and the bandwidth of a large copy
//   gpu_bench networks [--types tf32,half] [...]        networks, detection, the ten-step loop, a training step
//   gpu_bench kernels [--types ...] [...]               each kernel of our own: bytes moved a second
//
//   --rows a,b  --batches 1,8,30  --types float,tf32,half,bfloat16  --repeat N  --threads N (of the CPU)
//   --reference DIR     keeps the CPU's results there, for the next call and for peer.py
//   --small             small networks and tensors: checks the program itself, times mean nothing
//
// Exit code 0; 1 where a result was not the CPU's, or a row failed; 2 after an error, which is one line on stderr.

#include "gpu_bench.hpp"

#include <cstdlib>
#include <sstream>
#include <utility>

namespace gpu {

namespace {

std::string device_name() {
#if defined(D3AD_CUDA_EMULATION)
  return "emulation";
#else
  cudaDeviceProp properties{};
  D3AD_CUDA_CHECK(cudaGetDeviceProperties(&properties, 0));
  return properties.name;
#endif
}

// From the memory's clock and width, in GB/s; 0 where the driver does not say.
double nominal_bandwidth() {
#if defined(D3AD_CUDA_EMULATION)
  return 0;
#else
  int khz = 0, bits = 0;
  if (cudaDeviceGetAttribute(&khz, cudaDevAttrMemoryClockRate, 0) != cudaSuccess ||
      cudaDeviceGetAttribute(&bits, cudaDevAttrGlobalMemoryBusWidth, 0) != cudaSuccess) {
    cuda::ignore(cudaGetLastError());
    return 0;
  }
  return 2.0 * khz * 1e3 * (bits / 8.0) / 1e9;  // two transfers a clock
#endif
}

std::pair<int, int> versions() {  // of the driver and of the runtime, 13000 for 13.0
  int driver = 0, runtime = 0;
#if !defined(D3AD_CUDA_EMULATION)
  D3AD_CUDA_CHECK(cudaDriverGetVersion(&driver));
  D3AD_CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
#endif
  return {driver, runtime};
}

std::string version_text(int v) { return concat(v / 1000, '.', v % 1000 / 10); }

int attribute(cudaDeviceAttr what) {
  int value = 0;
  D3AD_CUDA_CHECK(cudaDeviceGetAttribute(&value, what, 0));
  return value;
}

}  // namespace

bool device_rows(const Options& o) {
  Context<Cuda> ctx;
  const std::int64_t bytes = o.small ? 1 << 16 : std::int64_t{1} << 30;
  Tensor<float, Cuda> from({.c = bytes / 4}), to({.c = bytes / 4});
  ops::fill(ctx, from.view(), 1.0f);
  const Times t = measure(ctx.stream(), o, [&] {
    D3AD_CUDA_CHECK(cudaMemcpyAsync(to.data(), from.data(), static_cast<std::size_t>(bytes), cudaMemcpyDeviceToDevice,
                                    ctx.stream()));
  });
  const auto [driver, runtime] = versions();
  print_line({"key", "value"});
  print_line({"name", device_name()});
  print_line({"compute_capability",
              concat(attribute(cudaDevAttrComputeCapabilityMajor), '.', attribute(cudaDevAttrComputeCapabilityMinor))});
  print_line({"multiprocessors", concat(attribute(cudaDevAttrMultiProcessorCount))});
  print_line({"cuda_driver", version_text(driver)});
  print_line({"cuda_runtime", version_text(runtime)});
  print_line({"nominal_gb_per_s", number(nominal_bandwidth())});
  print_line({"copy_gb_per_s", number(per_second(2e-9 * static_cast<double>(bytes), t.median))});
  return true;
}

namespace {

std::vector<std::string> words(const std::string& text) {
  std::vector<std::string> found;
  std::stringstream in(text);
  for (std::string word; std::getline(in, word, ',');)
    if (!word.empty()) found.push_back(word);
  return found;
}

int whole(const std::string& name, const std::string& text, int least) {
  char* end = nullptr;
  const long value = std::strtol(text.c_str(), &end, 10);
  D3AD_CHECK(!text.empty() && *end == 0 && value >= least && value <= 1000000, name, ": '", text,
             "' is not a whole number from ", least, " on");
  return static_cast<int>(value);
}

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 2; i < argc; ++i) {
    const std::string name = argv[i];
    const auto value = [&]() -> std::string {
      D3AD_CHECK(i + 1 < argc, name, " needs a value");
      return argv[++i];
    };
    if (name == "--small") {
      o.small = true;
    } else if (name == "--rows") {
      o.rows = words(value());
    } else if (name == "--types") {
      o.types = words(value());
      for (const auto& type : o.types)
        D3AD_CHECK(type == "float" || type == "tf32" || type == "half" || type == "bfloat16", "--types: '", type,
                   "' is not known; known are float, tf32, half, bfloat16");
    } else if (name == "--batches") {
      for (const auto& word : words(value())) o.batches.push_back(whole(name, word, 1));
    } else if (name == "--repeat") {
      o.repeat = whole(name, value(), 1);
    } else if (name == "--threads") {
      o.threads = whole(name, value(), 1);
    } else if (name == "--reference") {
      o.reference = value();
      std::filesystem::create_directories(o.reference);
    } else {
      fail("the option '", name, "' is not known; the head of gpu_bench.cpp lists them");
    }
  }
  if (o.batches.empty()) o.batches = o.small ? std::vector<int>{1, 2} : std::vector<int>{1, 8, 30};
  return o;
}

bool run(const std::string& table, const Options& o) {
  cuda::device_count();  // where there is none it says so
  if (table == "device") return device_rows(o);
  if (table == "networks") return network_rows(o);
  if (table == "kernels") return kernel_rows(o);
  fail("'", table, "' is not known; expected device, networks or kernels");
}

}  // namespace

}  // namespace gpu

int main(int argc, char** argv) try {
  D3AD_CHECK(argc > 1, "expected device, networks or kernels; the head of gpu_bench.cpp says more");
  return gpu::run(argv[1], gpu::parse(argc, argv)) ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "gpu_bench: %s\n", error.what());
  return 2;
}
