// Computes something through the headers as a user has them: 1 + 2. With MPI every process has to come to the same.
// With CUDA it is done on a GPU as well, or there is an Error which says that there is none.

#include <cstdio>
#include <d3ad/d3ad.hpp>
#include <string>

float second();  // second.cpp, which includes everything too

namespace {

// 1 + second() on a device.
template <class Device>
float sum(d3ad::Context<Device>& ctx) {
  auto a = make_value<float>(ctx, {.c = 4}), b = make_value<float>(ctx, {.c = 4});
  d3ad::ops::fill(ctx, a.view(), 1.0f);
  d3ad::ops::fill(ctx, b.view(), second());
  d3ad::ops::add(ctx, a.view(), a.view(), b.view());
  float host[4]{};
  d3ad::copy_to_host<float, Device>(host, a.view());
  return host[3];
}

}  // namespace

int main() {
#if defined(D3AD_CUDA)
  try {
    d3ad::Context<d3ad::Cuda> gpu;
    if (sum(gpu) != 3.0f) return 1;
    std::puts("3 by a GPU");
  } catch (const d3ad::Error& error) {
    if (std::string(error.what()).find("no NVIDIA GPU") == std::string::npos) throw;
    std::puts(error.what());
  }
#endif
#if defined(D3AD_MPI) && D3AD_MPI
  d3ad::MpiGroup group;
#else
  d3ad::Group& group = d3ad::Group::alone();
#endif
  d3ad::Context<d3ad::Cpu> ctx;
  const double all = group.sum(static_cast<double>(sum(ctx)));
  if (group.first()) std::printf("%g by each of %d\n", all / group.size(), group.size());
  return all == 3.0 * group.size() && group.size() == d3ad::launched_processes() ? 0 : 1;
}
