// Measures d3ad on an NVIDIA GPU and prints CSV: bench/gpu/run calls it, README.md beside it says what the columns
// mean.
//
//   gpu_bench device                                    what GPU it is, its peaks, and the bandwidth of a large copy
//   gpu_bench networks [--types tf32,half] [...]        networks, detection, the ten-step loop, a training step
//   gpu_bench kernels [--types ...] [...]               each kernel of our own: bytes moved a second; and products
//
//   --rows a,b  --batches 1,8,30  --types float,tf32,half,bfloat16  --repeat N  --threads N (of the CPU)
//   --reference DIR     keeps the CPU's results there, for the next call and for peer.py
//   --small             small networks and tensors: checks the program itself, times mean nothing
//
// Exit code 0; 1 if a result was not the CPU's, or a row failed; 2 after an error, which is one line on stderr.

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

int attribute(cudaDeviceAttr what) {
  int value = 0;
  D3AD_CUDA_CHECK(cudaDeviceGetAttribute(&value, what, 0));
  return value;
}

// 0 if the driver does not say.
int attribute_or_0(cudaDeviceAttr what) {
  int value = 0;
  if (cudaDeviceGetAttribute(&value, what, 0) == cudaSuccess) return value;
  cuda::ignore(cudaGetLastError());
  return 0;
}

// From the memory's clock and width, in GB/s.
double nominal_bandwidth() {
  const double clock = 1e3 * attribute_or_0(cudaDevAttrMemoryClockRate);
  return 2 * clock * attribute_or_0(cudaDevAttrGlobalMemoryBusWidth) / 8 / 1e9;  // two transfers a clock
}

// Operations of a multiprocessor in a clock: dense products on tensor cores with sums in float, and float's without. Of
// 7.5, 8.6, 8.9 and 12.0 these are the cards for data centres and workstations; GeForce has half the tensor cores'
// rate.
struct PerClock {
  int capability, half, tf32, single;
};
constexpr PerClock kPerClock[] = {{75, 1024, 0, 128},     {80, 2048, 1024, 128}, {86, 1024, 512, 256},
                                  {89, 1024, 512, 256},   {90, 4096, 2048, 256}, {100, 8192, 4096, 256},
                                  {103, 8192, 4096, 256}, {120, 1024, 512, 256}};

// Of a type, in TFLOP/s at the highest clock; 0 if it is not known.
double nominal_tflops(const std::string& type) {
  const int capability =
      10 * attribute(cudaDevAttrComputeCapabilityMajor) + attribute(cudaDevAttrComputeCapabilityMinor);
  for (const PerClock& p : kPerClock)
    if (p.capability == capability)
      return 1e-12 * attribute(cudaDevAttrMultiProcessorCount) * 1e3 * attribute_or_0(cudaDevAttrClockRate) *
             (type == "float"                          ? p.single
              : type == "tf32"                         ? p.tf32
              : capability == 75 && type == "bfloat16" ? 0
                                                       : p.half);
  return 0;
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
  print_line({"highest_clock_mhz", number(attribute_or_0(cudaDevAttrClockRate) / 1e3)});
  for (const std::string type : {"float", "tf32", "half", "bfloat16"})
    print_line({"nominal_tflops_" + type, number(nominal_tflops(type))});
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
  if (o.batches.empty()) o.batches = o.small ? std::vector<int>{2} : std::vector<int>{1, 8, 30};
  return o;
}

bool run(const std::string& table, const Options& o) {
  cuda::device_count();  // if there is none it says so
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
