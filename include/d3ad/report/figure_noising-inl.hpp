#pragma once
// Definitions of report/figure_noising.hpp. Included by it unless they are compiled.

#include "d3ad/report/figure_noising.hpp"

namespace d3ad {

D3AD_INLINE std::vector<int> noising_times(int t_max, int columns, const Schedule& schedule) {
  D3AD_CHECK(t_max >= 1 && t_max < schedule.steps(), "noising: t-max is ", t_max, ", expected 1 to ",
             schedule.steps() - 1);
  D3AD_CHECK(columns >= 2 && columns <= 50 && columns <= t_max + 1, "noising: ", columns, " columns for t = 0 to ",
             t_max, ", expected 2 to ", std::min(50, t_max + 1));
  std::vector<int> out;
  for (int i = 0; i < columns; ++i)
    out.push_back(static_cast<int>((std::int64_t{2} * i * t_max + columns - 1) / (2 * (columns - 1))));
  return out;
}

D3AD_INLINE NoisedPictures noised_pictures(const std::vector<float>& x, int size, const std::vector<int>& t,
                                           std::uint64_t seed, const Schedule& schedule) {
  Context<Cpu> ctx;
  const Shape shape{.n = 1, .h = size, .w = size, .c = 3};
  D3AD_CHECK(static_cast<std::int64_t>(x.size()) == shape.size(), "noising: an image of ", x.size(),
             " numbers, expected ", size, " x ", size, " x 3");
  auto image = make_value<float>(ctx, shape), noise = make_value<float>(ctx, shape);
  copy_from_host(image.view(), x.data());
  ops::normal(ctx, noise.view(), Rng(seed, Rng::stream("figure.noising")), 0);
  const auto perturbed = [&](int step, float omega) {
    const auto out = diffusion::scaled(ctx, image, {step}, schedule, omega, noise.view());
    std::vector<float> host(x.size());
    copy_to_host(host.data(), View<const float, Cpu>(out.view()));
    return host;
  };
  NoisedPictures out;
  for (const int step : t) out.noised.push_back(perturbed(step, 1)), out.scaled.push_back(perturbed(step, 0));
  return out;
}

D3AD_INLINE draw::Drawing noising_figure(const std::vector<NamedInput>& images, int size,
                                         const NoisingOptions& options) {
  const Schedule schedule;
  const auto t = noising_times(options.t_max, options.columns, schedule);
  PanelGrid grid{.cell = options.cell};
  for (const int step : t)
    grid.columns.push_back({concat("t = ", step), "√ᾱ = " + fixed(std::sqrt(double{schedule.alpha_bar(step)}), 2)});
  for (const auto& image : images) {
    const auto pictures = noised_pictures(image.pixels, size, t, options.seed, schedule);
    const auto add = [&](const char* title, const std::vector<std::vector<float>>& row) {
      PanelGrid::Row out{title, image.name, {}};
      for (const auto& x : row) out.panels.push_back(to_image(x, size));
      grid.rows.push_back(std::move(out));
    };
    add("noising", pictures.noised);
    add("scaling", pictures.scaled);
  }
  constexpr double kTop = 24, kBottom = 22;
  draw::Drawing d(grid.width(), kTop + grid.height() + kBottom);
  d.text(PanelGrid::kMargin, 24, "Forward noising and noiseless scaling, in pixels", {.size = 13, .bold = true});
  grid.draw(d, 0, kTop);
  d.text(PanelGrid::kMargin, kTop + grid.height() + 8,
         "noising: √ᾱ x + √(1-ᾱ) ε with one ε for all t; scaling: √ᾱ x; x in [-1, 1], shown clamped",
         {.size = 10, .colour = draw::kSoft});
  return d;
}

}  // namespace d3ad
