// Which GPU a process uses, and which options go with one.

#include "device.hpp"

#include <charconv>

namespace program {

int gpu_number(const std::string& device) {
  const std::string::size_type colon = device.find(':');
  if (colon != std::string::npos) {
    int number = 0;
    const char *const begin = device.data() + colon + 1, *const end = device.data() + device.size();
    const auto [stop, error] = std::from_chars(begin, end, number);
    D3AD_CHECK(error == std::errc() && stop == end && number >= 0, "--device ", device,
               ": expected cpu, cuda or cuda:N, N = 0, 1 ...");
    return number;
  }
#if defined(D3AD_CUDA)
  if (processes().size() > 1) return processes().local_rank() % d3ad::cuda::device_count();
#endif
  return 0;
}

void check_gpu_options(const CommonOptions& common) {
  if (common.device.find(':') != std::string::npos) gpu_number(common.device);  // what is no number is said first
  for (const auto& [name, given] :
       {std::pair{"--plan", !common.plan.empty()}, std::pair{"--save-plan", !common.save_plan.empty()},
        std::pair{"--tune", common.tune}, std::pair{"--memory", common.memory != "fast"}})
    D3AD_CHECK(!given, name, " is about the CPU's convolutions and means nothing with --device ", common.device);
}

}  // namespace program
