#pragma once
// Definitions of report/figure_panels.hpp. Included by it unless they are compiled.

#include "d3ad/report/figure_panels.hpp"

namespace d3ad {

D3AD_INLINE std::vector<Sample> choose_samples(const Dataset& dataset, const SampleChoice& choice) {
  D3AD_CHECK(!dataset.test.empty(), "figure: category '", dataset.category,
             "' has no test images (test/good, test/DEFECT)");
  std::vector<Sample> out;
  std::vector<std::string> names;
  for (const auto& s : dataset.test) names.push_back(sample_name(s));
  for (const std::string& wanted : choice.images) {
    const auto at = std::find_if(dataset.test.begin(), dataset.test.end(), [&](const Sample& s) {
      return sample_name(s) == wanted || s.defect + "/" + s.image.filename().string() == wanted;
    });
    D3AD_CHECK(at != dataset.test.end(), "figure: there is no test image '", printable(wanted), "' in '",
               dataset.category, "'", nearest_names(names, wanted));
    out.push_back(*at);
  }
  if (!choice.images.empty()) return out;
  std::vector<std::string> kinds;
  for (const auto& s : dataset.test)
    if (std::find(kinds.begin(), kinds.end(), s.defect) == kinds.end()) kinds.push_back(s.defect);
  for (const std::string& wanted : choice.defects)
    D3AD_CHECK(std::find(kinds.begin(), kinds.end(), wanted) != kinds.end(), "figure: there is no kind '",
               printable(wanted), "' among the test images of '", dataset.category, "'", nearest_names(kinds, wanted));
  for (const std::string& kind : choice.defects.empty() ? kinds : choice.defects) {
    int count = 0;
    for (const auto& s : dataset.test)
      if (s.defect == kind && count < choice.each) out.push_back(s), ++count;
  }
  return out;
}

D3AD_INLINE std::optional<Image> truth_panel(const Sample& sample, int width, int height) {
  if (sample.mask) return resize(sample_mask(sample), width, height);
  if (sample.anomalous()) return std::nullopt;
  return Image(width, height, 1);
}

}  // namespace d3ad
