#pragma once
// Definitions of draw/picture.hpp. Included by it unless they are compiled.

#include "d3ad/draw/picture.hpp"

namespace d3ad::draw {

D3AD_INLINE Colour heat_colour(float value) {
  static constexpr float kStops[][3] = {{0, 0, 4},     {40, 11, 84},   {101, 21, 110}, {159, 42, 99},
                                        {212, 72, 66}, {245, 125, 21}, {250, 193, 39}, {252, 255, 164}};
  const float at = std::clamp(std::isfinite(value) ? value : 1.0f, 0.0f, 1.0f) * 7.0f;
  const int i = std::min(static_cast<int>(at), 6);
  Colour c{};
  for (std::size_t k = 0; k < 3; ++k) {
    const float v = kStops[i][k] + (at - static_cast<float>(i)) * (kStops[i + 1][k] - kStops[i][k]);
    c[k] = static_cast<std::uint8_t>(v + 0.5f);
  }
  return c;
}

D3AD_INLINE Image heat_map(const std::vector<float>& map, int width, int height, float lo, float hi) {
  Image out(width, height, 3);
  D3AD_CHECK(map.size() * 3 == out.pixels.size(), "heat map: ", map.size(), " numbers are not ", width, " x ", height);
  for (std::size_t i = 0; i < map.size(); ++i) {
    const Colour c = heat_colour(scaled(map[i], lo, hi));
    std::copy(c.begin(), c.end(), out.pixels.begin() + static_cast<std::ptrdiff_t>(3 * i));
  }
  return out;
}

D3AD_INLINE Image heat_map(const std::vector<float>& map, int size, float lo, float hi) {
  return heat_map(map, size, size, lo, hi);
}

D3AD_INLINE Image mask_picture(const std::vector<float>& map, int width, int height, float threshold) {
  Image out(width, height, 1);
  D3AD_CHECK(map.size() == out.pixels.size(), "mask: ", map.size(), " numbers are not ", width, " x ", height);
  for (std::size_t i = 0; i < map.size(); ++i) out.pixels[i] = map[i] > threshold ? 255 : 0;
  return out;
}

D3AD_INLINE Image mask_picture(const std::vector<float>& map, int size, float threshold) {
  return mask_picture(map, size, size, threshold);
}

D3AD_INLINE Image overlay(const Image& photo, const std::vector<float>& map, float lo, float hi, float threshold) {
  D3AD_CHECK(photo.channels == 3, "overlay: the photo has ", photo.channels, " channels, expected 3");
  const int width = photo.width, height = photo.height;
  const Image heat = heat_map(map, width, height, lo, hi);
  Image out = photo;
  const auto at = [&](int x, int y) {
    return map[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)];
  };
  const auto above = [&](int x, int y) { return at(x, y) > threshold; };
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const float value = std::clamp(scaled(at(x, y), lo, hi), 0.0f, 1.0f);
      const float share = 0.65f * value;
      for (int c = 0; c < 3; ++c)
        out.at(x, y)[c] = static_cast<std::uint8_t>((1 - share) * photo.at(x, y)[c] + share * heat.at(x, y)[c] + 0.5f);
      if (!above(x, y)) continue;
      const bool edge = x == 0 || y == 0 || x == width - 1 || y == height - 1 || !above(x - 1, y) || !above(x + 1, y) ||
                        !above(x, y - 1) || !above(x, y + 1);
      if (edge) fill_rectangle(out, x, y, 1, 1, {0, 255, 80});
    }
  return out;
}

D3AD_INLINE Image overlay(const Image& photo, const std::vector<float>& map, int size, float lo, float hi,
                          float threshold) {
  D3AD_CHECK(photo.width == size && photo.height == size, "overlay: the photo is ", photo.width, " x ", photo.height,
             " x ", photo.channels, ", expected ", size, " x ", size, " x 3");
  return overlay(photo, map, lo, hi, threshold);
}

D3AD_INLINE std::vector<Image> detection_panels(const std::vector<float>& input,
                                                const std::vector<float>& reconstruction, const std::vector<float>& map,
                                                int width, int height, float brightest, float threshold) {
  Image photo = to_image(input, width, height), over = overlay(photo, map, 0, brightest, threshold);
  std::vector<Image> panels;
  panels.push_back(std::move(photo));
  if (!reconstruction.empty()) panels.push_back(to_image(reconstruction, width, height));
  panels.push_back(heat_map(map, width, height, 0, brightest));
  panels.push_back(std::move(over));
  return panels;
}

D3AD_INLINE std::vector<Image> detection_panels(const std::vector<float>& input,
                                                const std::vector<float>& reconstruction, const std::vector<float>& map,
                                                int size, float brightest, float threshold) {
  return detection_panels(input, reconstruction, map, size, size, brightest, threshold);
}

D3AD_INLINE std::vector<std::string> panel_captions(bool reconstructed) {
  if (!reconstructed) return {"input", "anomaly map", "overlay"};
  return {"input", "as if good", "anomaly map", "overlay"};
}

D3AD_INLINE Image side_by_side(const std::vector<Image>& panels, const std::vector<std::string>& labels) {
  D3AD_CHECK(!panels.empty() && panels.size() == labels.size(), "pictures: ", panels.size(), " panels and ",
             labels.size(), " labels");
  constexpr int kGap = 6, kBand = 16;
  int width = kGap, height = 0;
  for (const auto& p : panels) width += p.width + kGap, height = std::max(height, p.height);
  Image out = white_image(width, height + kBand + kGap);
  int x = kGap;
  for (std::size_t i = 0; i < panels.size(); ++i) {
    const Image panel = to_rgb(panels[i]);
    font::draw(out, labels[i], {.x = x + 0.5, .y = kBand - 4, .size = 12}, {40, 40, 40});
    for (int y = 0; y < panel.height; ++y)
      std::copy_n(panel.at(0, y), static_cast<std::size_t>(panel.width) * 3, out.at(x, y + kBand));
    x += panel.width + kGap;
  }
  return out;
}

}  // namespace d3ad::draw
