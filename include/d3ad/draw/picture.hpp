#pragma once
// Pictures of a detection: heat map, overlay with outlines of faulty regions, mask, rows of panels.
//
//   Image heat = draw::heat_map(map, width, height, 0, threshold * 2);   // dark violet (low) to light yellow (high)
//   Image over = draw::overlay(photo, map, lo, hi, threshold);           // heat over it, outlined above the threshold
//   Image mask = draw::mask_picture(map, width, height, threshold);      // white where faulty
//   Image row = draw::side_by_side({photo, over, mask}, {"input", "overlay", "mask"});
//
// For squares there are forms with one size. Use the same scale (lo, hi) for all images of a set, so that good parts
// have low colours.

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/data/resize.hpp"
#include "d3ad/draw/font.hpp"

namespace d3ad::draw {

// The colour of 0 ... 1, with a steady rise in brightness: from dark violet over magenta and orange to light yellow
// (after "inferno").
Colour heat_colour(float value);

inline float scaled(float value, float lo, float hi) { return hi > lo ? (value - lo) / (hi - lo) : 0.0f; }

Image heat_map(const std::vector<float>& map, int width, int height, float lo, float hi);
Image heat_map(const std::vector<float>& map, int size, float lo, float hi);

Image mask_picture(const std::vector<float>& map, int width, int height, float threshold);
Image mask_picture(const std::vector<float>& map, int size, float threshold);

// photo: RGB, of the map's size. The higher the map's value, the stronger the heat map's colour; regions above the
// threshold are outlined in green.
Image overlay(const Image& photo, const std::vector<float>& map, float lo, float hi, float threshold);
Image overlay(const Image& photo, const std::vector<float>& map, int size, float lo, float hi, float threshold);

// The pictures of one detection, in this order: the input and the reconstruction (both height x width x 3, in [-1, 1]),
// then the anomaly map and the overlay, from 0 to `brightest`. An empty reconstruction has
// no panel.
std::vector<Image> detection_panels(const std::vector<float>& input, const std::vector<float>& reconstruction,
                                    const std::vector<float>& map, int width, int height, float brightest,
                                    float threshold);
std::vector<Image> detection_panels(const std::vector<float>& input, const std::vector<float>& reconstruction,
                                    const std::vector<float>& map, int size, float brightest, float threshold);

// The captions of these panels.
std::vector<std::string> panel_captions(bool reconstructed);

// Panels in a row, each under its label.
Image side_by_side(const std::vector<Image>& panels, const std::vector<std::string>& labels);

}  // namespace d3ad::draw

#if D3AD_DEFINITIONS
#include "d3ad/draw/picture-inl.hpp"
#endif
