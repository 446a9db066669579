#pragma once
// A trained model at work: is this part faulty, and where?
//
//   d3ad::Context<d3ad::Cpu> ctx;
//   d3ad::Detector<d3ad::Cpu> detector(ctx, "models/bottle");
//   const auto found = detector(d3ad::read_image("photo.jpg"));        // found.faulty, found.score, found.map

#include "d3ad/data/image.hpp"
#include "d3ad/pipeline/detector.hpp"
