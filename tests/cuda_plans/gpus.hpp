#pragma once
// GPUs, as cuDNN wants them described where there is none (cuDNN 9.8, "deviceless ahead-of-time compilation"): one for
// each architecture that the kernels are compiled for. What decides which engines there are is the architecture, its
// shared memory and how many multiprocessors there are; the numbers are NVIDIA's (programming guide, technical
// specifications by compute capability, and the products' data sheets).

#include <cudnn.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace plans {

struct Gpu {
  std::string name;
  int architecture;  // compute capability, times 10
  int multiprocessors;
  int memory_gib, l2_mib;
  int shared_kib;       // that a block may ask for
  int threads, blocks;  // of a multiprocessor
  int clock_mhz, memory_mhz;

  bool has_bfloat16() const { return architecture >= 80; }

  std::string json() const {
    const std::int64_t gib = std::int64_t{1} << 30;
    return nlohmann::json{{"version", 1},
                          {"cudnnVersion", CUDNN_VERSION},
                          {"cudaDeviceId", 0},
                          {"deviceVer", architecture * 10},
                          {"driverVer", 13000},
                          {"deviceName", name},
                          {"totalGlobalMem", memory_gib * gib},
                          {"maxGridSize", {2147483647, 65535, 65535}},
                          {"maxBlockSize", {1024, 1024, 64}},
                          {"regsPerBlock", 65536},
                          {"multiProcessorCount", multiprocessors},
                          {"warpSize", 32},
                          {"maxSharedMemoryPerBlock", 48 << 10},
                          {"maxSharedMemoryPerBlockOptin", shared_kib << 10},
                          {"reservedSharedMemoryPerBlock", architecture >= 80 ? 1024 : 0},
                          {"maxRegistersPerSM", 65536},
                          {"maxCtasPerSM", blocks},
                          {"maxThreadsPerBlock", 1024},
                          {"maxThreadsPerSM", threads},
                          {"pciDeviceId", 0},
                          {"isTccDriver", 0},
                          {"supportCoopLaunch", 1},
                          {"smClockRateKHz", clock_mhz * 1000},
                          {"memClockRateKHz", memory_mhz * 1000},
                          {"l2CacheSize", l2_mib << 20}}
        .dump();
  }
};

inline const std::vector<Gpu>& gpus() {
  static const std::vector<Gpu> all{{"Tesla T4", 75, 40, 15, 4, 64, 1024, 16, 1590, 5001},
                                    {"NVIDIA A100-SXM4-40GB", 80, 108, 40, 40, 163, 2048, 32, 1410, 1215},
                                    {"NVIDIA A10", 86, 72, 22, 6, 99, 1536, 16, 1695, 6251},
                                    {"NVIDIA L4", 89, 58, 22, 48, 99, 1536, 24, 2040, 6251},
                                    {"NVIDIA H100 80GB HBM3", 90, 132, 79, 50, 227, 2048, 32, 1980, 2619},
                                    {"NVIDIA B200", 100, 148, 179, 126, 227, 2048, 32, 1965, 3996},
                                    {"NVIDIA GeForce RTX 5090", 120, 170, 31, 96, 99, 1536, 24, 2407, 14001}};
  return all;
}

}  // namespace plans
