#pragma once
// The figure of two ways to perturb an image, in pixel space: forward noising beside noiseless scaling (METHOD.md,
// sections 6 and 9).
//
//   noised   sqrt(alpha_bar_t) x + sqrt(1 - alpha_bar_t) noise          scaled   sqrt(alpha_bar_t) x
//
//   draw::Drawing d = noising_figure({{"part", read_input("part.png", 256)}}, 256, {.t_max = 400, .columns = 9});

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/backend/ops.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/core/rng.hpp"
#include "d3ad/diffusion/scaling.hpp"
#include "d3ad/report/figure_panels.hpp"

namespace d3ad {

struct NoisingOptions {
  int t_max = 400, columns = 9;  // t = 0 ... t_max in equal steps
  std::uint64_t seed = 0;        // of the noise, which is the same for all t
  double cell = 128;
};

// Equal steps, rounded to whole ones. Throws if they would not be different steps of the schedule.
std::vector<int> noising_times(int t_max, int columns, const Schedule& schedule = Schedule());

struct NoisedPictures {
  std::vector<std::vector<float>> noised, scaled;  // for each t, as the input
};

// x: [size x size x 3] in [-1, 1]
NoisedPictures noised_pictures(const std::vector<float>& x, int size, const std::vector<int>& t, std::uint64_t seed,
                               const Schedule& schedule = Schedule());

struct NamedInput {
  std::string name;
  std::vector<float> pixels;  // [size x size x 3] in [-1, 1]
};

// Two rows for each image.
draw::Drawing noising_figure(const std::vector<NamedInput>& images, int size, const NoisingOptions& options);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/report/figure_noising-inl.hpp"
#endif
